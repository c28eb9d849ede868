"""Runs of scheduled bots: who may start what, and what became of it.

A claim is an insert on a key of its own, journaled by a majority before it returns: of any number
of schedulers one gets it, and it outlives a database that is killed. Everything after that changes
exactly the version that was read. Active runs carry a flag with an index of its own, so that what
is looked at every few seconds does not grow with what is remembered.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from the0.errors import InvalidDocument
from the0.models import JSON, BotType, Condition, Outcome, Run, Trigger
from the0.repository.connection import Connection, Document
from the0.values import to_bson, to_json

_DUPLICATE_KEY = 11000
_FIELDS = tuple(field.name for field in dataclasses.fields(Run))


class RunRecords:
    """The collection `runs` of the platform's own database."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def claim_run(self, run: Run) -> bool:
        """Take a run for its owner; False when somebody has it already. Durable on return.

        Raises Unavailable when that cannot be known; asking again with the same run is safe.
        """
        with self.connection.call():
            try:
                await self._runs.insert_one(_document(run))
            except DuplicateKeyError:
                stored = await self._runs.find_one({"_id": run.id}) or {}
                # Perhaps it was our own insert, whose answer was lost.
                return (stored.get("owner"), stored.get("launch")) == (run.owner, run.launch)
        return True

    async def record_runs(self, runs: Sequence[Run]) -> int:
        """Store runs that ended without a start; those that somebody has claimed stay as they
        are. How many were stored."""
        if not runs:
            return 0
        with self.connection.call():
            try:
                await self._runs.insert_many([_document(run) for run in runs], ordered=False)
            except BulkWriteError as error:
                errors = error.details["writeErrors"]
                if any(one["code"] != _DUPLICATE_KEY for one in errors):
                    raise
                return len(runs) - len(errors)
        return len(runs)

    async def hold_run(self, run: Run) -> bool:
        """Renew the lease of a claimed run, with the launch it is about to have; False when it is
        no longer its owner's, or somebody asked for its end."""
        return await self._change_held(run, {"launch": run.launch, "lease_until": run.lease_until})

    async def begin_run(self, run: Run, started: datetime) -> bool:
        """Note that the container of `run` was started; False when it is no longer its owner's,
        or somebody asked for its end."""
        return await self._change_held(run, {"started": started, "launch": run.launch})

    async def _change_held(self, run: Run, fields: Document) -> bool:
        held = {"_id": run.id, "owner": run.owner, "active": True, "cancel": ""}
        with self.connection.call():
            return (await self._runs.update_one(held, {"$set": fields})).matched_count == 1

    async def finish_run(self, run: Run) -> bool:
        """Store how a run ended; False when that is known already, which then stays. How a
        container ended is for anybody to tell, that there will be none only for the owner."""
        whose = {} if run.started else {"owner": run.owner}
        fields = {k: v for k, v in _document(run).items() if k not in ("_id", "active", "cancel")}
        with self.connection.call():
            result = await self._runs.update_one(
                {"_id": run.id, "active": True, **whose},
                {"$set": {**fields, "lease_until": None}, "$unset": {"active": ""}},
            )
            return result.matched_count == 1

    async def cancel_run(self, run_id: str, by: str) -> bool:
        """Have a run end early; False when it has ended, or somebody asked before."""
        with self.connection.call():
            result = await self._runs.update_one(
                {"_id": run_id, "active": True, "cancel": ""}, {"$set": {"cancel": by}}
            )
            return result.matched_count == 1

    # --- leases ---

    async def renew_leases(self, owner: str, until: datetime) -> None:
        """Keep all active runs of `owner` for it. A renewal may be lost with the database."""
        runs = self.connection.records("runs", durable=False)
        with self.connection.call():
            await runs.update_many(
                {"active": True, "owner": owner}, {"$set": {"lease_until": until}}
            )

    async def release_leases(self, owner: str) -> None:
        """Let others take over at once what `owner` looked after."""
        with self.connection.call():
            await self._runs.update_many(
                {"active": True, "owner": owner}, {"$set": {"owner": "", "lease_until": None}}
            )

    async def take_over(self, run: Run, owner: str, until: datetime) -> bool:
        """Make `owner` the one who looks after `run`, unless anything about its lease changed
        since it was read."""
        as_read = {
            "_id": run.id,
            "active": True,
            "owner": run.owner,
            "lease_until": run.lease_until,
        }
        with self.connection.call():
            change = {"$set": {"owner": owner, "lease_until": until}}
            return (await self._runs.update_one(as_read, change)).matched_count == 1

    # --- reading ---

    async def get_run(self, run_id: str) -> Run | None:
        with self.connection.call():
            document = await self._runs.find_one({"_id": run_id})
        return _run(document) if document else None

    async def active_runs(self) -> list[Run]:
        """Every run that has not ended, of all schedulers, in the order of their due times."""
        with self.connection.call():
            found = [_run(one) async for one in self._runs.find({"active": True})]
        return sorted(found, key=lambda run: (run.due, run.id))

    async def list_runs(
        self,
        bot_id: str | None = None,
        limit: int = 100,
        before: datetime | None = None,
        after: Run | None = None,
    ) -> list[Run]:
        """The newest runs, of one bot or of all, those of slots before `before`; by slot, attempt
        and id, the newest first. `after` is the last one of the page before."""
        query: Document = {} if bot_id is None else {"bot_id": bot_id}
        if before is not None:
            query["slot"] = {"$lt": before}
        if after is not None:
            query["$or"] = _follows(after)
        order = [(name, DESCENDING) for name in ("slot", "attempt", "_id")]
        with self.connection.call():
            found = self._runs.find(query).sort(order).limit(limit)
            return [_run(one) async for one in found]

    async def ended_runs(self, since: datetime, limit: int = 10_000) -> list[Run]:
        """Runs that ended at `since` or later, the newest `limit`, oldest first; without what may
        be large."""
        query = {"ended": {"$gte": since}}
        large = {"log_tail": 0, "result": 0}
        with self.connection.call():
            found = self._runs.find(query, large).sort("ended", DESCENDING).limit(limit)
            return [_run(one) async for one in found][::-1]

    # --- retention ---

    async def trim_runs(self, bot_id: str, keep: int, claims_since: datetime) -> int:
        """Forget all but the newest `keep` ended runs of a bot; how many went.

        Of slots since `claims_since` the older ones keep their claims, without what may be large:
        a clock that is set back makes these slots due again.
        """
        with self.connection.call():
            found = self._runs.find({"bot_id": bot_id}, {"slot": 1})
            newest = found.sort("slot", DESCENDING).skip(keep - 1).limit(1)
            oldest_kept = [one async for one in newest]
            if not oldest_kept:
                return 0
            older = {
                "bot_id": bot_id,
                "slot": {"$lt": oldest_kept[0]["slot"]},
                "outcome": {"$ne": None},
            }
            await self._runs.update_many(older, {"$set": {"result": None, "log_tail": []}})
            older["slot"] = {"$lt": min(oldest_kept[0]["slot"], claims_since)}
            return (await self._runs.delete_many(older)).deleted_count

    async def forget_runs(self, before: datetime) -> int:
        """Forget runs that ended before `before`; how many went."""
        with self.connection.call():
            return (await self._runs.delete_many({"ended": {"$lt": before}})).deleted_count

    async def make_run_indexes(self) -> None:
        """Call once at a scheduler's start. A database that forbids them works without."""
        by_bot = [("bot_id", 1), ("slot", -1)]
        for keys, options in ((by_bot, {}), ("slot", {}), ("ended", {}), ("active", _SPARSE)):
            with self.connection.call():
                try:
                    await self._runs.create_index(keys, **options)
                except OperationFailure:
                    continue

    # --- the plan in the bot's document ---

    async def plan_bot(self, bot_id: str, at: datetime | None, *, forward: bool = False) -> None:
        """Store when a bot is next due (`next_execution_time`, whole seconds); None takes it away.
        `forward` never moves it back. No error when there is no such bot."""
        seconds = None if at is None else int(at.timestamp())
        change: Document = {"$unset": {"next_execution_time": ""}}
        if seconds is not None:
            change = {"$max" if forward else "$set": {"next_execution_time": seconds}}
        bots = self.connection.bots(BotType.SCHEDULED)
        with self.connection.call():
            for field in ("id", "_id"):
                if (await bots.update_one({field: bot_id}, change)).matched_count:
                    return

    @property
    def _runs(self) -> AsyncCollection[Document]:
        return self.connection.records("runs")


