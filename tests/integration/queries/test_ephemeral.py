"""Queries to bots that do not run, each in a real container."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.queries import ANSWER, Asked, asking
from tests.support.runner import Services, eventually, installed
from the0.errors import DeadlineExceeded, InvalidInput, Unavailable
from the0.launches import LaunchStore
from the0.models import Container, Purpose, Resources
from the0.queries.models import QueryFailed

SDK = """
from the0 import query, state

@query.handler("/all")
def everything(request):
    return {"params": request.params, "seen": state.get("seen"), "config": query.get_config()}

@query.handler("/broken")
def broken(request):
    raise ValueError("<no>")

query.run()
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANGS = "import time\nprint('up', flush=True)\nwhile True: time.sleep(1)\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(services: Services, runtime_image: str) -> AsyncIterator[Asked]:
    """No container waits: each query has one made for it."""
    settings = {
        "RUNTIME_IMAGE": runtime_image,
        "THE0_QUERY_POOL__MAX_WAITING": "0",
        "THE0_MINIO__TIMEOUT_SEC": "1",
    }
    with installed(f"q{secrets.token_hex(4)}", services, settings) as site:
        async with asking(site) as found:
            yield found


def running(asked: Asked) -> list[Container]:
    """The containers whose query process runs."""
    launches = LaunchStore(asked.settings.state_dir.launches)
    at_work = {
        one.launch
        for one in launches.all()
        if (status := launches.status(one.launch)) and status.phase == "running"
    }
    return [one for one in asked.site.containers() if one.launch in at_work]


async def test_an_answer_comes_with_config_parameters_and_state(asked: Asked) -> None:
    bot = asked.bot(SDK)
    asked.store_state(bot.id, {".the0-state/seen.json": "[1, 2]"})
    answer = await asked.ask(bot, "/all", symbol="BTC", depth=3)
    assert (answer.status, json.loads(answer.body)["data"]) == (
        200,
        {
            "params": {"symbol": "BTC", "depth": 3},
            "seen": [1, 2],
            "config": {"name": "asked", "big": 2**63 + 1},
        },
    )
    failed = await asked.ask(bot, "/broken")
    assert (failed.status, json.loads(failed.body)["error"]) == (500, "<no>")
    assert (await asked.ask(bot, "/unknown")).status == 404
    await asked.nothing_left()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise SystemExit(3)", "exit code 3 and wrote no result.json"),
        ("", "exit code 0 and wrote no result.json"),
        ("import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("open('/query/result.json', 'w').write('1' * (1 << 20) + '1')", "larger than 1,048,576"),
        ("x = bytearray(900 << 20)", "signal 9"),
        (None, "lacks the entrypoint"),
    ],
    ids=["exit", "nothing", "signal", "large", "memory", "entrypoint"],
)
async def test_a_query_that_fails_says_how(asked: Asked, source: str | None, told: str) -> None:
    bot = asked.bot(source or "")
    if source is None:
        bot = asked.bot("", entrypoints={"bot": "main.py", "query": "other.py"})
    with pytest.raises(QueryFailed, match=told):
        await asked.ask(bot)
    await asked.nothing_left()


async def test_what_a_query_changes_is_lost_and_most_of_it_refused(asked: Asked) -> None:
    bot = asked.bot(
        "import json, os\n"
        "def attempt(change):\n"
        "    try: change()\n"
        "    except OSError as error: return error.errno\n"
        "found = [attempt(lambda: open('/state/k', 'w')), attempt(lambda: open('/state/n', 'w')),\n"
        "    attempt(lambda: os.unlink('/state/k')), attempt(lambda: open('/bot/query.py', 'a'))]\n"
        "json.dump([found, open('/state/k').read()], open('/query/result.json', 'w'))\n"
    )
    asked.store_state(bot.id, {"k": "stored"})
    before = asked.storage.head("bot-state", "asked/state.tar.gz")
    answer = await asked.ask(bot)
    assert json.loads(answer.body) == [[13, 13, 13, 13], "stored"]
    await asked.nothing_left()
    assert asked.storage.head("bot-state", "asked/state.tar.gz") == before


async def test_the_newest_state_is_seen(asked: Asked) -> None:
    bot = asked.bot("open('/query/result.json', 'w').write(open('/state/k').read())")
    for turn in ("1", "22"):
        asked.store_state(bot.id, {"k": turn}, generation=turn.rjust(32, "0"))
        assert (await asked.ask(bot)).body == turn.encode()


