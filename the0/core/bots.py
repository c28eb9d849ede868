"""One bot at a time: look, decide, carry out, show; again, until there is nothing to do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from the0.core.actions import Actions, Tools
from the0.core.exits import ran_for
from the0.core.plan import (
    Absence,
    Action,
    Circumstances,
    Do,
    Hold,
    Seen,
    Unseen,
    Wanted,
    decide,
    keeper,
)
from the0.core.presentation import Sight, conditions, running_bot
from the0.core.runtimes import Ready
from the0.core.service_state import ServiceState
from the0.core.tracked import (
    START_FAILED,
    Tracked,
    after_disabled,
    after_healthy_while,
    without,
)
from the0.errors import Conflict, Unavailable
from the0.launches import LaunchStatus
from the0.models import Bot, Container, ContainerState, Phase

RETRY_SEC = 2.0
LOOK_AGAIN_SEC = 0.2
STEPS = 20
"""Most steps for one bot in a row; then the others' turn comes first."""

log = logging.getLogger(__name__)


class Bots:
    """Decides for each bot and keeps what is shown of it. `hold` says why nothing at all may be
    started at the moment; `statuses` has the agents' last words by launch, `worked` for whom a
    step was carried out, or tried, since it was last emptied."""

    def __init__(self, tools: Tools, actions: Actions, hold: Callable[[], Hold | None]) -> None:
        self.state = ServiceState(tools.metrics)
        self.statuses: dict[str, LaunchStatus] = {}
        self.ending = False
        self.worked: set[str] = set()
        self._tools = tools
        self._actions = actions
        self._hold = hold
        self._seen: dict[str, Seen] = {}
        self._shown: dict[str, Sight] = {}

    async def work(self, bot_id: str) -> float | None:
        """All that is to be done for one bot now; in how many seconds to ask again."""
        try:
            return await self._steps(bot_id)
        except Unavailable as error:
            log.warning("bot %r has to wait: %s", bot_id, error)
            return RETRY_SEC

    async def _steps(self, bot_id: str) -> float | None:
        conflict: Conflict | None = None
        for _ in range(STEPS):
            wanted = self._tools.wanted(bot_id)
            if isinstance(wanted, Bot) and wanted.runtime not in self._tools.runtimes:
                await self._tools.runtimes.look(wanted.runtime)
            seen = await self._tools.engine.look_at(bot_id)
            self._adopt(bot_id, seen)
            action = self.consider(bot_id, seen)
            if action.do is Do.NOTHING:
                return _until(action, seen)
            try:
                await self._actions.carry_out(bot_id, action)
                conflict = None
            except Conflict as error:
                conflict = error
                log.info("bot %r: looking again: %s", bot_id, error)
                await asyncio.sleep(LOOK_AGAIN_SEC)
            finally:
                self.worked.add(bot_id)
        if conflict:
            self._actions.give_up(bot_id, action, conflict)
        return RETRY_SEC

    def _adopt(self, bot_id: str, seen: Seen) -> None:
        """A container that runs is this bot's launch, whoever started it."""
        if isinstance(seen, Unseen) or len(seen) != 1:
            return
        store, launch = self._tools.store, seen[0].launch
        tracked = store.get(bot_id)
        if seen[0].state in (ContainerState.RUNNING, ContainerState.PAUSED) and (
            tracked.launch != launch
        ):
            adopted = replace(
                tracked,
                launch=launch,
                launched=True,
                unsaved=True,
                conditions=without(tracked.conditions, START_FAILED),
            )
            store.put(bot_id, adopted)
            log.info("bot %r runs already; it is adopted", bot_id)

    def consider(self, bot_id: str, seen: Seen) -> Action:
        """The next step for a bot whose containers are `seen`; what is shown is brought up to
        date on the way."""
        tools, now = self._tools, datetime.now(UTC)
        wanted, tracked = tools.wanted(bot_id), tools.store.get(bot_id)
        around = self._around(wanted, tracked)
        action = decide(wanted, seen, tracked, now, around)
        container = None if isinstance(seen, Unseen) or not seen else keeper(seen)
        tracked = self._settled(tracked, action, container, now)
        status = self.statuses.get(container.launch) if container else None
        sight = Sight(bot_id, wanted, tracked, action, container, status, around.platform)
        self._seen[bot_id] = seen
        self._show(sight, now)
        return action

    @property
    def shown(self) -> Collection[str]:
        """The ids of all bots that :attr:`state` has."""
        return self._shown.keys()

    def refresh(self, bot_id: str) -> None:
        """Show a bot anew after its agent spoke; decides nothing."""
        if bot_id in self._seen:
            self.consider(bot_id, self._seen[bot_id])

    def _around(self, wanted: Wanted, tracked: Tracked) -> Circumstances:
        tools = self._tools
        if isinstance(wanted, Bot):
            ready = tools.runtimes.get(wanted.runtime)
        else:
            ready = tools.runtimes.any_ready(tracked.runtime)
        hold = ready if isinstance(ready, Hold) else self._hold()
        platform = ready.platform if isinstance(ready, Ready) else ""
        return Circumstances(tools.backoff, hold, platform, self.ending)

    def _settled(
        self, tracked: Tracked, action: Action, container: Container | None, now: datetime
    ) -> Tracked:
        if action.phase is Phase.DISABLED:
            return after_disabled(tracked)
        if tracked.crashes and container and container.state is ContainerState.RUNNING:
            return after_healthy_while(tracked, ran_for(container, now), self._tools.backoff)
        return tracked

    def _show(self, sight: Sight, now: datetime) -> None:
        before = self._shown.get(sight.id)
        if before == sight:
            return
        if (
            sight.wanted is Absence.MISSING
            and sight.action.do is Do.NOTHING
            and not sight.container
        ):
            self.forget(sight.id)
            if sight.tracked == Tracked():
                self._tools.store.remove(sight.id)
            return
        current = replace(sight, tracked=replace(sight.tracked, conditions=conditions(sight, now)))
        self._tools.store.put(sight.id, current.tracked)
        self._shown[sight.id] = current
        self.state.put(running_bot(current))

    def forget(self, bot_id: str) -> None:
        """The bot is gone, and what was remembered of it too."""
        self._shown.pop(bot_id, None)
        self._seen.pop(bot_id, None)
        self.state.remove(bot_id)


def launches_of(seen: Sequence[Container]) -> set[str]:
    return {one.launch for one in seen}


def _until(action: Action, seen: Seen) -> float | None:
    """Seconds until there may be something to do by itself."""
    if action.at is not None:
        return max(0.0, (action.at - datetime.now(UTC)).total_seconds())
    return RETRY_SEC if action.phase is Phase.UNKNOWN or isinstance(seen, Unseen) else None