_SPARSE: Mapping[str, Any] = {"sparse": True}


def _follows(run: Run) -> list[Document]:
    """What comes after `run` where the newest is first: many bots have runs of one slot."""
    return [
        {"slot": {"$lt": run.slot}},
        {"slot": run.slot, "attempt": {"$lt": run.attempt}},
        {"slot": run.slot, "attempt": run.attempt, "_id": {"$lt": run.id}},
    ]


def _document(run: Run) -> Document:
    fields = {name: getattr(run, name) for name in _FIELDS}
    stored = {
        **fields,
        "trigger": run.trigger.value,
        "outcome": run.outcome.value if run.outcome else None,
        "conditions": [dataclasses.asdict(one) for one in run.conditions],
        "log_tail": list(run.log_tail),
        "result": to_bson({"value": run.result})["value"],
    }
    del stored["id"]
    return {"_id": run.id, **stored, **({} if run.outcome else {"active": True})}


def _run(document: Mapping[str, Any]) -> Run:
    known = {name: document[name] for name in _FIELDS if name in document}
    changed = {
        "id": document["_id"],
        "trigger": Trigger(document["trigger"]),
        "outcome": Outcome(document["outcome"]) if document.get("outcome") else None,
        "conditions": tuple(_condition(one) for one in document.get("conditions", ())),
        "log_tail": tuple(document.get("log_tail", ())),
        "result": _result(document.get("result")),
    }
    return Run(**known | changed)


def _result(stored: Any) -> JSON:
    """None for one that cannot be read: it is a stranger's, and lists of runs hold many."""
    try:
        return to_json(stored, "result")
    except InvalidDocument:
        return None


def _condition(document: Mapping[str, Any]) -> Condition:
    names = (field.name for field in dataclasses.fields(Condition))
    return Condition(**{name: document[name] for name in names})
