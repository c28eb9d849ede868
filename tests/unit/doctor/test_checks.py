"""What each check says, mostly without asking; the real parts are asked end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rights import without_rights
from the0.builtin.docker_executor import DockerExecutor
from the0.config import Settings, bootstrap
from the0.doctor import Check, Status, run_checks
from the0.doctor.check import said
from the0.doctor.engine import check_engine, firewall, limitations
from the0.doctor.machine import check_disk, check_state_dir, disk
from the0.errors import Conflict, InvalidSettings
from the0.plugin.interfaces import EngineInfo, PluginArgs
from the0.plugin.manager import PluginManager


def by_name(checks: object) -> dict[str, Check]:
    assert isinstance(checks, list)
    return {check.name: check for check in checks}


def site(tmp_path: Path, **variables: str) -> tuple[Settings, PluginManager]:
    nobody = {"DOCKER": "unix:///nowhere.sock", "DEAD": "127.0.0.1:1"}
    environ = {
        "THE0_STATE_DIR": str(tmp_path),
        "THE0_DOCKER__HOST": nobody["DOCKER"],
        "MONGO_URI": f"mongodb://{nobody['DEAD']}/?serverSelectionTimeoutMS=500",
        "MINIO_ENDPOINT": nobody["DEAD"],
        "MINIO_ACCESS_KEY": "a",
        "MINIO_SECRET_KEY": "s",
        "NATS_URL": f"nats://{nobody['DEAD']}",
        "THE0_API__PORT": "1",
        **variables,
    }
    return bootstrap(environ=environ)


def test_where_nothing_answers_each_part_is_named_with_what_to_do(tmp_path: Path) -> None:
    found = by_name(list(run_checks(*site(tmp_path))))
    failed = {name for name, check in found.items() if check.status is Status.FAIL}
    assert {"engine", "mongodb", "storage"} <= failed
    assert found["nats"].status is Status.WARN, "bots run without NATS"
    assert found["port"].status is Status.WARN
    assert all(check.fix for check in found.values() if check.status is not Status.OK)


def test_what_is_not_set_is_told_apart_from_what_does_not_answer(tmp_path: Path) -> None:
    settings, plugins = site(tmp_path, MONGO_URI="", NATS_URL="")
    found = by_name(list(run_checks(settings, plugins)))
    assert found["mongodb"].message == "None is set."
    assert "30 s" in found["nats"].message


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_disk_fails_exactly_where_the_runner_starts_nothing_more(free: int, needed: int) -> None:
    status = disk(Path("/"), free, needed).status
    assert (status is Status.FAIL) == (free < needed)
    if free >= 4 * needed:
        assert status is Status.OK


def test_a_state_directory_below_a_closed_folder_is_told(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    settings, _ = site(closed / "the0" / "state")
    with without_rights():
        found = check_state_dir(settings)
        told = check_disk(settings)
    closed.chmod(0o700)
    assert found.status is Status.FAIL
    assert "may not write to" in found.message
    assert "MiB free at" in told.message


def test_the_firewall_needs_root_and_iptables() -> None:
    assert firewall(is_root=True, has_iptables=True).status is Status.OK
    assert firewall(is_root=False, has_iptables=True).fix == "Run the host as root."
    assert firewall(is_root=True, has_iptables=False).fix == "Install iptables."


def test_every_limit_of_the_engine_and_missing_live_restore_are_told() -> None:
    info = EngineInfo("id", "28", keeps_containers=False, warnings=["It is rootless."])
    rootless, live_restore = limitations(info)
    assert (rootless.status, rootless.message) == (Status.WARN, "It is rootless.")
    assert live_restore.status is Status.WARN
    assert "daemon.json" in live_restore.fix
    (kept,) = limitations(EngineInfo("id", "28", keeps_containers=True))
    assert kept.status is Status.OK


def test_images_that_the_engine_refuses_for_one_reason_are_told_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, plugins = site(tmp_path)
    args = PluginArgs("the0", "", tmp_path, settings.sections)
    names = plugins.runtimes.names()
    executor = DockerExecutor(args)
    info = EngineInfo("id", "28", keeps_containers=True)

    def refuse(_self: DockerExecutor, _tag: str, _digest: str) -> bool:
        raise Conflict("RUNTIME_IMAGE is not one of ours.")

    monkeypatch.setattr(DockerExecutor, "info", lambda _: info)
    monkeypatch.setattr(DockerExecutor, "foreign", lambda _: [])
    monkeypatch.setattr(DockerExecutor, "has_image", refuse)
    found = check_engine(executor, [plugins.runtimes.get(name)(args) for name in names])
    images = [check for check in found if check.name.startswith("image")]
    assert [check.name for check in images] == ["images"]
    assert all(name in images[0].message for name in names)
    assert "the0 images build" in images[0].fix


def test_all_that_an_error_lists_stands_in_one_paragraph() -> None:
    assert said(InvalidSettings("Refused:", ["a is wrong", "b is wrong"])) == (
        "a is wrong; b is wrong"
    )
    assert said(Conflict("It is taken.")) == "It is taken."