async def test_a_query_that_hangs_ends_with_its_caller(asked: Asked) -> None:
    bot = asked.bot(HANGS)
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="within 3 s"):
        await asked.ask(bot, timeout_sec=3.0)
    assert 3.0 <= time.monotonic() - begun < 4.0
    await asked.nothing_left()


async def test_a_deadline_bounds_the_making_of_a_container_too(asked: Asked) -> None:
    with pytest.raises(DeadlineExceeded):
        await asked.ask(asked.bot(ANSWER), timeout_sec=0.05)
    await asked.nothing_left()


@pytest.mark.parametrize("after_sec", [0.05, 0.3, 2.0])
async def test_who_hangs_up_leaves_nothing_behind(asked: Asked, after_sec: float) -> None:
    asking_it = asyncio.create_task(asked.ask(asked.bot(HANGS)))
    await asyncio.sleep(after_sec)
    asking_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking_it
    await asked.nothing_left()


async def test_without_the_code_it_is_unknown_and_not_failed(asked: Asked) -> None:
    bot = asked.bot(ANSWER)
    asked.site.services.s3.freeze()
    try:
        with pytest.raises(Unavailable, match="code or state cannot be had"):
            await asked.ask(bot, timeout_sec=90.0)
    finally:
        asked.site.services.s3.thaw()
    assert (await asked.ask(bot)).status == 200
    await asked.nothing_left()


async def test_a_bot_with_limits_of_its_own_is_asked_within_them(asked: Asked) -> None:
    bot = asked.bot(
        "x = bytearray(600 << 20); open('/query/result.json', 'w').write('1')",
        resources=Resources(memory_mb=900),
    )
    assert (await asked.ask(bot)).body == b"1"


async def test_what_a_query_prints_is_in_the_bots_log(asked: Asked) -> None:
    bot = asked.bot("print('asked for', __name__)\n" + ANSWER)
    await asked.ask(bot)
    spool = asked.settings.state_dir.spool
    await asyncio.to_thread(
        eventually,
        lambda: any(b"asked for __main__" in one.read_bytes() for one in spool.rglob("*.log")),
        "the line is in the spool",
    )


async def test_a_query_that_prints_without_end_answers_all_the_same(asked: Asked) -> None:
    bot = asked.bot("for _ in range(20_000): print('x' * 1000)\n" + ANSWER)
    assert (await asked.ask(bot)).status == 200
    await asked.nothing_left()


async def test_a_container_that_is_killed_from_outside_is_no_answer(asked: Asked) -> None:
    asking_it = asyncio.create_task(asked.ask(asked.bot(HANGS)))
    await asyncio.to_thread(eventually, lambda: running(asked), "it runs")
    (container,) = running(asked)
    with asked.site.executor() as executor:
        await asyncio.to_thread(executor.kill, container.ref)
    with pytest.raises(QueryFailed, match="without a word"):
        await asking_it
    await asked.nothing_left()


async def test_a_query_runs_where_bots_run_and_names_none(asked: Asked) -> None:
    asking_it = asyncio.create_task(asked.ask(asked.bot(HANGS), timeout_sec=5.0))
    await asyncio.to_thread(eventually, lambda: running(asked), "it runs")
    (container,) = running(asked)
    assert (container.purpose, container.bot_id) == (Purpose.QUERY, "")
    with asked.site.executor() as executor:
        details = executor._look(container.ref)
        assert executor.bot_volumes() == {}
    networks = details["NetworkSettings"]["Networks"]
    assert [name.rpartition("-")[0] for name in networks] == [f"the0-{asked.site.instance}"]
    assert details["HostConfig"]["ReadonlyRootfs"]
    told = json.dumps(details["Config"])
    assert "asked" not in told.replace("maskedPaths", "")
    with pytest.raises(DeadlineExceeded):
        await asking_it
    await asked.nothing_left()


async def test_parameters_that_no_environment_takes_are_refused(asked: Asked) -> None:
    with pytest.raises(InvalidInput, match="environment, which takes 120,000"):
        await asked.ask(asked.bot(ANSWER), text="x" * 120_000)
    longest = await asked.ask(asked.bot(SDK), "/all", text="x" * 119_000)
    assert len(json.loads(longest.body)["data"]["params"]["text"]) == 119_000
