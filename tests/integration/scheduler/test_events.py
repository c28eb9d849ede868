"""Changes that are told over NATS, and what the scheduler tells there itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import nats

from tests.support.runner import eventually
from tests.support.schedules import Schedules, once_in
from the0.events.connection import round_trip


def tell(schedules: Schedules, action: str, payload: dict[str, Any]) -> None:
    async def publish() -> None:
        client = await nats.connect(schedules.site.services.nats.url)
        await client.publish(f"the0.bot-schedule.{action}", json.dumps(payload).encode())
        await client.close()

    asyncio.run(publish())


def test_events_take_effect_at_once(schedules: Schedules) -> None:
    schedules.site.settings["THE0_SCHEDULER__REREAD_INTERVAL_SEC"] = "600"
    schedules.start()
    schedules.put("told", once_in(6))
    document = schedules.documents.find_one_and_delete({"id": "told"})
    del document["_id"]
    tell(schedules, "created", document)
    (record,) = schedules.ended("told")
    assert record["outcome"] == "succeeded"
    later = {
        **document,
        "config": {**document["config"], "schedule": "*/4 * * * * *", "what": "hang"},
    }
    later["config"]["stop_grace_sec"] = 5
    wrapped = {"type": "bot-schedule.updated", "entity_id": "told", "data": later}
    tell(schedules, "updated", wrapped)
    eventually(lambda: len(schedules.runs("told")) > 1, "the new schedule counts")
    eventually(lambda: schedules.runs("told")[1]["started"], "it runs")
    tell(schedules, "deleted", {"id": "told"})
    second = schedules.ended("told", 2)[1]
    assert (second["outcome"], second["reason"]) == ("cancelled", "the bot was deleted")


def test_a_bot_that_fails_again_and_again_is_told_once(schedules: Schedules) -> None:
    schedules.site.settings |= {
        "THE0_SCHEDULER__WARN_AFTER_FAILURES": "2",
        "THE0_SCHEDULER__RETRY_INITIAL_SEC": "0.5",
    }
    schedules.start()
    schedules.put("fails", once_in(4), what="fail", retries=2)
    schedules.wake("fails")

    async def listen() -> list[dict[str, Any]]:
        client = await nats.connect(schedules.site.services.nats.url)
        warnings = await client.subscribe("the0.alerts.bot-schedule.*")
        await round_trip(client)
        await asyncio.to_thread(schedules.ended, "fails", 3)
        heard = [json.loads(message.data) for message in [await warnings.next_msg(10)]]
        heard += [
            json.loads((await warnings.next_msg()).data) for _ in range(warnings.pending_msgs)
        ]
        await client.close()
        return heard

    (warning,) = asyncio.run(listen())
    second = schedules.runs("fails")[1]
    assert (warning["bot_id"], warning["failures"]) == ("fails", 2)
    assert (warning["run"], warning["outcome"]) == (second["_id"], "failed")
