"""Starts nanio on a data directory that a killed nanio may have left behind.

nanio replaces an object's content first and its metadata, a file of its own, a moment later. Killed
in between, it leaves a half-written metadata file in whose way every later put of that key fails.
So before each start such a put is completed where the file is whole and fits the content, and
forgotten elsewhere: then content and metadata are those of two puts, which readers find out by the
checksums that the platform keeps in both.

    python -m the0.local.s3_server DATA_DIR COMMAND [ARGUMENT…]
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

METADATA = ".nanio-meta"
_HALF = ".json.tmp"


def repair(data_dir: Path) -> int:
    """Complete or forget what a killed nanio was about to write; how many files that were."""
    found = 0
    for metadata in data_dir.glob(f"*/{METADATA}"):
        for half in list(metadata.rglob(f"*{_HALF}")):
            key = str(half.relative_to(metadata)).removesuffix(_HALF)
            if _fits(half, metadata.parent / key):
                half.rename(half.with_suffix(""))
            else:
                half.unlink()
            found += 1
    return found


def _fits(half: Path, content: Path) -> bool:
    try:
        described = json.loads(half.read_bytes())
        with content.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").hexdigest()
        return bool(described["etag"].strip('"') == digest)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def main() -> None:
    """Repair, then become the server."""
    data_dir, *command = sys.argv[1:]
    repair(Path(data_dir))
    os.execv(command[0], command)  # noqa: S606 - the point of it: the server takes our place


if __name__ == "__main__":
    main()
