"""`the0 local`: started on nothing, killed in parts, stopped without a trace but the state."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import docker

from tests.e2e.conftest import new_site
from tests.support.leaks import CHECKOUT
from tests.support.site import BOTS, Site, eventually
from the0.testing.servers import mongo_server


def counting(site: Site, bot_id: str, label: str, folder: Path) -> list[int]:
    site.the0("custom-bot", "deploy", str(BOTS / "counter"))
    site.deploy(bot_id, folder, label=label)
    return eventually(lambda: site.counts(bot_id, label))


def test_state_and_logs_outlive_a_stop_and_nothing_else_does(
    bare_site: Site, tmp_path: Path
) -> None:
    bare_site.the0("local", "start")
    counting(bare_site, "keeper", "k", tmp_path)
    bare_site.the0("local", "stop")
    assert bare_site.containers() == bare_site.networks() == bare_site.volumes() == []
    assert bare_site.processes() == []
    bare_site.the0("local", "start")
    counts = eventually(lambda: bare_site.counts("keeper", "k"), lambda c: len(c) > 8)
    assert counts == list(range(1, len(counts) + 1))


def test_a_second_start_changes_nothing_and_tells_what_would_be_otherwise(bare_site: Site) -> None:
    bare_site.the0("local", "start")
    before = bare_site.pids()
    assert "other settings" not in bare_site.run("local", "start").stderr
    changed = replace(bare_site, extra={"BOT_MEMORY_LIMIT_MB": "256"})
    assert "other settings than those of now: limits.memory_mb" in (
        changed.run("local", "start").stderr
    )
    assert bare_site.pids() == before


def test_it_is_stopped_as_it_was_started_whatever_the_environment_says_now(
    docker_engine: docker.DockerClient, tmp_path: Path
) -> None:
    with (
        mongo_server(tmp_path / "mongo") as mongo,
        new_site(docker_engine, {"MONGO_URI": mongo.url}) as site,
    ):
        site.the0("local", "start")
        counting(site, "plain", "p", tmp_path)
        elsewhere = replace(site, extra={"MONGO_URI": "mongodb://127.0.0.1:1"})
        stopped = elsewhere.json("local", "stop")
        assert (stopped["bots"], stopped["kept"]) == (1, {})


def test_no_bot_notices_that_the_host_was_killed(bare_site: Site, tmp_path: Path) -> None:
    bare_site.the0("local", "start")
    counting(bare_site, "adopted", "a", tmp_path)
    container = bare_site.container("adopted").id
    before = bare_site.pids()["host"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: bare_site.pids().get("host"), lambda pid: pid not in (None, before))
    eventually(lambda: bare_site.run("bot", "list").returncode == 0)
    eventually(lambda: bare_site.phase("adopted"), lambda phase: phase == "running")
    assert bare_site.container("adopted").id == container
    assert bare_site.status("adopted")["restarts"] == 0


def test_bots_are_stopped_in_order_even_after_the_supervisor_was_killed(
    bare_site: Site, tmp_path: Path
) -> None:
    bare_site.the0("local", "start")
    counting(bare_site, "orphan", "o", tmp_path)
    supervisor = int((bare_site.root / "run" / "supervisor.lock").read_text())
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: bare_site.processes() == [])
    assert len(bare_site.containers()) == 1
    stopped = bare_site.json("local", "stop")
    assert (stopped["bots"], stopped["kept"]) == (1, {})
    assert bare_site.containers() == bare_site.volumes() == []


def test_a_volume_whose_state_could_not_be_stored_stays_and_is_named(
    bare_site: Site, tmp_path: Path
) -> None:
    bare_site.the0("local", "start")
    counting(bare_site, "saved", "s", tmp_path)
    bare_site.deploy("toobig", tmp_path, label="t", big=True)
    eventually(lambda: bare_site.counts("toobig", "t"))
    kept = bare_site.json("local", "stop")["kept"]
    assert list(kept) == ["toobig"]
    assert sorted(kept["toobig"]) == sorted(bare_site.volumes())
    bare_site.the0("local", "start")
    eventually(lambda: bare_site.phase("toobig"), lambda phase: phase == "running")
    assert max(bare_site.counts("toobig", "t")) > 1, "the volume was not used"
    bare_site.the0("bot", "delete", "toobig", "--purge", "--yes")
    eventually(lambda: not any("toobig" in name for name in bare_site.volumes()))


def test_a_start_that_fails_names_the_cause_and_leaves_nothing_running(bare_site: Site) -> None:
    bare_site.the0("local", "start")
    bare_site.the0("local", "stop")
    config = bare_site.json_file("local.json")
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", config["api_port"]))
        thief.listen()
        done = bare_site.run("local", "start")
    assert done.returncode == 4
    assert f"Port {config['api_port']}" in done.stderr
    assert bare_site.processes() == []


def test_servers_that_the_settings_name_take_the_place_of_ours(
    docker_engine: docker.DockerClient, tmp_path: Path
) -> None:
    with (
        mongo_server(tmp_path / "mongo") as mongo,
        new_site(docker_engine, {"MONGO_URI": mongo.url}) as site,
    ):
        site.the0("local", "start")
        assert set(site.pids()) == {"s3", "nats", "host"}
        counting(site, "elsewhere", "e", tmp_path)


def test_a_second_installation_on_the_same_database_is_refused_by_name(
    docker_engine: docker.DockerClient, tmp_path: Path
) -> None:
    with (
        mongo_server(tmp_path / "mongo") as mongo,
        new_site(docker_engine, {"MONGO_URI": mongo.url}) as first,
        new_site(docker_engine, {"MONGO_URI": mongo.url}) as second,
    ):
        first.the0("local", "start")
        refused = second.run("local", "start")
        assert refused.returncode == 4
        assert f"{first.instance!r} (its host runs" in refused.stderr
        assert second.processes() == []
        first.the0("local", "stop")
        second.the0("local", "start")


def test_no_secret_is_on_a_command_line_or_readable_by_others(bare_site: Site) -> None:
    bare_site.the0("local", "start")
    config = bare_site.json_file("local.json")
    names = ("mongo_password", "s3_secret_key", "nats_password", "api_token")
    lines = "\n".join(bare_site.processes())
    assert not any(config[name] in lines for name in names)
    assert bare_site.root.stat().st_mode & 0o077 == 0


def test_the_demo_shows_two_running_bots_and_is_harmless_again(bare_site: Site) -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "scripts/demo.py"],
            env=bare_site.environ,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count(" running ") == 2
    assert len(bare_site.containers()) == 2
