"""Who may ask, what is reported, and how one gateway follows another."""

from __future__ import annotations

import asyncio
import dataclasses
import http.client
import json
import logging
import socket
import stat
import time

import pytest
from the0_host.gateway import GatewayRole

from tests.support.gateway import Client, Site, threaded, until
from the0.api.roles import Roles
from the0.gateway import Gateway
from the0.gateway.listener import CONNECTIONS_PER_CONTAINER
from the0.gateway.service import CLOSE_SEC
from the0.gateway.services import REQUESTS_AT_ONCE
from the0.launches import Launch


async def test_every_request_needs_its_launch_and_its_token(site: Site) -> None:
    async with site.gateway():
        good = site.launch()
        for bad in (
            dataclasses.replace(good, token="0" * 64),
            dataclasses.replace(good, launch="0" * 32),
            dataclasses.replace(site.launch(), token=good.token),
        ):
            for method, path in (
                ("GET", "/v1/launch"),
                ("GET", "/v1/code"),
                ("GET", "/v1/state"),
                ("PUT", "/v1/state"),
                ("POST", "/v1/logs"),
                ("POST", "/v1/status"),
                ("PUT", "/v1/result"),
            ):
                answer = await threaded(bad.ask, method, path, b"{}")
                assert (answer.status, answer.code) == (401, "unknown_launch")
        site.launches.remove(good.launch)
        assert (await threaded(good.ask, "GET", "/v1/launch")).status == 401


async def test_a_stranger_is_refused_before_a_body_is_read(site: Site) -> None:
    def announce(client: Client) -> bytes:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(30)
            connection.connect(str(client.path))
            connection.sendall(
                b"PUT /v1/state HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                b"Authorization: Bearer x.y\r\n\r\n"
            )
            return connection.recv(1000)

    async with site.gateway():
        assert b" 401 " in await threaded(announce, site.launch())


async def test_the_launch_document_is_handed_over_as_it_is(site: Site) -> None:
    async with site.gateway():
        bot = site.launch(document={"config": '{"n":12345678901234567890}', "x": {"y": [1.5]}})
        document = (await threaded(bot.ask, "GET", "/v1/launch")).json
    assert document["config"] == '{"n":12345678901234567890}'
    assert document["x"] == {"y": [1.5]}
    assert document["launch"] == bot.launch


async def test_status_and_result_reach_the_runners_files(site: Site) -> None:
    async with site.gateway():
        bot = site.launch()
        status = {
            "phase": "ended",
            "conditions": [{"type": "LogsDropped", "status": True, "reason": "R", "message": "M"}],
            "exit": {
                "code": 3,
                "signal": None,
                "reason": "exited",
                "peak_memory_bytes": 4096,
                "state_saved": True,
            },
        }
        assert (await threaded(bot.post, "/v1/status", status)).json == {}
        assert (await threaded(bot.ask, "PUT", "/v1/result", b'{"a":1}')).json == {}
        refused = await threaded(bot.post, "/v1/status", {"phase": "flying"})
        assert (refused.status, refused.code) == (400, "invalid")
        large = await threaded(bot.ask, "PUT", "/v1/result", b"x" * (1 << 20) + b"x")
        assert (large.status, large.code) == (413, "too_large")
    found = site.launches.status(bot.launch)
    assert found is not None
    assert json.loads(json.dumps(found.to_json())) | {"time": 0} == status | {"time": 0}
    assert site.launches.result(bot.launch) == b'{"a":1}'


async def test_a_querys_result_is_also_where_other_services_look(site: Site) -> None:
    def stored() -> list[str]:
        return [one.key for one in site.storage.list("query-results", "asked/")]

    async with site.gateway():
        query = site.launch("asked", kind="query", writes_state=False)
        assert (await threaded(query.ask, "PUT", "/v1/result", b'{"a":1}')).status == 200
        assert site.launches.result(query.launch) == b'{"a":1}'
        await until(stored)
    with site.storage.open("query-results", f"asked/{query.launch}/result.json") as found:
        assert json.loads(found.read()) == {"a": 1}


