"""A bot's life as a person leads it, by the command line, with all real parts behind."""

from __future__ import annotations

from pathlib import Path

from tests.support.site import Site, eventually, instance_file

TYPESCRIPT = Path(__file__).parents[2] / "examples/bots/trend-signal"


def running(site: Site, bot_id: str) -> None:
    eventually(lambda: site.phase(bot_id), lambda phase: phase == "running")


def test_a_deployed_bot_runs_and_its_log_is_read(site: Site, tmp_path: Path) -> None:
    site.deploy("deployed", tmp_path, label="hello")
    running(site, "deployed")
    counts = eventually(lambda: site.counts("deployed", "hello"))
    assert counts[0] == 1
    listed = {bot["id"]: bot for bot in site.json("bot", "list")["bots"]}
    assert listed["deployed"]["enabled"] is True


def test_a_killed_container_comes_back_with_the_state_as_written(
    site: Site, tmp_path: Path
) -> None:
    site.deploy("killed", tmp_path, label="before")
    seen = eventually(lambda: site.counts("killed", "before"))
    killed = site.container("killed")
    killed.kill()
    eventually(lambda: site.status("killed"), lambda s: s["restarts"] == 1)
    running(site, "killed")
    assert site.container("killed").id != killed.id
    counts = eventually(
        lambda: site.counts("killed", "before"),
        lambda c: c.count(1) == 1 and max(c) > max(seen) + 3,
    )
    assert counts == sorted(set(counts)), "a count was lost or came twice"
    last = site.status("killed")["last_exit"]
    assert (last["code"], last["asked_by"]) == (137, "")


def test_a_changed_configuration_restarts_the_bot_and_keeps_its_state(
    site: Site, tmp_path: Path
) -> None:
    site.deploy("changed", tmp_path, label="old")
    before = eventually(lambda: site.counts("changed", "old"))
    site.the0("bot", "update", "changed", str(instance_file(tmp_path, label="new")))
    after = eventually(lambda: site.counts("changed", "new"))
    assert after[0] > before[-1]
    assert site.status("changed")["crashes"] == 0


def test_a_disabled_bot_stops_and_goes_on_when_enabled(site: Site, tmp_path: Path) -> None:
    site.deploy("paused", tmp_path, label="p")
    eventually(lambda: site.counts("paused", "p"))
    site.the0("bot", "disable", "paused")
    eventually(lambda: site.phase("paused"), lambda phase: phase == "disabled")
    assert site.engine.containers.list(filters={"label": "runtime.id=paused"}) == []
    before = site.counts("paused", "p")
    site.the0("bot", "enable", "paused")
    after = eventually(lambda: site.counts("paused", "p"), lambda c: len(c) > len(before))
    assert after[len(before)] == before[-1] + 1


def test_a_bot_that_raises_backs_off_and_says_why(site: Site, tmp_path: Path) -> None:
    site.deploy("raising", tmp_path, label="x", fail=True)
    status = eventually(lambda: site.status("raising"), lambda s: s.get("crashes", 0) >= 2)
    assert status["last_exit"]["code"] == 1
    assert any("told to fail" in line for line in status["last_exit"]["log_tail"])
    assert "told to fail" in site.the0("bot", "logs", "raising")
    site.the0("bot", "delete", "raising", "--yes")


def test_a_deleted_bot_leaves_nothing_in_the_engine(site: Site, tmp_path: Path) -> None:
    site.deploy("deleted", tmp_path, label="d")
    eventually(lambda: site.counts("deleted", "d"))
    site.the0("bot", "delete", "deleted", "--purge", "--yes")
    filters = {"label": "runtime.id=deleted"}
    eventually(lambda: site.engine.containers.list(all=True, filters=filters) == [])
    eventually(lambda: [name for name in site.volumes() if "deleted" in name] == [])
    assert site.run("bot", "show", "deleted").returncode == 3


def test_wrong_input_is_refused_with_every_fault_by_its_path(site: Site, tmp_path: Path) -> None:
    done = site.run("bot", "deploy", str(instance_file(tmp_path, label="", extra=1)))
    assert done.returncode == 2
    assert "label" in done.stderr
    assert "extra" in done.stderr


def test_a_major_version_step_is_refused(site: Site, tmp_path: Path) -> None:
    site.deploy("major", tmp_path, label="m")
    path = instance_file(tmp_path, version="2.0.0", label="m")
    done = site.run("bot", "update", "major", str(path))
    assert done.returncode in (3, 4), done.stderr
    assert "2.0.0" in done.stderr
    assert site.json("bot", "show", "major")["version"] == "1.0.0"


def test_the_doctor_finds_nothing_that_prevents_bots(site: Site) -> None:
    found = site.json("doctor")
    assert found["ok"] is True
    assert {"engine", "mongodb", "storage", "nats", "disk"} <= {c["name"] for c in found["checks"]}


def test_a_bot_in_typescript_is_built_deployed_and_runs(site: Site) -> None:
    site.the0("custom-bot", "deploy", str(TYPESCRIPT))
    site.the0("bot", "deploy", str(TYPESCRIPT / "instance.json"), "--id", "typescript")
    running(site, "typescript")
    eventually(lambda: "tick" in site.the0("bot", "logs", "typescript"))
    site.the0("bot", "delete", "typescript", "--purge", "--yes")
