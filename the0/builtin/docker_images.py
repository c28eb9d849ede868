"""Runtime images: whether they are there, built when they are not, removed when they are old."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from docker import APIClient

from the0.builtin import docker_names as names
from the0.builtin.docker_base import LABEL as BASE_LABEL
from the0.builtin.docker_base import BaseImages
from the0.builtin.docker_builder import Build, inspect_image
from the0.builtin.docker_context import dockerfile, image_labels, write_context, write_rootfs
from the0.builtin.docker_errors import NO_IMAGE, translated
from the0.builtin.docker_settings import DockerSettings
from the0.errors import Conflict, InvalidInput, NotFound
from the0.plugin.interfaces import ImageSpec, Progress

_NONE = "<none>:<none>"
_OURS = "the0/"
_YOUNG_SEC = 86400


@dataclass(frozen=True)
class Content:
    """What a runtime's image holds: its spec, and the agent as one executable file."""

    spec: ImageSpec
    agent: bytes


class Images:
    """The images of one engine; where the site has one image for all runtimes, that one stands in
    for each tag and is never built."""

    def __init__(self, client: Callable[[float], APIClient], settings: DockerSettings) -> None:
        self._client = client
        self._settings = settings
        self._bases = BaseImages(client, settings)

    def resolve(self, tag: str) -> str:
        """The image that a container of runtime image `tag` is made from."""
        return self._settings.runtime_image or tag

    def has(self, client: APIClient, tag: str, digest: str) -> bool:
        """Whether `tag` was built from inputs with `digest`; for a site's own image, whether it
        has the agent (raises as :meth:`identity` does when not)."""
        if self._settings.runtime_image:
            return bool(self.identity(client, tag))
        try:
            labels = labels_of(inspect_image(client, tag))
        except NotFound:
            return False
        return labels.get(names.DIGEST) == digest and names.AGENT in labels

    def identity(self, client: APIClient, tag: str) -> str:
        """The engine's id of the image's content."""
        image = self.resolve(tag)
        found = inspect_image(client, image)
        if names.AGENT not in labels_of(found):
            raise InvalidInput(
                f"Image {image} lacks the0's agent (no label {names.AGENT}): it was not made by "
                "`the0 images build`. Unset RUNTIME_IMAGE, or build that image on one of ours."
            )
        return str(found["Id"])

    def build(self, tag: str, digest: str, content: Content, progress: Progress) -> None:
        """Build `tag` of this content, and say how long it took and how large it is."""
        if self._settings.runtime_image:
            raise InvalidInput(
                f"RUNTIME_IMAGE names {self._settings.runtime_image} for all runtimes, so there "
                "is nothing to build. Unset it to use the0's own images."
            )
        began = time.monotonic()
        base = self._bases.ensure(content.spec.packages, progress)
        progress.step(f"Building image {tag}")
        timeout = self._settings.build_timeout_sec
        client = self._client(timeout)
        mark = f"{names.DIGEST}={digest}"
        labels = image_labels(digest, hashlib.sha256(content.agent).hexdigest()[:12])
        with tempfile.TemporaryDirectory(prefix="the0-image-") as folder:
            rootfs, context = Path(folder) / "rootfs.tar", Path(folder) / "context.tar"
            with rootfs.open("w+b") as target:
                write_rootfs(target, content.spec, content.agent)
            with context.open("w+b") as target:
                write_context(target, dockerfile(base, content.spec, labels), rootfs)
                Build(client, tag, mark, timeout, network="none").run(target, progress)
        size = inspect_image(client, tag)["Size"] / 1e6
        progress.step(f"Image {tag}: {size:.0f} MB, made in {time.monotonic() - began:.0f} s")

    def remove_old(self, client: APIClient) -> Sequence[str]:
        """Remove runtime and base images of ours that nothing uses, but the newest few of each
        repository and those of the last day (a build that runs now may stand on them); returns
        what was removed."""
        removed = []
        for label in (names.AGENT, BASE_LABEL):
            with translated("list images", NO_IMAGE):
                found = client.images(filters={"label": [label]})
            for image in surplus(found, self._settings.images_kept, time.time() - _YOUNG_SEC):
                if _remove(client, image):
                    removed.append(image)
        return removed


def labels_of(image: Mapping[str, Any]) -> Mapping[str, str]:
    """An inspected image's labels."""
    return (image.get("Config") or {}).get("Labels") or {}


def surplus(images: Sequence[Mapping[str, Any]], kept: int, before: float) -> list[str]:
    """What to remove of an image list: of what was made before that Unix time, the tags of ours
    that are not among the `kept` newest of their repository, and the ids of images without a
    tag."""
    tagged = [
        (tag.rpartition(":")[0], -int(image["Created"]), tag)
        for image in images
        for tag in image.get("RepoTags") or ()
        # One with another name was built on ours by somebody, and is theirs.
        if tag.startswith(_OURS)
    ]
    old = [
        tag
        for _, group in groupby(sorted(tagged), key=lambda entry: entry[0])
        for _, created, tag in list(group)[kept:]
        if -created < before
    ]
    lost = [
        str(image["Id"])
        for image in images
        if int(image["Created"]) < before and set(image.get("RepoTags") or ()) <= {_NONE}
    ]
    return [*old, *lost]


def _remove(client: APIClient, image: str) -> bool:
    try:
        with translated(f"remove image {image}", NO_IMAGE):
            client.remove_image(image)
    except (Conflict, NotFound):
        # In use by a container or as another image's base, or gone already: both are as wished.
        return False
    return True
