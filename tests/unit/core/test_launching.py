"""From a bot to its launch and container, and which image it is started from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from the0.config import Settings, load_settings
from the0.core.images import Image, content_digest, find_image, image_digest, image_tag
from the0.core.launcher import Launcher
from the0.core.plan import FLUSH_MAX, Hold
from the0.errors import InvalidInput, NotFound, Unavailable
from the0.models import Bot, BotType, Purpose, Resources
from the0.plugin.interfaces import ImageSpec, PluginArgs, ProcessPlan, Progress, Runtime
from the0.settings import CORE_SECTIONS

IMAGE = Image("the0/x:1", "sha256:1")
PLAN = ProcessPlan(bot=("run", "main"), query=None, env={"A": "1"}, executables=("main",))
BOT = Bot(
    id="b/ö",
    type=BotType.REALTIME,
    enabled=True,
    config={"big": 2**63 + 1},
    name="b",
    version="1.0.0",
    runtime="x",
    code_key="u/b/1.0.0",
    entrypoints={"bot": "main"},
)


@pytest.fixture
def launcher(tmp_path: Path) -> Callable[..., Launcher]:
    def make(**environ: str) -> Launcher:
        return Launcher(settings(tmp_path, **environ), "i" * 32)

    return make


def settings(root: Path, **environ: str) -> Settings:
    return load_settings(CORE_SECTIONS, [], {"THE0_STATE_DIR": str(root), **environ})


def test_only_launch_and_token_enter_the_containers_environment(
    launcher: Callable[..., Launcher],
) -> None:
    prepared = launcher().prepare(BOT, PLAN, IMAGE)
    assert set(prepared.spec.env) == {"THE0_LAUNCH", "THE0_TOKEN"}
    assert prepared.launch.accepts(prepared.spec.env["THE0_TOKEN"])
    seen = json.dumps(prepared.launch.to_json()) + json.dumps(dict(prepared.spec.labels))
    assert prepared.spec.env["THE0_TOKEN"] not in seen


def test_the_document_has_what_the_agent_needs(launcher: Callable[..., Launcher]) -> None:
    bot = replace(BOT, stop_grace_sec=3.0, resources=Resources(disk_mb=7))
    document = launcher().prepare(bot, PLAN, IMAGE, "local").launch.document
    assert document["config"] == '{"big":9223372036854775809}'
    assert document["commands"] == {"bot": ["run", "main"]}
    assert document["state"] == {"keep": "local"}
    assert (document["stop_grace_sec"], document["disk_bytes"]) == (3.0, 7 << 20)


def test_labels_tell_what_was_started(launcher: Callable[..., Launcher]) -> None:
    made = launcher()
    prepared = made.prepare(BOT, PLAN, IMAGE)
    assert prepared.spec.labels == {
        "runtime.managed": "true",
        "runtime.id": "b/ö",
        "runtime.type": "realtime",
        "runtime.entrypoint": "main",
        "the0.spec": BOT.spec_hash,
        "the0.platform": made.platform_hash(IMAGE),
        "the0.launch": prepared.launch.launch,
    }


def test_a_bots_own_limits_and_the_sites_defaults(launcher: Callable[..., Launcher]) -> None:
    own = replace(BOT, resources=Resources(memory_mb=64, cpus=0.5, pids=20), stop_grace_sec=1)
    spec = launcher().prepare(own, PLAN, IMAGE).spec
    assert (spec.limits.memory_bytes, spec.limits.cpus, spec.limits.pids) == (64 << 20, 0.5, 20)
    assert spec.stop_timeout_sec == 1 + 20 + 5
    spec = launcher(BOT_MEMORY_LIMIT_MB="99").prepare(BOT, PLAN, IMAGE).spec
    assert (spec.limits.memory_bytes, spec.stop_timeout_sec) == (99 << 20, 30 + 20 + 5)


def test_the_platform_hash_follows_image_and_site_but_no_bot(
    launcher: Callable[..., Launcher],
) -> None:
    here = launcher().platform_hash(IMAGE)
    assert here == launcher().platform_hash(IMAGE)
    assert here != launcher().platform_hash(Image("the0/x:1", "sha256:2"))
    assert here != launcher(BOT_MEMORY_LIMIT_MB="99").platform_hash(IMAGE)


def test_a_flush_runs_no_code(launcher: Callable[..., Launcher]) -> None:
    prepared = launcher().prepare_flush("b", BotType.REALTIME, IMAGE)
    assert prepared.launch.kind == "flush"
    assert "commands" not in prepared.launch.document
    assert prepared.spec.labels["the0.spec"] == "flush"
    assert 100 < prepared.launch.document["sync"]["final_sec"] < FLUSH_MAX.total_seconds()
    chosen = launcher().prepare_flush("b", BotType.REALTIME, IMAGE, "local").launch.document
    assert chosen["state"] == {"keep": "local"}


class Language(Runtime):
    name = "X1"
    files: dict[str, Path] = {}  # noqa: RUF012 - set by the tests

    def image(self) -> ImageSpec:
        return ImageSpec(packages=("p",), files=self.files)

    def processes(self, entrypoints: object) -> ProcessPlan:
        return PLAN

    def check_project(self, project: Path, entrypoints: object) -> list[str]:
        return []

    def vendor(self, project: Path, progress: Progress) -> None: ...


def test_an_images_tag_follows_the_content_of_its_files(tmp_path: Path) -> None:
    runtime = Language(PluginArgs("i", "", tmp_path))
    runtime.files = {"/opt/x": tmp_path / "x"}
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.py").write_text("1")
    before = image_digest(runtime)
    assert image_tag(runtime) == f"the0/x1:{before[:12]}"
    (tmp_path / "x" / "__pycache__").mkdir()
    (tmp_path / "x" / "__pycache__" / "a.pyc").write_text("noise")
    assert image_digest(runtime) == before
    (tmp_path / "x" / "a.py").write_text("2")
    assert image_digest(runtime) != before
    digest = content_digest(tmp_path / "x")
    (tmp_path / "x" / "a.py").rename(tmp_path / "x" / "b.py")
    assert content_digest(tmp_path / "x") != digest


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NotFound("no"), "NotFound"),
        (InvalidInput("not ours"), "NotOurs"),
        (Unavailable("?"), "NoAnswer"),
    ],
)
def test_an_image_that_cannot_be_used_holds_back_starts(error: Exception, reason: str) -> None:
    found = find_image(Mock(image_identity=Mock(side_effect=error)), "the0/x:1")
    assert isinstance(found, Hold)
    assert found.reason == reason


def test_a_query_starts_without_a_bot_and_gets_one_later(
    launcher: Callable[..., Launcher],
) -> None:
    made = launcher()
    prepared = made.prepare_query(IMAGE, Resources(memory_mb=77))
    assert (prepared.spec.purpose, prepared.spec.bot_id) == (Purpose.QUERY, "")
    assert set(prepared.spec.labels) == {"the0.platform", "the0.launch"}
    assert prepared.spec.limits.memory_bytes == 77 << 20
    assert prepared.launch.is_waiting
    assert not prepared.launch.writes_state
    asked = {"path": "/x", "params": {"n": 1}, "deadline_sec": 2.0}
    plan = replace(PLAN, query=["run", "query"])
    launch = prepared.launch.assigned(BOT.id, BOT.code_key, made.query_document(BOT, plan, asked))
    assert (launch.bot_id, launch.code_key, launch.kind) == (BOT.id, BOT.code_key, "query")
    assert launch.document["query"] == asked
    assert launch.document["config"] == '{"big":9223372036854775809}'
    assert launch.document["commands"]["query"] == ["run", "query"]
    assert {launch.document[name] for name in ("launch", "bot_id")} == {launch.launch, BOT.id}
    with pytest.raises(ValueError, match="has had its job"):
        launch.assigned("other", "", {})
