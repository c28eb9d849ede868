"""Restoring state from a store that fails in every way: no bot starts on it, nothing is lost."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.faults import spooled_lines, stored_state
from tests.support.runner import Installation, Services, eventually, installed, stays
from tests.support.s3_front import Fault, S3Front, s3_front

FAULTS: dict[Fault, str] = {
    "500": "500",
    "hang": "timed out",
    "cut": "",
    "wrong bytes": "damaged",
    "empty": "",
    "denied": "AccessDenied",
    "no bucket": "missing",
    "not S3": "not S3",
}
"""What is wrong, and a word of the condition's message that says so."""

CODE = """
import os, time

def main(bot_id, config):
    found = open("/state/count").read() if os.path.exists("/state/count") else "nothing"
    print("found", found, flush=True)
    open("/state/count", "w").write(str(int(found) + 1 if found != "nothing" else 1))
    open("/state/more", "w").write(os.urandom(5000).hex())
    while True:
        time.sleep(1)
"""


class Stored(NamedTuple):
    """An object as it lies in the store."""

    content: bytes
    metadata: dict[str, str]


@pytest.fixture
def front(services: Services) -> Iterator[S3Front]:
    with s3_front(services.s3.endpoint) as found:
        yield found


@pytest.fixture
def site(
    instance: str, services: Services, runtime_image: str, front: S3Front
) -> Iterator[Installation]:
    settings = {
        "RUNTIME_IMAGE": runtime_image,
        "MINIO_ENDPOINT": front.endpoint,
        "THE0_MINIO__TIMEOUT_SEC": "1",
        "THE0_RUNNER__STOP_GRACE_SEC": "1",
        "THE0_SYNC__MIN_INTERVAL_SEC": "0.5",
    }
    with installed(instance, services, settings) as found:
        found.upload("restored", CODE)
        yield found
        front.heal()


def test_no_bot_starts_on_a_store_that_fails(site: Installation, front: S3Front) -> None:
    bots = {fault: fault.replace(" ", "-") for fault in FAULTS}
    left_in_store(site, list(bots.values()))
    before = {bot_id: stored(site, bot_id) for bot_id in bots.values()}
    front.faults |= {f"/bot-state/{bot_id}/": fault for fault, bot_id in bots.items()}
    for bot_id in bots.values():
        site.enable(bot_id, True)
    site.wake(None)
    for fault, bot_id in bots.items():
        assert FAULTS[fault] in told(site, bot_id)
    stays(lambda: [lines(site, bot_id) for bot_id in bots.values()], 3, "no bot runs")
    assert {bot_id: stored(site, bot_id) for bot_id in bots.values()} == before
    front.heal()
    for bot_id in bots.values():
        eventually(lambda bot_id=bot_id: lines(site, bot_id)[-1] == "found 1", f"{bot_id} runs")
        eventually(lambda bot_id=bot_id: not site.shown(bot_id)["conditions"], "and it is well")
        assert site.shown(bot_id)["last_exit"]["asked_by"] == "disabled"
    assert "Traceback" not in site.log()


def test_an_object_that_was_damaged_is_not_taken_and_not_replaced(site: Installation) -> None:
    bots = ["was-cut", "other-content", "no-archive"]
    left_in_store(site, bots)
    sound = {bot_id: stored(site, bot_id) for bot_id in bots}
    contents = [sound["was-cut"].content[:-200], empty_archive(), b"\0" * 1000]
    for bot_id, content in zip(bots, contents, strict=True):
        put(site, bot_id, Stored(content, sound[bot_id].metadata))
        site.enable(bot_id, True)
    site.wake(None)
    for bot_id in bots:
        assert "damaged" in told(site, bot_id)
    stays(lambda: [lines(site, bot_id) for bot_id in bots], 3, "no bot runs")
    assert [stored(site, bot_id).content for bot_id in bots] == contents
    for bot_id in bots:
        put(site, bot_id, sound[bot_id])
    for bot_id in bots:
        eventually(lambda bot_id=bot_id: lines(site, bot_id)[-1] == "found 1", f"{bot_id} runs")


def test_a_missing_bucket_is_no_first_run(site: Installation, front: S3Front) -> None:
    left_in_store(site, ["homeless"])
    keys = [one.object_name for one in site.store.list_objects("bot-state", recursive=True)]
    store = site.store
    kept = {key: stored(site, key.partition("/")[0]) for key in keys}
    for key in keys:
        store.remove_object("bot-state", key)
    store.remove_bucket("bot-state")
    site.enable("homeless", True)
    site.wake("homeless")
    assert "bot-state" in told(site, "homeless")
    assert lines(site, "homeless") == ["found nothing"]
    front.faults["/bot-state"] = "no bucket"  # one without objects would be a first run indeed
    store.make_bucket("bot-state")
    for key, one in kept.items():
        put(site, key.partition("/")[0], one)
    front.heal()
    eventually(lambda: lines(site, "homeless")[-1] == "found 1", "it runs with what it had")


def left_in_store(site: Installation, bot_ids: list[str]) -> None:
    """Each bot ran once and is disabled; its state is stored, its volumes are gone."""
    for bot_id in bot_ids:
        site.put(bot_id, "restored")
    site.start_host()
    for bot_id in bot_ids:
        eventually(lambda bot_id=bot_id: lines(site, bot_id), f"{bot_id} ran")
        site.enable(bot_id, False)
    site.wake(None)
    eventually(lambda: not site.containers(), "all are stopped")
    for bot_id in bot_ids:
        assert stored_state(site, bot_id)["count"] == "1"
        with site.executor() as executor:
            executor.remove_bot_volumes(bot_id)


def told(site: Installation, bot_id: str) -> str:
    """Why the bot does not run, once that is told by its condition."""

    def message() -> str:
        conditions = site.shown(bot_id).get("conditions", ())
        found = {one["type"]: one["message"] for one in conditions}
        return str(found.get("StateUnavailable", ""))

    return str(eventually(message, f"{bot_id} says why it does not run"))


def lines(site: Installation, bot_id: str) -> list[str]:
    """What the bot itself said in all its launches."""
    return [line for line in spooled_lines(site, bot_id) if line.startswith("found")]


def stored(site: Installation, bot_id: str) -> Stored:
    key = f"{bot_id}/state.tar.gz"
    metadata = site.store.stat_object("bot-state", key).metadata or {}
    own = {name.lower(): value for name, value in metadata.items()}
    kept = {name: value for name, value in own.items() if name.startswith("x-amz-meta-")}
    return Stored(site.store.get_object("bot-state", key).read(), kept)


def put(site: Installation, bot_id: str, state: Stored) -> None:
    site.store.put_object(
        "bot-state",
        f"{bot_id}/state.tar.gz",
        io.BytesIO(state.content),
        len(state.content),
        metadata=dict(state.metadata),
    )


def empty_archive() -> bytes:
    """A sound state.tar.gz, though of another state."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w"):
        pass
    return gzip.compress(body.getvalue())
