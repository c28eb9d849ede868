"""Events of NATS, in both forms of their payload, plain and kept by a stream."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import docker
import pytest

from tests.support.events import Event, event_stream, publish, publish_kept
from tests.support.faults import lives, ready, spooled_lines, started
from tests.support.runner import Installation, bot_document, eventually

ACTS_SEC = 5 * 1.0
"""Five times what it may take from an event to its container."""


def direct(action: str, document: Mapping[str, Any]) -> Event:
    return f"the0.bot.{action}", document


def wrapped(action: str, document: Mapping[str, Any]) -> Event:
    now = datetime.now(UTC).isoformat()
    payload = {"type": f"bot.{action}", "entity_id": document["id"], "data": document}
    return f"the0.bot.{action}", {**payload, "timestamp": now}


@pytest.mark.parametrize("form", [direct, wrapped])
def test_plain_events_are_stored_and_acted_on_at_once(
    site: Installation, docker_engine: docker.DockerClient, form: Any
) -> None:
    site.settings["RECONCILE_INTERVAL"] = "1h"
    site.start_host()
    eventually(lambda: ready(site), "the runner is ready")
    sent_at = datetime.now(UTC)
    publish(site.services.nats.url, form("created", bot_document("b", "ledger", v=1)))
    first = eventually(lambda: lives(docker_engine, site).get("b"), "it is created")
    created = docker_engine.containers.get(first.ref).attrs["Created"]
    took = datetime.fromisoformat(created[:26] + "+00:00") - sent_at
    print(f"from the event to the container: {took.total_seconds():.2f} s")
    assert took.total_seconds() < ACTS_SEC
    assert site.bots.find_one({"id": "b"})["config"]["v"] == 1
    publish(site.services.nats.url, form("updated", bot_document("b", "ledger", v=2)))
    eventually(lambda: "runs 2" in spooled_lines(site, "b"), "it runs as the update says")
    assert site.bots.find_one({"id": "b"})["config"]["v"] == 2
    publish(site.services.nats.url, form("deleted", {"id": "b"}))
    eventually(lambda: not site.containers(), "it is deleted")
    assert site.bots.find_one({"id": "b"}) is None


def test_what_was_sent_while_the_host_was_down_is_acted_on(
    site: Installation, docker_engine: docker.DockerClient
) -> None:
    site.settings["RECONCILE_INTERVAL"] = "1h"
    url = site.services.nats.url
    with event_stream(url):
        started(site, "stays", "changes", "goes")
        eventually(lambda: ready(site), "it follows the stream")
        before = lives(docker_engine, site)
        site.kill_host()
        publish_kept(
            url,
            direct("created", bot_document("new", "ledger")),
            wrapped("created", bot_document("newer", "ledger", v=1)),
            direct("updated", bot_document("newer", "ledger", v=2)),
            wrapped("updated", bot_document("changes", "ledger", v=3)),
            direct("deleted", {"id": "goes"}),
            wrapped("deleted", {"id": "never was"}),
        )
        assert {one["id"] for one in site.bots.find()} == {"stays", "changes", "goes"}
        site.start_host()
        eventually(lambda: "runs 2" in spooled_lines(site, "newer"), "created, then updated")
        eventually(lambda: "runs 3" in spooled_lines(site, "changes"), "updated")
        expected = {"stays", "changes", "new", "newer"}
        eventually(lambda: lives(docker_engine, site).keys() == expected, "as the events say")
    assert {one["id"] for one in site.bots.find()} == expected
    assert lives(docker_engine, site)["stays"] == before["stays"]