async def test_a_launch_without_a_job_waits_for_it_and_has_no_other_right(site: Site) -> None:
    async with site.gateway():
        launch, token = Launch.waiting("test")
        site.launches.write(launch)
        member = Client(site.settings.state_dir.gateway_socket, launch.launch, token)
        assert (await threaded(member.ask, "GET", "/v1/launch")).status == 204
        for method, path in (("GET", "/v1/code"), ("GET", "/v1/state"), ("PUT", "/v1/result")):
            refused = await threaded(member.ask, method, path, b"" if method == "PUT" else None)
            assert (refused.status, refused.code) == (409, "no_job")
        waiting = asyncio.create_task(threaded(member.ask, "GET", "/v1/launch?wait=1"))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        site.launches.write(launch.assigned("asked", "user/bot/1", {"config": "{}"}))
        begun = time.monotonic()
        document = (await waiting).json
        assert time.monotonic() - begun < 1
    assert document == {
        "protocol": 1,
        "launch": launch.launch,
        "bot_id": "asked",
        "kind": "query",
        "config": "{}",
    }


async def test_a_waiting_launch_that_is_taken_back_waits_no_longer(site: Site) -> None:
    async with site.gateway():
        launch, token = Launch.waiting("test")
        site.launches.write(launch)
        member = Client(site.settings.state_dir.gateway_socket, launch.launch, token)
        waiting = asyncio.create_task(threaded(member.ask, "GET", "/v1/launch?wait=1"))
        await asyncio.sleep(0.2)
        site.launches.remove(launch.launch)
        refused = await waiting
    assert (refused.status, refused.code) == (401, "unknown_launch")


async def test_those_who_wait_for_a_job_do_not_keep_the_gateway_from_ending(site: Site) -> None:
    launch, token = Launch.waiting("test")
    site.launches.write(launch)
    member = Client(site.settings.state_dir.gateway_socket, launch.launch, token)
    async with site.gateway():
        waiting = asyncio.create_task(threaded(member.ask, "GET", "/v1/launch?wait=1"))
        await asyncio.sleep(0.2)
        begun = time.monotonic()
    assert time.monotonic() - begun < CLOSE_SEC
    assert (await waiting).status == 204


