"""What the scheduler knows: the schedules as MongoDB has them, and what became of the last runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from the0.core.desired import Desired, ReadReport
from the0.core.plan import Absence
from the0.documents import is_enabled
from the0.errors import Conflict, InvalidDocument, NotFound, The0Error
from the0.models import BotSchedule, BotType, Run
from the0.plugin.interfaces import Scheduler
from the0.repository import Repository
from the0.schedules import parse_schedule
from the0.settings import LimitSettings, SchedulerSettings

READ_TIMEOUT_SEC = 60.0
OVERLAP = timedelta(seconds=5)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadResult:
    """The last read of all schedules: when it ended, what it saw, why it could not (empty: it
    could)."""

    ended_at: datetime
    schedules: int = 0
    nameless: int = 0
    doubted: int = 0
    shared: int = 0
    fault: str = ""

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "ended_at": self.ended_at.isoformat()}


class ScheduleReader:
    """Reads all schedules now and then, and one when it matters."""

    def __init__(
        self,
        repository: Repository,
        scheduler: Scheduler,
        limits: LimitSettings,
        defaults: SchedulerSettings,
        installation: str,
    ) -> None:
        self.result: ReadResult | None = None
        self.last_runs: dict[str, Run] = {}
        self._choices: dict[str, str] = {}
        self._repository = repository
        self._installation = installation

        def parse(document: Any) -> BotSchedule:
            return parse_schedule(document, limits, defaults, scheduler)

        self._parse = parse
        self.desired = Desired(self._parse)
        self._ended_since = datetime.now(UTC) - timedelta(days=defaults.runs_kept_days)

    async def read_all(self, expected: Collection[str]) -> Collection[str]:
        """Read everything; the ids of bots whose document is new, changed or gone. `expected` are
        those that have containers. What cannot be read is a fault of the result."""
        begun = time.monotonic()
        self.desired.begin_read()
        try:
            async with asyncio.timeout(READ_TIMEOUT_SEC):
                documents = await self._repository.desired(BotType.SCHEDULED)
                self._choices = await self._repository.state_choices(self._installation)
                await self._read_ended()
        except TimeoutError:
            self._fail(f"MongoDB did not give all schedules within {READ_TIMEOUT_SEC:g} s")
            return ()
        except The0Error as error:
            self._fail(error.message)
            return ()
        report = self.desired.read(documents, expected, begun)
        for bot_id in [one for one in self.last_runs if self.desired.get(one) is Absence.MISSING]:
            del self.last_runs[bot_id]
        self._note(len(documents), report)
        return report.changed

    async def read_one(self, bot_id: str) -> None:
        """Take in what MongoDB says of one bot now. Raises Unavailable."""
        document = await self._repository.get_bot(BotType.SCHEDULED, bot_id)
        if document is None:
            self.desired.remove(bot_id)
        else:
            self.desired.put(bot_id, document)

    async def runnable(self, bot_id: str) -> BotSchedule:
        """The bot as MongoDB has it now. Raises NotFound, Conflict when it may not run, and
        Unavailable."""
        document = await self._repository.get_bot(BotType.SCHEDULED, bot_id)
        if document is None:
            raise NotFound(f"There is no scheduled bot {bot_id!r}.")
        if not is_enabled(document):
            raise Conflict(f"The bot {bot_id!r} is disabled; enable it first.")
        try:
            return self._parse(document)
        except InvalidDocument as error:
            raise Conflict(error.message) from error

    async def current(self, bot_id: str) -> BotSchedule | None:
        """The bot as MongoDB has it now, None when it is not to run. Raises Unavailable."""
        try:
            return await self.runnable(bot_id)
        except (NotFound, Conflict):
            return None

    def state_keep(self, bot_id: str) -> str | None:
        """A person's answer to the bot's StateConflict, as of the last read."""
        return self._choices.get(bot_id)

    def note_ended(self, run: Run) -> None:
        before = self.last_runs.get(run.bot_id)
        if before is None or (before.slot, before.attempt) <= (run.slot, run.attempt):
            self.last_runs[run.bot_id] = run

    async def _read_ended(self) -> None:
        """What other schedulers recorded since the last read."""
        now = datetime.now(UTC)
        for run in await self._repository.ended_runs(self._ended_since):
            self.note_ended(run)
        self._ended_since = now - OVERLAP

    def _note(self, schedules: int, report: ReadReport) -> None:
        self.result = ReadResult(
            datetime.now(UTC), schedules, report.nameless, report.doubted, len(report.shared)
        )

    def _fail(self, fault: str) -> None:
        if self.result is None or self.result.fault != fault:
            log.warning("the schedules could not be read: %s", fault)
        self.result = ReadResult(datetime.now(UTC), fault=fault)
