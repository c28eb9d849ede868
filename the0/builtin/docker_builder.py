"""One build by the engine: the context goes in, its words come out line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from docker import APIClient

from the0.builtin.docker_errors import NO_IMAGE, translated
from the0.errors import NotFound, The0Error, Unavailable
from the0.plugin.interfaces import Progress

_TAIL = 15
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def has_local(client: APIClient, tag: str) -> bool:
    """Whether the engine has image `tag`."""
    try:
        inspect_image(client, tag)
    except NotFound:
        return False
    return True


def inspect_image(client: APIClient, tag: str) -> Mapping[str, Any]:
    """What the engine knows of image `tag`. Raises NotFound only on its certain answer."""
    with translated(f"look at image {tag}", NO_IMAGE):
        answer: Mapping[str, Any] = client.inspect_image(tag)  # type: ignore[no-untyped-call]
        return answer


@dataclass(frozen=True)
class Build:
    """One build of `tag`; `mark` is a label (`key=value`) that its Dockerfile sets first, `network`
    "none" for a build that needs none, `timeout_sec` its longest silence."""

    client: APIClient
    tag: str
    mark: str
    timeout_sec: float
    network: str | None = None

    def run(self, context: BinaryIO, progress: Progress) -> None:
        """Build from a tar of a context; raises Unavailable with the last lines of a failure,
        whose containers and layers are removed."""
        try:
            self._run(context, progress)
        except The0Error:
            self._sweep()
            raise

    def _run(self, context: BinaryIO, progress: Progress) -> None:
        with translated(f"build image {self.tag}", NO_IMAGE):
            messages = self.client.build(
                fileobj=context,
                custom_context=True,
                tag=self.tag,
                rm=True,
                forcerm=True,  # a failed build would leave its containers behind
                decode=True,
                network_mode=self.network,
                timeout=round(self.timeout_sec),
            )
            follow(messages, self.tag, progress)

    def _sweep(self) -> None:
        with suppress(The0Error), translated("remove the layers of a failed build", NO_IMAGE):
            filters = {"dangling": True, "label": [self.mark]}
            for image in self.client.images(filters=filters):
                self.client.remove_image(image["Id"])


def follow(messages: Iterable[Mapping[str, Any]], tag: str, progress: Progress) -> None:
    """Read a build's messages to their end: steps go to `progress`, an error is raised."""
    tail: list[str] = []
    for message in messages:
        for line in filter(None, map(str.strip, _text(message, "stream").splitlines())):
            tail = [*tail[-_TAIL:], line[:300]]
            if line.startswith("Step "):
                progress.step("  " + line[:160])
        if "error" in message:
            said = "\n".join([*tail, _text(message, "error")[:300]])
            raise Unavailable(f"Image {tag} could not be built:\n{said}")


def _text(message: Mapping[str, Any], key: str) -> str:
    return _COLOUR.sub("", str(message.get(key, "")))
