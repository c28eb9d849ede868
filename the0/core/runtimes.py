"""What each runtime's bots would be started with now, or why they cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from the0.core.engine import Engine
from the0.core.images import Image, find_image, image_tag
from the0.core.launcher import Launcher
from the0.core.plan import RUNTIME_MISSING, Hold
from the0.errors import PluginError, Unavailable
from the0.plugin.interfaces import PluginArgs, Runtime
from the0.plugin.registry import Registry


@dataclass(frozen=True)
class Ready:
    """A runtime whose bots can be started; `platform` is the platform hash they would have."""

    runtime: Runtime
    image: Image
    platform: str


class Runtimes:
    """The site's runtimes by the names that documents use; `override` is the tag of one image
    for all of them, empty for their own."""

    def __init__(
        self, registry: Registry[Any], args: PluginArgs, engine: Engine, launcher: Launcher
    ) -> None:
        self._registry = registry
        self._args = args
        self._engine = engine
        self._launcher = launcher
        self._override = image_override(args)
        self._made: dict[str, tuple[Runtime, str]] = {}
        self._known: dict[str, Ready | Hold] = {}

    def get(self, name: str) -> Ready | Hold:
        """As of the last :meth:`look`."""
        unknown = Hold("ImageMissing", "NotLookedYet", f"The runtime {name!r} is being looked up.")
        return self._known.get(name, unknown)

    def any_ready(self, preferred: str) -> Ready | Hold:
        """For what needs an image but nothing of its language: `preferred`, or another."""
        wanted = self.get(preferred)
        others = (one for one in self._known.values() if isinstance(one, Ready))
        return wanted if isinstance(wanted, Ready) else next(others, wanted)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    async def look(self, name: str) -> None:
        """Find out how the runtime stands now."""
        self._known[name] = await self._find(name)

    async def _find(self, name: str) -> Ready | Hold:
        try:
            runtime, tag = self._make(name)
            image = await self._engine.call(find_image, self._engine.executor, tag)
        except PluginError as error:
            return Hold(RUNTIME_MISSING, "NoPlugin", error.message)
        except Unavailable as error:
            return Hold("EngineUnavailable", "NoAnswer", error.message)
        if isinstance(image, Hold):
            return image
        return Ready(runtime, image, self._launcher.platform_hash(image))

    def _make(self, name: str) -> tuple[Runtime, str]:
        cls = self._registry.get(name)
        if cls.name not in self._made:
            runtime = cls(self._args)
            self._made[cls.name] = (runtime, self._override or image_tag(runtime))
        return self._made[cls.name]


def image_override(args: PluginArgs) -> str:
    """The image that the executor's settings name for all runtimes (RUNTIME_IMAGE), if any.

    It is the executor's own setting, so it is looked up by name: the core knows no executor.
    """
    values = (getattr(one, "runtime_image", "") for one in args.sections.values())
    return next((value for value in values if value), "")
