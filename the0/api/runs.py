"""Runs of scheduled bots: what became of each slot, and what a person wants of one."""

from __future__ import annotations

from sanic import HTTPResponse
from sanic.response import raw

from the0.api import schemas
from the0.api.parts import Parts
from the0.api.routes import Answer, Call, Route
from the0.api.run_logs import Span, read_span
from the0.core.views import run_json
from the0.errors import Conflict, InvalidInput, NotFound
from the0.models import Run
from the0.storage.logs import LogStore
from the0.values import read_time

SCHEDULER = "scheduler"
NDJSON = "application/x-ndjson"
_RUN = "/api/v1/runs/<run>"


class Runs:
    """Handlers of `/api/v1/runs` and `/api/v1/bots/<id>/run-now`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = LogStore(parts.storage, parts.settings.storage.logs_bucket)

    def routes(self) -> list[Route]:
        return [*self._reading(), *self._commands()]

    def _reading(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/api/v1/runs",
                "list_runs",
                "Runs of one scheduled bot or of all, the newest slot first.",
                self.list,
                schemas.RUN_LIST,
                query=schemas.RUNS_QUERY,
            ),
            Route("GET", _RUN, "show_run", "One run.", self.show, schemas.ref("Run")),
            Route(
                "GET",
                f"{_RUN}/logs",
                "run_logs",
                "What the bot wrote during a run, as NDJSON objects with `timestamp`.",
                self.logs,
                schemas.TEXT,
                query=schemas.RUN_LOGS_QUERY,
                media=NDJSON,
            ),
        ]

    def _commands(self) -> list[Route]:
        return [
            Route(
                "POST",
                f"{_RUN}/cancel",
                "cancel_run",
                "Have a run end: SIGTERM, grace, SIGKILL. It has ended once its outcome is there.",
                self.cancel,
                schemas.RUN_TOLD,
                status=202,
            ),
            Route(
                "POST",
                "/api/v1/bots/<id>/run-now",
                "run_now",
                "Run a scheduled bot once, now, beside its schedule.",
                self.run_now,
                schemas.RUN_TOLD,
                status=202,
            ),
        ]

    async def list(self, call: Call) -> Answer:
        before = call.query.get("before")
        limit = read_time(before)
        if before and limit is None:
            raise InvalidInput(f"{before!r} is no time: give `before` like 2026-01-31T09:00:00Z.")
        last = call.query.get("after")
        after = await self._found(last) if last else None
        runs = await self._parts.repository.list_runs(
            call.query.get("bot"), call.query["limit"], limit, after
        )
        return Answer({"runs": [run_json(run) for run in runs]})

    async def show(self, call: Call) -> Answer:
        return Answer(run_json(await self._found(call.path["run"])))

    async def logs(self, call: Call) -> HTTPResponse:
        run = await self._found(call.path["run"])
        if run.started is None:
            raise NotFound(f"The run {run.id} wrote nothing: {run.reason or 'it did not start'}.")
        lines = await self._parts.calls.call(
            read_span,
            Span(run.bot_id, run.started, run.ended, call.query["lines"]),
            self._parts.settings.state_dir.spool,
            self._store,
        )
        return raw("".join(f"{line}\n" for line in lines), content_type=NDJSON)

    async def cancel(self, call: Call) -> Answer:
        return await self._command("/cancel", {"run": call.path["run"]})

    async def run_now(self, call: Call) -> Answer:
        return await self._command("/run-now", {"bot_id": call.path["id"]})

    async def _command(self, path: str, body: dict[str, str]) -> Answer:
        done = await self._parts.roles.command(SCHEDULER, path, body)
        return Answer({"run": done["run"]}, 202)

    async def _found(self, run_id: str) -> Run:
        run = await self._parts.repository.get_run(run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id!r}; see `the0 runs list`.")
        return run


async def cancel_running(parts: Parts, bot_id: str) -> None:
    """Have the run of a bot end that goes on, if there is one."""
    for run in await parts.repository.active_runs():
        if run.bot_id == bot_id:
            try:
                await parts.roles.command(SCHEDULER, "/cancel", {"run": run.id})
            except Conflict:
                continue  # it ended meanwhile
