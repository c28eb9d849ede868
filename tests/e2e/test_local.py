"""`the0 local`: started on nothing, killed in parts, stopped without a trace but the state."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from tests.e2e.conftest import new_site
from tests.support.leaks import CHECKOUT
from tests.support.site import BOTS, Site, eventually
from the0.testing.servers import mongo_server

REALTIME = ("demo-btc", "demo-eth")
"""The demo's bots that always run."""


def counting(site: Site, bot_id: str, label: str, folder: Path) -> list[int]:
    site.the0("custom-bot", "deploy", str(BOTS / "counter"))
    site.deploy(bot_id, folder, label=label)
    return eventually(lambda: site.counts(bot_id, label))


# --- what `make demo` brings up, shared: each test leaves it running, the last one ends it ---


def run_demo(site: Site) -> str:
    """What the demo printed; it has to succeed."""
    done = subprocess.run(
        [sys.executable, "scripts/demo.py"],
        env=site.environ,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def realtime(site: Site) -> list[str]:
    """The containers of the demo's realtime bots."""
    return [site.container(bot).id for bot in REALTIME]


@pytest.fixture(scope="module")
def demo(docker_engine: docker.DockerClient) -> Iterator[Site]:
    with new_site(docker_engine, {}) as site:
        run_demo(site)
        yield site


def test_the_demo_shows_its_bots_and_is_harmless_again(demo: Site) -> None:
    before, containers = demo.pids(), realtime(demo)
    shown = run_demo(demo)
    assert all(re.search(rf"{bot} +running", shown) for bot in REALTIME)
    assert (demo.pids(), realtime(demo)) == (before, containers)


def test_a_start_beside_a_running_one_only_tells_what_would_be_otherwise(demo: Site) -> None:
    before = demo.pids()
    assert "other settings" not in demo.run("local", "start").stderr
    changed = replace(demo, extra={"BOT_MEMORY_LIMIT_MB": "256"})
    told = changed.run("local", "start").stderr
    assert "other settings than those of now: limits.memory_mb" in told
    assert demo.pids() == before


def test_no_secret_is_on_a_command_line_or_readable_by_others(demo: Site) -> None:
    config = demo.json_file("local.json")
    names = ("mongo_password", "s3_secret_key", "nats_password", "api_token")
    lines = "\n".join(demo.processes())
    assert not any(config[name] in lines for name in names)
    assert demo.root.stat().st_mode & 0o077 == 0


def test_no_bot_notices_that_the_host_was_killed(demo: Site) -> None:
    container, before = demo.container("demo-btc").id, demo.pids()["host"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: demo.pids().get("host"), lambda pid: pid not in (None, before))
    eventually(lambda: demo.run("bot", "list").returncode == 0)
    eventually(lambda: demo.phase("demo-btc"), lambda phase: phase == "running")
    assert demo.container("demo-btc").id == container
    assert demo.status("demo-btc")["restarts"] == 0


def test_bots_are_stopped_in_order_even_after_the_supervisor_was_killed(demo: Site) -> None:
    containers = realtime(demo)
    supervisor = int((demo.root / "run" / "supervisor.lock").read_text())
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: demo.processes() == [])
    assert realtime(demo) == containers
    stopped = demo.json("local", "stop")
    # A run of the scheduled one may be under way.
    assert (stopped["bots"] >= len(containers), stopped["kept"]) == (True, {})
    assert demo.containers() == demo.volumes() == []


# --- sites of a test's own ---


def test_a_stop_leaves_state_and_logs_and_what_could_not_be_stored(
    bare_site: Site, tmp_path: Path
) -> None:
    bare_site.the0("local", "start")
    counting(bare_site, "keeper", "k", tmp_path)
    bare_site.deploy("toobig", tmp_path, label="t", big=True)
    eventually(lambda: bare_site.counts("toobig", "t"))

    kept = bare_site.json("local", "stop")["kept"]
    assert list(kept) == ["toobig"]
    assert sorted(kept["toobig"]) == sorted(bare_site.volumes())
    assert bare_site.containers() == bare_site.networks() == bare_site.processes() == []

    bare_site.the0("local", "start")
    counts = eventually(lambda: bare_site.counts("keeper", "k"), lambda c: len(c) > 8)
    assert counts == list(range(1, len(counts) + 1))
    eventually(lambda: bare_site.phase("toobig"), lambda phase: phase == "running")
    assert max(bare_site.counts("toobig", "t")) > 1, "the volume was not used"
    bare_site.the0("bot", "delete", "toobig", "--purge", "--yes")
    eventually(lambda: not any("toobig" in name for name in bare_site.volumes()))


def test_a_start_that_fails_names_the_cause_and_leaves_nothing_running(bare_site: Site) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        port = thief.getsockname()[1]
        done = replace(bare_site, extra={"THE0_API__PORT": str(port)}).run("local", "start")
    assert done.returncode == 4
    assert f"Port {port}" in done.stderr
    assert bare_site.processes() == []


def test_a_database_that_the_settings_name_serves_one_installation(
    docker_engine: docker.DockerClient, tmp_path: Path
) -> None:
    with (
        mongo_server(tmp_path / "mongo") as mongo,
        new_site(docker_engine, {"MONGO_URI": mongo.url}) as first,
        new_site(docker_engine, {"MONGO_URI": mongo.url}) as second,
    ):
        first.the0("local", "start")
        assert set(first.pids()) == {"s3", "nats", "host"}
        counting(first, "elsewhere", "e", tmp_path)

        refused = second.run("local", "start")
        assert refused.returncode == 4
        assert f"{first.instance!r} (its host runs" in refused.stderr
        assert second.processes() == []

        # It is stopped as it was started, whatever the environment says now.
        moved = replace(first, extra={"MONGO_URI": "mongodb://127.0.0.1:1"})
        stopped = moved.json("local", "stop")
        assert (stopped["bots"], stopped["kept"]) == (1, {})
