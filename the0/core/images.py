"""The images of the runtimes: their tags, the digests of their inputs, and whether they are there.

An image is built by `the0 images build`; the runner only looks, and holds back the bots of a
runtime whose image is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import the0.agent
from the0.core.plan import Hold
from the0.errors import InvalidInput, NotFound, Unavailable
from the0.models import canonical_hash
from the0.plugin.interfaces import Executor, Progress, Runtime

_RECIPE = 1
"""Raised whenever images of the same inputs are to be built anew."""

_DIGEST_CHARS = 12


@dataclass(frozen=True)
class Image:
    """An image that is there: its tag and the engine's own id of its content."""

    tag: str
    identity: str


def image_digest(runtime: Runtime) -> str:
    """SHA-256 (hex) over all that goes into the runtime's image: its spec, the content of its
    files, and the agent."""
    spec = runtime.image()
    files = {target: content_digest(source) for target, source in spec.files.items()}
    inputs = {**asdict(spec), "files": files, "agent": agent_digest(), "recipe": _RECIPE}
    return canonical_hash(inputs)


def image_tag(runtime: Runtime) -> str:
    """`the0/<runtime>:<first digits of the digest>`: new inputs have a new tag."""
    return f"the0/{runtime.name.lower()}:{image_digest(runtime)[:_DIGEST_CHARS]}"


def agent_digest() -> str:
    """The digest of the agent's own sources."""
    return content_digest(Path(the0.agent.__file__).parent)


def content_digest(path: Path) -> str:
    """SHA-256 (hex) over a file's bytes, or over all files below a folder by name."""
    digest = hashlib.sha256()
    for name, file in _files(path):
        with file.open("rb") as content:
            inner = hashlib.file_digest(content, "sha256").digest()
        digest.update(name.encode() + b"\0" + inner)
    return digest.hexdigest()


def ensure_images(executor: Executor, runtimes: Iterable[Runtime], progress: Progress) -> list[str]:
    """Build the images that are missing or made of other inputs; returns all tags. Blocks."""
    tags = []
    for runtime in runtimes:
        tag, digest = image_tag(runtime), image_digest(runtime)
        if executor.has_image(tag, digest):
            progress.step(f"Image {tag} is there already")
        else:
            executor.build_image(tag, digest, runtime.image(), progress)
        tags.append(tag)
    return tags


def find_image(executor: Executor, tag: str) -> Image | Hold:
    """The image `tag` as the engine has it. Blocks.

    A Hold says why no bot can be started from it now.
    """
    try:
        return Image(tag, executor.image_identity(tag))
    except NotFound:
        fix = "Build it with `the0 images build` (or load the one that RUNTIME_IMAGE names)."
        return Hold("ImageMissing", "NotFound", f"The image {tag} is not there. {fix}")
    except InvalidInput as error:
        return Hold("ImageMissing", "NotOurs", error.message)
    except Unavailable as error:
        return Hold("EngineUnavailable", "NoAnswer", error.message)


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield path.name, path
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield str(file.relative_to(path)), file
