"""The control API on a real MongoDB-protocol server and a real S3 server."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api import SCHEMA, TOKEN, ApiHost, Runner, api_host, archive, instance
from the0.api import custom_bots
from the0.cli.client import segment
from the0.documents import parse_bot
from the0.errors import InvalidDocument
from the0.models import BotType
from the0.testing.servers import S3Server, Server

BOTS = "/api/v1/bots"
CODE = "/api/v1/custom-bots"


@pytest_asyncio.fixture
async def host(tmp_path: Path, mongod: Server, object_store: S3Server) -> AsyncIterator[ApiHost]:
    async with api_host(tmp_path, mongod, object_store) as found:
        yield found


@pytest_asyncio.fixture
async def runner(host: ApiHost) -> AsyncIterator[Runner]:
    found = Runner()
    async with found.serving(host.settings.state_dir.role_socket("runner")):
        yield found


async def test_code_is_stored_once_per_version_and_never_changes(host: ApiHost) -> None:
    content = archive()
    first = await host.http.post(CODE, content=content)
    again = await host.http.post(CODE, content=content)
    other = await host.http.post(CODE, content=archive(main="def main(): ...\n"))
    assert (first.status_code, first.json()["unchanged"]) == (201, False)
    assert (again.status_code, again.json()["unchanged"]) == (200, True)
    assert other.status_code == 409
    assert "raise `version`" in other.json()["error"]["message"]
    with host.storage.open(host.settings.storage.code_bucket, "local/sma/1.0.0") as stored:
        assert hashlib.sha256(stored.read()).hexdigest() == first.json()["sha256"]
    shown = (await host.http.get(f"{CODE}/sma")).json()
    assert (shown["versions"], shown["config"]["schema"]["bot"]) == (["1.0.0"], SCHEMA)
    assert shown["config"]["readme"] == "# SMA\n"


async def test_an_upload_that_broke_off_before_its_record_is_finished_by_the_next(
    host: ApiHost,
) -> None:
    await host.deploy_code()
    records = host.repository.connection.records("custom_bots")
    await records.delete_many({})
    assert (await host.deploy_code()).status_code == 201
    await records.delete_many({})
    other = await host.http.post(CODE, content=archive(main="def main(): ...\n"))
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        (b"no zip", 422, "zip archive"),
        (archive(version="one"), 400, "version"),
        (archive(entrypoints={"bot": "missing.py"}), 400, "missing.py"),
        (archive(runtime="cobol85"), 422, "cobol85"),
    ],
)
async def test_an_archive_with_faults_is_refused_by_name(
    host: ApiHost, content: bytes, status: int, text: str
) -> None:
    answer = await host.http.post(CODE, content=content)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert text in error["message"] + "".join(error.get("faults", []))
    assert list(host.settings.state_dir.root.glob("upload-*")) == []


async def test_what_is_refused_after_it_was_read_does_not_take_the_version(
    host: ApiHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise InvalidDocument("too large")

    with monkeypatch.context() as patch:
        patch.setattr(custom_bots, "to_bson", refuse)
        assert (await host.deploy_code()).status_code == 422
    assert (await host.deploy_code(description="better")).status_code == 201


async def test_an_upload_that_breaks_off_leaves_nothing(host: ApiHost) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.settings.api.port)
    head = f"POST {CODE} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    writer.write(f"{head}Content-Length: 100000\r\n\r\n".encode() + archive())

    async def uploads(wanted: int) -> None:
        folder = host.settings.state_dir.root
        async with asyncio.timeout(30):
            while len(list(folder.glob("upload-*"))) != wanted:  # noqa: ASYNC110 - files tell nobody
                await asyncio.sleep(0.01)

    await uploads(1)
    writer.close()
    await uploads(0)
    assert await reader.read() == b""
    assert (await host.http.get(CODE)).json() == {"custom_bots": []}


async def test_a_deployed_bot_is_a_document_of_the_contract(host: ApiHost, runner: Runner) -> None:
    await host.deploy_code()
    config = instance(amount=2**60 + 1)
    answer = await host.deploy_bot(config, id="chosen")
    assert (answer.status_code, answer.json()["applies"]) == (201, "at once")
    assert runner.told == [("/wake", "chosen")]
    document = await host.repository.get_bot(BotType.REALTIME, "chosen")
    assert document is not None
    assert document["custom"]["filePath"] == "local/sma/1.0.0"
    assert document["custom"]["config"]["entrypoints"] == {"bot": "main.py"}
    bot = parse_bot(document, BotType.REALTIME, host.settings.limits)
    assert (bot.name, bot.enabled, bot.config) == ("btc", True, config)
    shown = (await host.http.get(f"{BOTS}/chosen")).json()
    assert shown["config"] == config


async def test_every_fault_of_an_instance_is_told_by_its_path(host: ApiHost) -> None:
    await host.deploy_code()
    config = instance(amount=0, colour="red")
    del config["symbol"]
    answer = await host.deploy_bot(config)
    assert answer.status_code == 400
    faults = "\n".join(answer.json()["error"]["faults"])
    assert "$.config.symbol" in faults
    assert "$.config.amount" in faults
    assert "colour" in faults
    assert (await host.http.get(BOTS)).json()["bots"] == []


async def test_a_pattern_without_end_is_refused_and_stops_nobody(host: ApiHost) -> None:
    await host.deploy_code(bot_schema={"properties": {"symbol": {"pattern": "^(a+)+$"}}})
    config = instance(symbol="a" * 60 + "!")
    asked = asyncio.create_task(host.deploy_bot(config))
    while not asked.done():
        assert (await host.http.get("/health")).status_code == 200
        await asyncio.sleep(0.05)
    answer = await asked
    assert (answer.status_code, "seconds" in answer.text) == (422, True)
    assert (await host.deploy_bot(instance(symbol="aa"), id="one")).status_code == 201
    assert (await host.http.put(f"{BOTS}/one", json={"config": config})).status_code == 422


async def test_faults_of_the_schema_and_of_the_platforms_fields_are_told_together(
    host: ApiHost,
) -> None:
    await host.deploy_code()
    answer = await host.deploy_bot(instance(symbol=5, resources={"cpus": "x"}, restart="often"))
    faults = " ".join(answer.json()["error"]["faults"])
    assert answer.status_code == 400
    for path in ("$.config.symbol", "$.config.resources.cpus", "$.config.restart"):
        assert path in faults


@pytest.mark.parametrize(
    ("changed", "status", "text"),
    [
        ({"type": "realtime/nobody"}, 404, "custom-bot deploy"),
        ({"version": "9.9.9"}, 404, "9.9.9"),
        ({"resources": {"memory_mb": 10**6}}, 422, "memory_mb"),
        ({"amount": 10**40}, 422, "34 digits"),
    ],
)
async def test_an_instance_that_cannot_run_is_refused_before_it_is_stored(
    host: ApiHost, changed: dict[str, Any], status: int, text: str
) -> None:
    await host.deploy_code()
    answer = await host.deploy_bot(instance(**changed))
    assert (answer.status_code, text in answer.text) == (status, True)
    assert (await host.http.get(BOTS)).json()["bots"] == []


async def test_an_id_is_given_once(host: ApiHost) -> None:
    await host.deploy_code()
    answers = await asyncio.gather(*(host.deploy_bot(instance(), id="one") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_an_update_keeps_id_and_switch_and_refuses_a_major_step(host: ApiHost) -> None:
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        await host.deploy_code(version=version)
    await host.deploy_code(name="other")
    await host.deploy_bot(instance(), id="one", enabled=False)

    async def put(**changed: Any) -> int:
        body = {"config": instance(**changed)}
        return (await host.http.put(f"{BOTS}/one", json=body)).status_code

    assert await put(version="1.1.0", symbol="ETH-USD") == 200
    assert await put(version="2.0.0") == 409
    assert await put(type="realtime/other") == 409
    assert await put(symbol=7) == 400
    document = await host.repository.get_bot(BotType.REALTIME, "one")
    assert document is not None
    assert document["config"]["symbol"] == "ETH-USD"
    assert (document["custom"]["version"], document["enabled"]) == ("1.1.0", False)
    assert document["custom"]["createdAt"] <= document["custom"]["updatedAt"]


async def test_bots_are_switched_and_deleted(host: ApiHost, runner: Runner) -> None:
    await host.deploy_code()
    await host.deploy_bot(instance(enabled=False), id="one")

    async def enabled() -> bool:
        shown: bool = (await host.http.get(f"{BOTS}/one")).json()["enabled"]
        return shown

    assert not await enabled()
    await host.http.post(f"{BOTS}/one/enable")
    assert await enabled()
    await host.http.post(f"{BOTS}/one/disable")
    assert not await enabled()
    assert (await host.http.delete(f"{BOTS}/one")).status_code == 200
    assert (await host.http.get(f"{BOTS}/one")).status_code == 404
    assert (await host.http.delete(f"{BOTS}/one")).status_code == 404
    assert runner.told == [("/wake", "one")] * 4


async def test_a_purge_that_cannot_be_passed_on_is_told_and_finished_later(host: ApiHost) -> None:
    await host.deploy_code()
    await host.deploy_bot(instance(), id="one")
    refused = await host.http.delete(f"{BOTS}/one?purge=true")
    assert refused.status_code == 503
    assert (await host.http.get(f"{BOTS}/one")).status_code == 404
    runner = Runner()
    async with runner.serving(host.settings.state_dir.role_socket("runner")):
        assert (await host.http.delete(f"{BOTS}/one?purge=true")).status_code == 200
    assert ("/purge", "one") in runner.told


@pytest.mark.parametrize("bot_id", ["a/b", "..", "ü ñ 漢", "100%", "a?b#c", "%2F", "a\nb", "+"])
async def test_any_id_is_reachable_by_its_path(host: ApiHost, bot_id: str) -> None:
    await host.deploy_code()
    assert (await host.deploy_bot(instance(), id=bot_id)).status_code == 201
    assert (await host.http.get(f"{BOTS}/{segment(bot_id)}")).json()["id"] == bot_id
    assert (await host.http.delete(f"{BOTS}/{segment(bot_id)}")).status_code == 200


async def test_the_runners_status_is_shown_else_what_it_stored(host: ApiHost) -> None:
    await host.deploy_code()
    await host.deploy_bot(instance(), id="one")
    down = (await host.http.get(BOTS)).json()
    assert (down["live"], down["bots"][0]["status"]) == (False, None)
    installation = await host.repository.claim_installation("the0", "engine", Path("/nowhere"))
    await host.repository.save_status(installation, "one", {"restarts": 3})
    stored = (await host.http.get(BOTS)).json()
    assert stored["bots"][0]["status"] == {"restarts": 3}
    runner = Runner(bots=[{"id": "one", "phase": "running"}])
    async with runner.serving(host.settings.state_dir.role_socket("runner")):
        live = (await host.http.get(BOTS)).json()
    assert (live["live"], live["bots"][0]["status"]["phase"]) == (True, "running")


async def test_documents_of_others_are_shown_whatever_they_hold(host: ApiHost) -> None:
    bots = host.repository.connection.bots(BotType.REALTIME)
    await bots.insert_one({"id": "odd", "config": {"n": float("nan")}, "custom": 7})
    await bots.insert_one({"id": "text", "config": "none"})
    await bots.insert_one({"config": {"name": "no id"}})
    listed = (await host.http.get(BOTS)).json()["bots"]
    assert [one["id"] for one in listed] == ["odd", "text"]
    assert (await host.http.get(f"{BOTS}/odd")).json()["config"] is None
    assert (await host.http.get(f"{BOTS}/text")).json()["config"] == "none"
    assert (await host.http.delete(f"{BOTS}/odd")).status_code == 200


async def test_a_document_with_its_id_as_underscore_id_alone_can_be_changed(host: ApiHost) -> None:
    await host.deploy_code()
    await host.deploy_bot(instance(), id="one")
    bots = host.repository.connection.bots(BotType.REALTIME)
    await bots.update_one({"_id": "one"}, {"$unset": {"id": ""}})
    body = {"config": instance(symbol="ETH-USD")}
    assert (await host.http.put(f"{BOTS}/one", json=body)).status_code == 200
    assert (await host.http.get(f"{BOTS}/one")).json()["config"]["symbol"] == "ETH-USD"
    await bots.insert_one({"id": "odd", "config": 1, "custom": 7})
    assert (await host.http.put(f"{BOTS}/odd", json=body)).status_code == 409


async def test_a_deleted_bot_is_listed_until_the_runner_has_done_with_it(host: ApiHost) -> None:
    runner = Runner(bots=[{"id": "gone", "name": "btc", "phase": "stopping", "type": "realtime"}])
    async with runner.serving(host.settings.state_dir.role_socket("runner")):
        (bot,) = (await host.http.get(BOTS)).json()["bots"]
    assert (bot["id"], bot["enabled"], bot["status"]["phase"]) == ("gone", False, "stopping")


async def test_the_answer_to_a_state_conflict_is_remembered(host: ApiHost) -> None:
    await host.deploy_code()
    await host.deploy_bot(instance(), id="one")
    keep = f"{BOTS}/one/state/keep"
    assert (await host.http.post(keep, json={"keep": "both"})).status_code == 400
    assert (await host.http.post(keep, json={"keep": "local"})).status_code == 409
    installation = await host.repository.claim_installation("the0", "engine", Path("/nowhere"))
    conflict = {"type": "StateConflict", "status": False}
    runner = Runner(bots=[{"id": "one", "conditions": [conflict]}])
    async with runner.serving(host.settings.state_dir.role_socket("runner")):
        assert (await host.http.post(keep, json={"keep": "local"})).status_code == 409
        assert await host.repository.state_choice(installation, "one") is None
        conflict["status"] = True
        assert (await host.http.post(keep, json={"keep": "local"})).status_code == 200
    assert await host.repository.state_choice(installation, "one") == "local"


async def test_health_is_put_together_from_the_roles(host: ApiHost) -> None:
    assert (await host.http.get("/health")).json() == {"status": "ok"}
    assert (await host.http.get("/healthz")).status_code == 503
    runner = Runner(ready=False)
    async with runner.serving(host.settings.state_dir.role_socket("runner")):
        assert (await host.http.get("/healthz")).json()["status"] == "ok"
        ready = await host.http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["roles"]["runner"] == {"mongo": "does not answer"}
        assert 'role="runner"' in (await host.http.get("/metrics")).text
        assert (await host.http.get("/status")).json()["roles"]["runner"]["leader"] is True


async def test_everything_about_bots_needs_the_token(host: ApiHost) -> None:
    page = (await host.http.get("/openapi.json")).json()
    for path, operations in page["paths"].items():
        for method, operation in operations.items():
            url = path.replace("{id}", "x").replace("{name}", "x")
            answer = await host.http.request(method, url, headers={"Authorization": "Bearer wrong"})
            public = operation.get("security") == []
            assert (answer.status_code == 401) is not public, (method, path)


async def test_plugins_and_doctor_answer(host: ApiHost) -> None:
    names = [one["name"] for one in (await host.http.get("/api/v1/plugins")).json()["plugins"]]
    assert "minio" in names
    assert "checks" in (await host.http.get("/api/v1/doctor")).json()


async def test_a_database_that_hangs_is_told_and_concludes_nothing(
    tmp_path: Path, mongod: Server, object_store: S3Server
) -> None:
    async with api_host(tmp_path, mongod, object_store, {"THE0_MONGO__TIMEOUT_SEC": "1"}) as host:
        await host.deploy_code()
        await host.deploy_bot(instance(), id="one")
        mongod.freeze()
        try:
            for path in (BOTS, f"{BOTS}/one", CODE):
                answer = await host.http.get(path)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert (await host.http.delete(f"{BOTS}/one")).status_code == 503
        finally:
            mongod.thaw()
        assert (await host.http.get(f"{BOTS}/one")).status_code == 200


async def test_a_store_that_is_down_leaves_no_record_of_code(
    host: ApiHost, object_store: S3Server
) -> None:
    object_store.stop()
    try:
        assert (await host.deploy_code(name="late")).status_code == 503
    finally:
        object_store.restart()
    assert (await host.http.get(f"{CODE}/late")).status_code == 404
    assert (await host.deploy_code(name="late")).status_code == 201


async def test_what_was_changed_is_logged_without_its_content(
    host: ApiHost, caplog: pytest.LogCaptureFixture
) -> None:
    await host.deploy_code()
    with caplog.at_level("DEBUG", "the0"):
        await host.deploy_bot(instance(symbol="secret-value"), id="one")
    assert "POST /api/v1/bots: 201" in caplog.text
    assert "secret-value" not in caplog.text
