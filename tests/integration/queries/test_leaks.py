"""Many queries of every kind, and the host killed in the midst of them: nothing of them is left."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.query_host import QueryHost, query_host
from tests.support.runner import Services
from tests.support.soak import scaled

QUERIES = scaled(60, 1000)
AT_ONCE = 8

SOURCE = """
import time
from the0 import query

@query.handler("/fast")
def fast(request):
    return request.get("n")

@query.handler("/slow")
def slow(request):
    time.sleep(3)

@query.handler("/dies")
def dies(request):
    import os
    os._exit(1)

query.run()
"""
KINDS = (
    ("running", "/fast", 60, {200, 503}),
    ("scheduled", "/fast", 60, {200}),
    ("running", "/slow", 1, {503, 504}),
    ("running", "/fast", 60, {200, 503}),
    ("scheduled", "/slow", 1, {504}),
    ("running", "/nope", 60, {404, 503}),
    ("nobody", "/fast", 60, {404}),
    ("stopped", "/fast", 60, {200}),
    ("stopped", "/dies", 60, {500}),
    ("crashing", "/dies", 60, {500, 503}),
)
GONE = "the host is gone"


@pytest.mark.timeout(scaled(300, 1800))
def test_nothing_is_left_of_many_queries(services: Services, runtime_image: str) -> None:
    settings = {"THE0_QUERY_POOL__MAX_WAITING": "2", "THE0_QUERY_POOL__IDLE_SEC": "5"}
    with query_host(services, runtime_image, settings) as host:
        for bot_id in ("running", "crashing"):
            host.bot(bot_id, SOURCE)
        host.bot("stopped", SOURCE, enabled=False)
        host.schedule("scheduled", SOURCE)
        before = {one.bot_id: one.ref for one in host.site.containers() if one.bot_id}
        outcomes: Counter[object] = Counter()
        for part in range(2):
            outcomes += _ask_many(host, QUERIES // 2, kill=part == 0)
            if part == 0:
                host.start()
        assert outcomes[GONE] < QUERIES / 2, outcomes
        assert {200, 404, 500, 504} <= outcomes.keys(), outcomes
        assert {one.bot_id: one.ref for one in host.site.containers() if one.bot_id} == before
        assert host.site.stop_host() == 0
        host.nothing_left()
        launches = [path.stem for path in (host.site.root / "launches").glob("*.json")]
        bots = {one.launch for one in host.site.containers()}
        assert {name for name in launches if "." not in name} == bots


def _ask_many(host: QueryHost, count: int, *, kill: bool) -> Counter[object]:
    """What became of so many queries; with `kill` the host dies after the first half of them."""

    def ask(number: int) -> object:
        bot_id, path, timeout_sec, expected = KINDS[number % len(KINDS)]
        if kill and number == count // 2:
            host.site.kill_host()
        try:
            answer = host.ask(bot_id, path, timeout_sec=timeout_sec, params={"n": number})
        except httpx.TransportError:
            return GONE
        assert answer.status_code in expected, (bot_id, path, answer.text)
        return answer.status_code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(ask, range(count)))