async def test_one_launch_cannot_take_all_connections(site: Site) -> None:
    """Requests that send their bodies forever slowly hold the bound; others are not touched."""

    async with site.gateway():
        bot, other = site.launch(), site.launch()
        slow = []
        for _ in range(REQUESTS_AT_ONCE):
            _, writer = await asyncio.open_unix_connection(bot.path)
            writer.write(
                f"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                f"Authorization: Bearer {bot.launch}.{bot.token}\r\n\r\n{{".encode()
            )
            await writer.drain()
            slow.append(writer)
        await until(lambda: bot.ask("GET", "/v1/launch").status == 429)
        assert (await threaded(other.ask, "GET", "/v1/launch")).status == 200
        for writer in slow:
            writer.transport.abort()
        await until(lambda: bot.ask("GET", "/v1/launch").status == 200)


async def test_silent_connections_are_bounded(site: Site) -> None:
    """What a bot without a token can do: connect and say nothing."""

    async def closed(reader: asyncio.StreamReader) -> bool:
        try:
            async with asyncio.timeout(0.5):
                return await reader.read(1) == b""
        except TimeoutError:
            return False

    async with site.gateway():
        bot = site.launch()
        held = [
            await asyncio.open_unix_connection(bot.path)
            for _ in range(CONNECTIONS_PER_CONTAINER + 5)
        ]
        ends = await asyncio.gather(*(closed(reader) for reader, _ in held))
        assert ends == [False] * CONNECTIONS_PER_CONTAINER + [True] * 5
        for _, writer in held:
            writer.transport.abort()

        def answers() -> bool:
            try:
                return bot.ask("GET", "/v1/launch").status == 200
            except (ConnectionError, http.client.HTTPException):
                return False

        await until(answers)


async def test_any_user_may_connect_but_not_touch_the_rest(site: Site) -> None:
    async with site.gateway():
        dirs = site.settings.state_dir
        assert stat.S_IMODE(dirs.gateway_socket.stat().st_mode) == 0o666
        assert [one.name for one in dirs.gateway_dir.iterdir()] == ["gateway.sock"]
        for private in (dirs.launches, dirs.spool, dirs.code_cache):
            assert stat.S_IMODE(private.stat().st_mode) == 0o700


async def test_tokens_never_reach_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with site.gateway():
        bot = site.launch()
        await threaded(bot.ask, "GET", "/v1/launch")
        await threaded(dataclasses.replace(bot, launch="0" * 32).ask, "GET", "/v1/launch")
        await threaded(bot.ask, "GET", f"/v1/{bot.token}")
    assert bot.token not in caplog.text


async def test_what_containers_send_and_what_is_refused_is_counted(site: Site) -> None:
    async with site.gateway() as gateway:
        bot = site.launch("counted")
        for _ in range(2):
            await threaded(bot.post_logs, 0, [b"one", b"two"])
        assert (await threaded(bot.put_state, b"state", "a" * 32)).status == 200
        await threaded(bot.put_state, b"state", "b" * 32, "c" * 32, **{"X-The0-Sha256": "0" * 64})
        await threaded(dataclasses.replace(bot, token="0" * 64).ask, "GET", "/v1/launch")
    counted = gateway.metrics.registry.get_sample_value
    assert counted("the0_log_posts_total") == 2
    assert counted("the0_log_lines_total") == 2
    assert counted("the0_state_uploads_total") == 1
    assert counted("the0_state_upload_bytes_total") == 5
    for code in ("checksum", "unknown_launch"):
        assert counted("the0_gateway_refusals_total", {"code": code}) == 1


async def test_the_role_tells_of_itself_only_where_it_serves(site: Site) -> None:
    roles = Roles(site.settings.state_dir.run)
    gateways = [Gateway(site.settings, site.storage, site.published) for _ in range(2)]
    stops = [asyncio.Event() for _ in gateways]
    tasks = []
    for gateway, stop in zip(gateways, stops, strict=True):
        role = GatewayRole(site.settings, gateway, tcp=False)
        tasks.append(asyncio.create_task(role.run(stop)))
        await gateways[0].serving.wait()
    for gateway, stop in zip(gateways, stops, strict=True):
        async with asyncio.timeout(30):
            await gateway.serving.wait()
        await threaded(site.launch().post_logs, 0, [b"x"])
        assert (await roles.ask("gateway", "/readyz")).ok
        assert "the0_log_lines_total 1.0" in (await roles.ask("gateway", "/metrics")).text
        stop.set()
    await asyncio.gather(*tasks)
    assert not (await roles.ask("gateway", "/metrics")).ok


async def test_a_gateway_that_ends_hands_over_to_the_next(site: Site) -> None:
    first, second = (Gateway(site.settings, site.storage, site.published) for _ in range(2))
    stop_first, stop_second = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(first.run(stop_first))]
    await first.serving.wait()
    tasks.append(asyncio.create_task(second.run(stop_second)))
    bot = site.launch()
    await asyncio.sleep(0.2)
    assert not second.serving.is_set()
    stop_first.set()
    async with asyncio.timeout(30):
        await second.serving.wait()
        assert (await threaded(bot.ask, "GET", "/v1/launch")).status == 200
    stop_second.set()
    await asyncio.gather(*tasks)


async def test_one_that_waits_can_be_stopped(site: Site) -> None:
    async with site.gateway():
        waiting, stop = Gateway(site.settings, site.storage, site.published), asyncio.Event()
        task = asyncio.create_task(waiting.run(stop))
        await asyncio.sleep(0.1)
        stop.set()
        async with asyncio.timeout(30):
            await task
        assert not waiting.serving.is_set()


async def test_missing_buckets_are_made_at_the_start(site: Site) -> None:
    async with site.gateway():
        for bucket in ("custom-bots", "bot-state", "bot-logs", "query-results"):
            list(site.storage.list(bucket, "none"))
