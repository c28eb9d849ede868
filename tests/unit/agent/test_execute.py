"""The whole agent below a folder of its own, with real processes and a gateway that fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.agent import FOREVER, PATIENCE_SEC, Agent, wait_until
from the0.agent import landlock, tree


def test_a_bot_runs_to_its_end(agent: Agent) -> None:
    code = agent.run(
        "import os, sys, json\n"
        "print('config', json.loads(os.environ['BOT_CONFIG'])['big'])\n"
        "print('problem', file=sys.stderr)\n"
        "print(os.getcwd(), os.getsid(0) == os.getpid(), sys.stdin.read() == '')\n"
        "open('/proc/self/fd/1', 'wb').write(b'no newline')\n"
        "sys.exit(7)\n"
    )
    assert code == 7
    assert sorted(agent.gateway.lines("stdout")) == [
        f"{agent.root}/bot True True",
        "config 12345678901234567890",
        "no newline",
    ]
    assert agent.gateway.lines("stderr") == ["problem"]
    ended = agent.gateway.exit()
    assert (ended["code"], ended["signal"], ended["reason"]) == (7, None, "exited")
    assert ended["state_saved"] is True
    assert "problem" in agent.console()
    phases = [status["phase"] for status in agent.gateway.statuses]
    assert phases[-1] == "ended"


def test_the_bot_inherits_nothing(agent: Agent) -> None:
    agent.run("import os; print(sorted(os.environ)); print(sorted(os.listdir('/proc/self/fd')))")
    names, descriptors = agent.gateway.lines()
    assert "THE0_TOKEN" not in names
    assert "THE0_LAUNCH" not in names
    # The fourth is the listing itself.
    assert descriptors == "['0', '1', '2', '3']"


def test_what_one_launch_wrote_the_next_one_sees(agent: Agent) -> None:
    agent.run("open('../state/a', 'w').write('1'); open('../state/b', 'w').write('2')")
    agent.run("import os; os.unlink('../state/a')")
    agent.run("import os; print(os.listdir('../state'))")
    assert agent.gateway.lines() == ["['b']"]
    assert agent.gateway.uploads == 2


def test_sigterm_reaches_the_bot_at_once(agent: Agent) -> None:
    agent.give(
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    open('../state/last', 'w').write('words'); print('bye'); sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, end)\n" + FOREVER
    )
    agent.start()
    wait_until(agent.gateway.lines)
    assert agent.stop() == 3
    assert agent.gateway.lines() == ["up", "bye"]
    assert agent.gateway.exit()["reason"] == "stopped"
    assert agent.gateway.state
    assert agent.gateway.uploads == 1


def test_a_deaf_bot_is_killed_after_its_grace(agent: Agent) -> None:
    agent.give(
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + FOREVER,
        stop_grace_sec=0.3,
    )
    agent.start()
    wait_until(agent.gateway.lines)
    assert agent.stop(signal.SIGINT) == 128 + signal.SIGKILL
    ended = agent.gateway.exit()
    assert (ended["code"], ended["signal"], ended["reason"]) == (None, signal.SIGKILL, "stopped")


def test_nothing_survives_the_bot(agent: Agent) -> None:
    agent.run(
        "import subprocess, sys\n"
        "child = 'import os, time; os.setsid(); time.sleep(1000)'\n"
        "print(subprocess.Popen([sys.executable, '-c', child]).pid)\n"
    )
    (pid,) = agent.gateway.lines()
    assert not Path(f"/proc/{pid}").exists()


def test_orphans_are_reaped(agent: Agent) -> None:
    agent.give(
        "import os, time\nif os.fork() == 0:\n    if os.fork() == 0: os._exit(0)\n"
        "    os._exit(0)\nos.wait()\n" + FOREVER
    )
    process = agent.start()
    wait_until(agent.gateway.lines)

    def states() -> list[str]:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][1] for pid in children]

    wait_until(lambda: "Z" not in states(), "reaping")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_sync_is_started_again_whatever_the_bot_does_to_it(agent: Agent, number: int) -> None:
    agent.give(FOREVER)
    agent.start()
    wait_until(lambda: agent.gateway.phase() == "running")
    first = agent.sync_pid()
    assert first
    os.kill(first, number)
    wait_until(lambda: not Path(f"/proc/{first}").exists(), "its end")
    wait_until(agent.sync_pid, "another")
    (agent.state / "k").write_text("1")
    wait_until(lambda: agent.gateway.uploads, "an upload")
    agent.stop()
    assert agent.gateway.lines() == ["up"]


def test_state_is_saved_while_the_bot_runs(agent: Agent) -> None:
    agent.give(FOREVER)
    process = agent.start()
    wait_until(lambda: agent.gateway.phase() == "running")
    (agent.state / "k").write_text("1")
    wait_until(lambda: agent.gateway.uploads == 1, "an upload")
    process.kill()
    process.wait()
    agent.run("print(open('../state/k').read())")
    assert agent.gateway.lines()[-1] == "1"


def test_a_store_that_hung_for_a_while_does_not_put_off_the_next_attempt(agent: Agent) -> None:
    agent.give(FOREVER, sync={"interval_sec": 0.1, "min_interval_sec": 0.05})
    agent.gateway.faults["PUT /v1/state"] = "hang"
    agent.start()
    wait_until(lambda: agent.gateway.phase() == "running")
    (agent.state / "k").write_text("1")
    wait_until(lambda: "PUT /v1/state" in agent.gateway.requests, "an attempt")
    hung_sec = 3.0
    time.sleep(hung_sec)
    del agent.gateway.faults["PUT /v1/state"]
    healed = time.monotonic()
    wait_until(lambda: agent.gateway.uploads == 1, "an upload")
    assert time.monotonic() - healed < 5 * hung_sec
    agent.stop()


def test_a_limit_is_said_once_and_is_over_when_it_is(agent: Agent) -> None:
    sync = {"interval_sec": 0.1, "min_interval_sec": 0.05, "max_file_bytes": 10}
    agent.give(FOREVER, sync=sync)
    agent.start()
    wait_until(lambda: agent.gateway.phase() == "running")
    big = agent.state / "big"
    big.write_bytes(b"x" * 11)
    wait_until(lambda: "StateNotSaved" in agent.gateway.conditions(), "the condition")
    message = agent.gateway.conditions()["StateNotSaved"]["message"]
    assert "big has 11 bytes, the limit for a file is 10" in message
    for size in range(12, 17):
        time.sleep(0.5)
        big.write_bytes(b"x" * size)
    wait_until(lambda: "big has 16" in agent.gateway.conditions()["StateNotSaved"]["message"])
    big.write_bytes(b"fine")
    wait_until(lambda: "StateNotSaved" not in agent.gateway.conditions(), "its end")
    agent.stop()
    assert agent.console().count("the limit for a file") == 1
    assert agent.gateway.exit()["state_saved"] is True


def test_a_bot_that_fills_the_disk_is_ended(agent: Agent) -> None:
    code = agent.run(
        "import time\nopen('blob', 'wb').write(b'x' * 3_000_000)\n" + FOREVER,
        disk_bytes=1_000_000,
    )
    assert code == 128 + signal.SIGKILL
    assert agent.gateway.exit()["reason"] == "disk"
    assert "3," in agent.gateway.conditions()["DiskExceeded"]["message"]


def test_a_program_that_is_not_there(agent: Agent) -> None:
    assert agent.run("", commands={"bot": ["no-such-program"]}) == 127
    assert "no-such-program could not be started" in agent.console()


def test_a_scheduled_bot_leaves_result_and_done_file(agent: Agent) -> None:
    code = agent.run(
        "import os\nprint(os.environ['BOT_TYPE'], os.environ['RUN_ID'])\n"
        "open('result.json', 'w').write('{\"status\": \"success\"}')\nraise SystemExit(4)\n",
        kind="scheduled",
        run_id="bot-1/17/1",
    )
    assert code == 4
    assert agent.gateway.lines() == ["scheduled bot-1/17/1"]
    assert agent.gateway.results == [b'{"status": "success"}']
    assert (agent.var / "done").read_text() == "4"


@pytest.mark.parametrize("end", ["", "while not os.path.exists(log): time.sleep(0.05)"])
def test_a_bot_that_removes_the_log_harms_nothing_else(agent: Agent, end: str) -> None:
    code = agent.run(
        "import os, shutil, time\nopen('../state/k', 'w').write('1')\n"
        "log = os.path.abspath('../var/the0/logs/bot.log')\nshutil.rmtree(os.path.dirname(log))\n"
        f"{end}\nprint('after')\nraise SystemExit(4)\n"
    )
    assert code == 4
    assert agent.gateway.exit()["code"] == 4
    assert agent.gateway.uploads == 1
    assert ("after" in agent.gateway.lines()) == bool(end)


def test_a_done_file_that_is_a_deep_folder_is_removed(agent: Agent) -> None:
    agent.run(
        "import os\nos.mkdir('../var/the0/done')\nos.chdir('../var/the0/done')\n"
        "for _ in range(1200):\n    os.mkdir('d')\n    os.chdir('d')\n"
    )
    assert agent.run("", kind="scheduled") == 0
    assert (agent.var / "done").read_text() == "0"


def test_a_result_that_is_a_link_is_not_followed(agent: Agent) -> None:
    agent.run("import os; os.symlink('/etc/passwd', 'result.json')", kind="scheduled")
    assert agent.gateway.results == []


def test_a_query_answers_and_changes_nothing(agent: Agent) -> None:
    assert landlock.version() >= landlock.FULL_VERSION
    agent.run("open('../state/k', 'w').write('1')")
    code = agent.run(
        "import os\n"
        "def attempt(name, change):\n"
        "    try: change()\n"
        "    except OSError as error: print(name, error.errno)\n"
        "attempt('write', lambda: open('../state/k', 'w'))\n"
        "attempt('make', lambda: open('../state/new', 'w'))\n"
        "attempt('remove', lambda: os.unlink('../state/k'))\n"
        "attempt('truncate', lambda: os.truncate('../state/k', 0))\n"
        "attempt('code', lambda: open('main.py', 'a'))\n"
        "open(os.devnull, 'w').write('x'); open('../tmp/t', 'w').write('x')\n"
        "open('../query/result.json', 'w').write(os.environ['QUERY_PARAM_n'])\n",
        kind="query",
        entrypoints={"query": "main.py"},
        commands={"query": [sys.executable, "main.py"]},
        query={"path": "/x", "params": {"n": 5}},
    )
    assert code == 0
    assert agent.gateway.results == [b"5"]
    assert agent.gateway.lines() == [
        f"{name} 13" for name in ("write", "make", "remove", "truncate", "code")
    ]
    assert (agent.state / "k").read_text() == "1"
    assert agent.gateway.uploads == 1


def test_a_query_process_is_kept_running(agent: Agent) -> None:
    agent.give(
        FOREVER,
        commands={
            "bot": [sys.executable, "main.py"],
            "query": [sys.executable, "-c", "print('asked')"],
        },
    )
    agent.start()
    wait_until(lambda: agent.gateway.lines().count("asked") >= 2, "another start")
    assert agent.stop() == 128 + signal.SIGTERM


def test_a_child_of_a_query_process_does_not_outlive_it(agent: Agent) -> None:
    child = "import time; time.sleep(1000)"
    query = (
        f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', '{child}']).pid)"
    )
    agent.give(
        FOREVER,
        commands={
            "bot": [sys.executable, "main.py"],
            "query": [sys.executable, "-c", query],
        },
    )
    agent.start()
    wait_until(lambda: [one for one in agent.gateway.lines() if one.isdigit()], "a child")
    pid = next(one for one in agent.gateway.lines() if one.isdigit())
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "its end")
    assert agent.stop() == 128 + signal.SIGTERM


def test_daemon_sync_syncs_until_the_done_file(agent: Agent) -> None:
    logs = agent.var / "logs"
    logs.mkdir()
    (logs / "bot.log").write_text("2026-11-24T04:08:22.123456789Z stdout F of another\n")
    process = agent.start("daemon", "sync")
    wait_until(lambda: agent.gateway.lines() == ["of another"])
    (agent.state / "k").write_text("1")
    wait_until(lambda: agent.gateway.uploads == 1, "an upload")
    (agent.state / "k").write_text("2")
    (agent.var / "done").write_text("5")
    assert process.wait(PATIENCE_SEC) == 0
    assert agent.gateway.state
    assert agent.gateway.exit()["code"] == 5


@pytest.mark.parametrize("arguments", [[], ["banana"], ["daemon"], ["execute", "--skip-sync"]])
def test_wrong_arguments(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "the0.agent", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["usage: runtime execute | runtime daemon sync"]


def test_without_a_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THE0_LAUNCH", raising=False)
    command = [sys.executable, "-m", "the0.agent", "execute"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "THE0_LAUNCH" in done.stderr


def test_without_volumes(agent: Agent) -> None:
    agent.var.rmdir()
    assert agent.start().wait(PATIENCE_SEC) == 70
    (line,) = agent.console().splitlines()
    assert "var/the0 cannot be written" in line


def test_a_flood_of_lines_is_bounded_and_counted(agent: Agent) -> None:
    agent.gateway.faults["POST /v1/logs"] = "503"
    agent.give(
        "for n in range(20000): print(f'line {n:06}')\n",
        logs={"max_bytes": 100_000, "files": 2, "flush_sec": 0.05},
        sync={"final_sec": 0.5},
    )
    agent.start().wait(PATIENCE_SEC)
    on_disk = sum(path.stat().st_size for path in (agent.var / "logs").iterdir())
    assert on_disk < 2 * 100_000 + 200_000
    assert "LogsDropped" in agent.gateway.conditions()
    agent.gateway.faults.clear()
    agent.give("", kind="flush", commands={})
    assert agent.start().wait(PATIENCE_SEC) == 0
    said = [line.split() for line in agent.gateway.lines("agent") if "dropped" in line]
    dropped = int(said[-1][said[-1].index("so") - 1])
    # What the agent said may have been dropped as well, and is then counted like a line.
    assert 20000 <= dropped + len(agent.gateway.lines()) <= 20000 + 20
    assert agent.gateway.lines()[-1] == "line 019999"


def test_the_mark_of_a_new_bot(agent: Agent) -> None:
    agent.run("")
    mark = json.loads((agent.var / "state.json").read_text())
    plain = {"pending": [], "restoring": False, "pending_tree": None}
    assert mark == {"generation": None, "tree": tree.EMPTY, **plain}
    assert agent.gateway.uploads == 0
