"""Containers that wait for queries, and what becomes of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import docker
import pytest
import pytest_asyncio

from tests.support.queries import ANSWER, Asked, asking
from tests.support.runner import Installation, eventually
from the0.errors import Unavailable
from the0.models import Container, ContainerState, Purpose
from the0.queries import ephemeral_keeper
from the0.queries.models import QueryFailed

WHO = """
import os, socket
again = os.path.exists("/tmp/mark") or os.path.exists("/query/result.json")
open("/tmp/mark", "w").close()
open("/query/result.json", "w").write('"%s %s"' % (socket.gethostname(), again))
"""
HANGS = "import time\nprint('up', flush=True)\nwhile True: time.sleep(1)\n"


@pytest_asyncio.fixture
async def asked(site: Installation) -> AsyncIterator[Asked]:
    """Two containers wait."""
    site.settings["THE0_QUERY_POOL__MIN_WAITING"] = "2"
    site.settings["THE0_QUERY_POOL__MAX_WAITING"] = "3"
    async with asking(site) as found:
        await happens(lambda: ready(found) == 2, "two wait")
        yield found


def waiting(site: Installation) -> list[Container]:
    """The running query containers."""
    found = [one for one in site.containers() if one.purpose is Purpose.QUERY]
    return [one for one in found if one.state is ContainerState.RUNNING]


def refs_of(site: Installation) -> set[str]:
    return {one.ref for one in waiting(site)}


def ready(asked: Asked) -> int:
    """How many are waiting by the keeper's own account."""
    keeper = asked.queries._keeper
    assert keeper
    return sum(len(kept.pool) for kept in keeper._pools.values())


@contextmanager
def host_that_asks(site: Installation, *bots: str) -> Iterator[None]:
    """A host in a process of its own, killed in the end."""
    command = [sys.executable, "-m", "tests.support.queries_process", *bots]
    host = subprocess.Popen(command, env={**site.environ, "PYTHONPATH": "."})
    try:
        yield
    finally:
        host.kill()
        host.wait()


async def happens(seen: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(eventually, seen, what)


async def test_no_container_serves_two_jobs(asked: Asked) -> None:
    before = {one.ref[:12] for one in waiting(asked.site)}
    bot = asked.bot(WHO)
    answers = [(await asked.ask(bot)).body for _ in range(3)]
    answers += [one.body for one in await asyncio.gather(*(asked.ask(bot) for _ in range(6)))]
    names = [answer.decode().strip('"').split() for answer in answers]
    assert all(again == "False" for _, again in names)
    assert len({name for name, _ in names}) == len(names)
    assert names[0][0] in before
    # What was demanded is kept ready, within the bounds; the rest is gone.
    await happens(lambda: _three_stay(asked.site), "three go on waiting")


def _three_stay(site: Installation) -> bool:
    """Whether three containers wait, and still do three seconds later."""
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        if len(waiting(site)) != 3:
            return False
    return True


async def test_one_that_died_waiting_costs_no_answer(asked: Asked) -> None:
    dead = waiting(asked.site)
    with asked.site.executor() as executor:
        for one in dead:
            executor.kill(one.ref)
    assert (await asked.ask(asked.bot(ANSWER))).status == 200


async def test_those_of_an_old_image_are_replaced(
    site: Installation, docker_engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ephemeral_keeper, "IMAGE_SEC", 0.5)
    image = docker_engine.images.get(site.settings["RUNTIME_IMAGE"])
    tag = f"{site.instance}:test"
    image.tag(tag)
    site.settings |= {"RUNTIME_IMAGE": tag, "THE0_QUERY_POOL__MIN_WAITING": "1"}
    try:
        async with asking(site):
            await happens(lambda: waiting(site), "one waits")
            (before,) = waiting(site)
            made = docker_engine.api.create_container(image.id)
            changed = docker_engine.api.commit(made["Id"], changes="LABEL changed=1")["Id"]
            docker_engine.api.remove_container(made["Id"])
            docker_engine.images.get(changed).tag(tag)
            await happens(
                lambda: (refs := refs_of(site)) and before.ref not in refs, "it is replaced"
            )
            (after,) = refs_of(site)
            assert docker_engine.api.inspect_container(after)["Image"] == changed
    finally:
        docker_engine.images.remove(tag, noprune=True)


async def test_a_runner_leaves_them_alone(asked: Asked) -> None:
    site = asked.site
    before = refs_of(site)
    site.start_host("runner")
    await happens(lambda: _passes(site) >= 2, "the runner has looked")
    assert refs_of(site) == before
    assert site.ask("/status")[1]["bots"] == []
    assert site.stop_host() == 0
    assert (await asked.ask(asked.bot(ANSWER))).status == 200


def _passes(site: Installation) -> float:
    try:
        text = site.ask("/metrics")[1]
    except OSError:
        return 0.0
    lines = [line for line in text.splitlines() if line.startswith("the0_passes_total ")]
    return float(lines[0].split()[-1]) if lines else 0.0


async def test_what_a_killed_host_left_is_removed_by_the_next(site: Installation) -> None:
    site.settings["THE0_QUERY_POOL__MIN_WAITING"] = "1"
    async with asking(site) as first:
        for bot_id in ("one", "two", "three"):
            first.bot(HANGS, bot_id)
    with host_that_asks(site, "one", "two", "three"):
        await happens(lambda: len(waiting(site)) >= 4, "three run and one waits")
    left = refs_of(site)
    assert len(left) >= 4
    async with asking(site) as second:
        await happens(lambda: left.isdisjoint(one.ref for one in site.containers()), "gone")
        launches = second.settings.state_dir.launches
        await happens(lambda: len(list(launches.iterdir())) <= 1, "so are their launches")
        assert (await second.ask(second.bot(ANSWER))).status == 200
    assert site.containers() == []
    assert list(second.settings.state_dir.launches.iterdir()) == []


@pytest.mark.parametrize("after_sec", [0.0, 0.1, 0.4])
async def test_a_host_that_stops_leaves_nothing_even_of_what_it_makes(
    site: Installation, after_sec: float
) -> None:
    site.settings["THE0_QUERY_POOL__MAX_WAITING"] = "0"
    async with asking(site) as found:
        bot = found.bot(HANGS)
        asks = [asyncio.create_task(found.ask(bot)) for _ in range(2)]
        await asyncio.sleep(after_sec)
    assert site.containers() == []
    assert list(found.settings.state_dir.launches.iterdir()) == []
    outcomes = await asyncio.gather(*asks, return_exceptions=True)
    assert {type(one) for one in outcomes} <= {Unavailable, QueryFailed}
