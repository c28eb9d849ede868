"""The agent as one file for images. Runs on the host and is itself not part of it."""

from __future__ import annotations

import importlib.util
import io
import marshal
import zipfile
from importlib.util import source_hash
from pathlib import Path

SHEBANG = b"#!/usr/bin/python3 -I\n"

IMAGE_MAGIC = (3495).to_bytes(2, "little") + b"\r\n"
"""What byte code of the images' Python, 3.11, begins with."""

_UNCHECKED_HASH = (0b01).to_bytes(4, "little")
_DAWN = (1980, 1, 1, 0, 0, 0)
_HOST_ONLY = ("build.py",)
_MAIN = """\
import sys

from the0.agent.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


CAN_COMPILE = importlib.util.MAGIC_NUMBER == IMAGE_MAGIC
"""Whether this Python makes the same byte code as the images'."""


def build_agent(*, compiled: bool = CAN_COMPILE) -> bytes:
    """The content of `/app/runtime`: a program for the image's own Python, the same bytes for the
    same sources. It holds byte code, which halves the time to start, or the sources."""
    folder = Path(__file__).parent
    sources = {"__main__.py": _MAIN, "the0/__init__.py": ""}
    for path in sorted(folder.glob("*.py")):
        if path.name not in _HOST_ONLY:
            sources[f"the0/agent/{path.name}"] = path.read_text(encoding="utf-8")
    return SHEBANG + _pack(sources, compiled=compiled)


def _pack(sources: dict[str, str], *, compiled: bool) -> bytes:
    packed = io.BytesIO()
    # Stored, because unpacking costs time in every start of a container.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, source in sources.items():
            entry = zipfile.ZipInfo(name + "c" if compiled else name, _DAWN)
            archive.writestr(entry, _compile(name, source) if compiled else source)
    return packed.getvalue()


def _compile(name: str, source: str) -> bytes:
    """Byte code that is valid whatever its source's time: it is never looked at."""
    # Without docstrings, which would be in the memory of every container; assertions only tell
    # the type checker what is so.
    code = compile(source, name, "exec", dont_inherit=True, optimize=2)
    header = IMAGE_MAGIC + _UNCHECKED_HASH + source_hash(source.encode())
    return header + marshal.dumps(code)
