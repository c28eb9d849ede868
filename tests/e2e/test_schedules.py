"""Scheduled bots as a person leads them, by the command line, with all real parts behind."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from pymongo import MongoClient

from tests.e2e.conftest import new_site
from tests.support.leaks import CHECKOUT
from tests.support.site import BOTS, Site, eventually

REPORT = CHECKOUT / "examples" / "bots" / "daily-report"
NEW_YEAR = "0 0 1 1 *"


@pytest.fixture(scope="module")
def site(docker_engine: docker.DockerClient) -> Iterator[Site]:
    """An installation that looks into MongoDB often, with the errand bot's code deployed."""
    with new_site(docker_engine, {"THE0_SCHEDULER__REREAD_INTERVAL_SEC": "2"}) as site:
        site.the0("local", "start")
        site.the0("custom-bot", "deploy", str(BOTS / "errand"))
        yield site


def deploy(site: Site, bot_id: str, folder: Path, **config: Any) -> None:
    """The errand bot as `bot_id`; it is due at New Year only, unless told otherwise."""
    file = folder / f"{bot_id}.json"
    named = {"name": bot_id, "type": "scheduled/errand", "version": "1.0.0"}
    file.write_text(json.dumps({**named, "schedule": NEW_YEAR, **config}))
    site.the0("bot", "deploy", str(file), "--id", bot_id)


def ended(site: Site, bot_id: str) -> list[dict[str, Any]]:
    """The bot's runs that have ended, the newest first."""
    runs = site.json("runs", "list", bot_id)["runs"]
    return [run for run in runs if run["outcome"]]


def test_the_example_runs_at_its_times_and_keeps_its_state(site: Site, tmp_path: Path) -> None:
    site.the0("custom-bot", "deploy", str(REPORT))
    instance = json.loads((REPORT / "instance.json").read_text())
    often = tmp_path / "often.json"
    often.write_text(json.dumps({**instance, "schedule": "*/3 * * * * *"}))
    site.the0("bot", "deploy", str(often), "--id", "report")
    runs = eventually(
        lambda: [run for run in ended(site, "report") if run["outcome"] == "succeeded"],
        lambda found: len(found) >= 2,
    )
    site.the0("bot", "disable", "report")
    newest, before = runs[:2]
    assert newest["slot"] > before["slot"]
    assert (newest["trigger"], newest["exit_code"]) == ("schedule", 0)
    reports = [run["result"]["data"]["reports"] for run in (before, newest)]
    assert reports[1] == reports[0] + 1, "the state of the run before was not there"
    lines = site.the0("runs", "logs", newest["id"])
    assert f"{newest['result']['data']['value']}" in lines
    assert f"{before['result']['data']['value']}" not in lines
    assert "outcome" in site.the0("runs", "show", newest["id"]).lower()


def test_run_now_tells_the_outcome_by_its_exit_code(site: Site, tmp_path: Path) -> None:
    deploy(site, "good", tmp_path)
    deploy(site, "bad", tmp_path, code=3)
    good = site.json("bot", "run-now", "good", "--wait")
    assert (good["outcome"], good["trigger"]) == ("succeeded", "manual")
    assert f"this is {good['id']}" in site.the0("runs", "logs", good["id"])
    failed = site.run("bot", "run-now", "bad", "--wait", "--json")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["exit_code"] == 3
    listed = {bot["id"]: bot["status"] for bot in site.json("bot", "list")["bots"]}
    assert listed["good"]["phase"] == "waiting"
    assert listed["good"]["next_due"].endswith("-01-01T00:00:00+00:00")
    assert listed["bad"]["last_run"]["outcome"] == "failed"


def test_a_running_run_is_ended_by_choice_alone(site: Site, tmp_path: Path) -> None:
    deploy(site, "slow", tmp_path, takes_sec=600)
    first = site.json("bot", "run-now", "slow")["run"]
    eventually(lambda: site.json("runs", "show", first)["started"])
    site.the0("bot", "disable", "slow")
    assert site.json("runs", "show", first)["outcome"] is None
    site.the0("bot", "disable", "slow", "--stop-running")
    outcomes = eventually(lambda: ended(site, "slow"))
    assert [run["outcome"] for run in outcomes] == ["cancelled"]
    refused = site.run("bot", "run-now", "slow")
    assert refused.returncode == 4
    assert "disabled" in refused.stderr

    site.the0("bot", "enable", "slow")
    second = site.json("bot", "run-now", "slow")["run"]
    eventually(lambda: site.json("runs", "show", second)["started"])
    site.the0("runs", "cancel", second)
    eventually(lambda: site.json("runs", "show", second)["outcome"] == "cancelled")


def test_documents_of_others_are_run_refused_by_name_and_left_alone_when_disabled(
    site: Site, tmp_path: Path
) -> None:
    deploy(site, "ours", tmp_path)
    settings = tomllib.loads((site.root / "settings.toml").read_text())
    with MongoClient[dict[str, Any]](settings["mongo"]["uri"]) as mongo:
        schedules = mongo["bot_scheduler"]["bot_schedules"]
        ours = schedules.find_one({"id": "ours"}, {"_id": 0, "custom": 1, "config": 1}) or {}
        for bot_id, config in (
            ("theirs", {"schedule": "@every 2s"}),
            ("never", {"schedule": "0 0 30 2 *"}),
            ("off", {"schedule": "@every 1s", "enabled": "false"}),
        ):
            changed = {**ours["config"], "name": bot_id, **config}
            schedules.insert_one({**ours, "id": bot_id, "config": changed})
        eventually(lambda: ended(site, "theirs"))
        never, off = site.status("never"), site.status("off")
        assert (never["phase"], off["phase"]) == ("invalid", "disabled")
        assert "never fires" in never["conditions"][0]["message"]
        assert site.json("runs", "list", "off")["runs"] == []
        planned = schedules.find_one({"id": "theirs"}) or {}
        assert isinstance(planned["next_execution_time"], int)
        schedules.delete_many({"id": {"$in": ["theirs", "never", "off"]}})


def test_a_deleted_bot_leaves_its_runs_and_nothing_else(site: Site, tmp_path: Path) -> None:
    deploy(site, "gone", tmp_path, schedule="@every 2s")
    eventually(lambda: ended(site, "gone"))
    site.the0("bot", "delete", "gone", "--purge", "--yes")
    eventually(lambda: not any("gone" in name for name in site.volumes()))
    assert site.run("bot", "show", "gone").returncode == 3
    assert ended(site, "gone")
