"""The executor without Docker: the conformance suite, and what is its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.support.leaks import CHECKOUT
from the0.builtin import executor_process_images
from the0.builtin.executor_process import ProcessExecutor
from the0.builtin.executor_process_images import PYTHON, Images
from the0.builtin.executor_process_keeper import MAX_OUTPUT
from the0.builtin.executor_process_record import RUNNING, ProcessId, now, write_json
from the0.models import ContainerSpec, ContainerState
from the0.plugin.interfaces import ImageSpec, PluginArgs
from the0.testing.containers import (
    Silent,
    clean,
    make_spec,
    output,
    run,
    until_ended,
    until_logged,
)
from the0.testing.executor import IDLE, OBEDIENT, ExecutorConformance
from the0.testing.runtime import RecordedProgress

NOBODY = 65534
WITHOUT_ROOT = Path(__file__).with_name("without_root.py")
IMAGE = "the0/test-process:latest"


def make(state_dir: Path, installation: str = "mine") -> ProcessExecutor:
    return ProcessExecutor(PluginArgs("t", installation, state_dir))


class TestConformance(ExecutorConformance):
    @pytest.fixture
    def executor(self, tmp_path: Path) -> ProcessExecutor:
        self.state_dir = tmp_path
        return make(tmp_path)

    @pytest.fixture
    def image(self, executor: ProcessExecutor) -> str:
        executor.build_image(IMAGE, "digest", ImageSpec(packages=()), Silent())
        return IMAGE

    def make_other(self) -> ProcessExecutor:
        return make(self.state_dir, "another")

    def make_unreachable(self) -> ProcessExecutor:
        return make(Path("/dev/null/nowhere"))


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[ProcessExecutor]:
    made = make(tmp_path)
    made.build_image(IMAGE, "digest", ImageSpec(packages=()), Silent())
    yield made
    clean(made)


@pytest.fixture
def spec(tmp_path: Path) -> ContainerSpec:
    gateway = tmp_path / "gateway"
    gateway.mkdir()
    return make_spec("b", IMAGE, gateway)


def test_what_a_dead_host_left_half_done_goes(executor: ProcessExecutor) -> None:
    executor.list()
    containers = executor.args.state_dir / "processes/mine/containers"
    for name in (".gone-a", ".new-old", ".new-now"):
        (containers / name / "bot").mkdir(parents=True)
    os.utime(containers / ".new-old", (time.time() - 7200,) * 2)
    executor.prepare()
    assert [path.name for path in containers.iterdir()] == [".new-now"]


def test_another_host_finds_what_runs(executor: ProcessExecutor, spec: ContainerSpec) -> None:
    ref = run(executor, replace(spec, command=OBEDIENT))
    until_logged(executor, ref, "ready")
    successor = make(executor.args.state_dir)
    assert [one.ref for one in successor.list()] == [ref]
    successor.stop(ref, 30)
    assert executor.inspect(ref).exit_code == 3


def test_a_number_that_was_given_away_is_no_container(
    executor: ProcessExecutor, spec: ContainerSpec
) -> None:
    """The record of a machine that has restarted names a process that is another one now."""
    ref = executor.create(spec).ref
    folder = executor.args.state_dir / "processes/mine/containers" / ref.rpartition(".")[0]
    mine = ProcessId.of(os.getpid())
    assert mine
    gone = asdict(replace(mine, boot="another"))
    running = {"keeper": gone, "main": gone, "port": 1, "started_at": now()}
    write_json(folder / RUNNING, running)
    found = executor.inspect(ref)
    assert (found.state, found.exit_code) == (ContainerState.EXITED, 128 + signal.SIGKILL)
    executor.stop(ref, 0)
    executor.kill(ref)


def test_a_program_that_is_not_there_is_an_exit_that_says_so(
    executor: ProcessExecutor, spec: ContainerSpec
) -> None:
    ref = run(executor, replace(spec, command=("no-such-program",)))
    assert until_ended(executor, ref).exit_code == 127
    assert "no-such-program could not be started" in executor.log_tail(ref, 1)[0]


def test_the_machine_is_seen_and_not_written(
    executor: ProcessExecutor, spec: ContainerSpec
) -> None:
    script = (
        "id -u; id -g; grep -E 'CapEff|NoNewPrivs' /proc/self/status | tr -d '\\t ';"
        "for d in / /etc /usr /app /run/the0; do touch $d/x 2>/dev/null && echo writable $d; done;"
        "for d in /tmp /query /bot /state /var/the0; do touch $d/x || echo closed $d; done;"
        "ls /root /home /srv 2>/dev/null"
    )
    found = output(executor, replace(spec, command=("sh", "-c", script)))
    assert found == ["1000", "1000", "CapEff:0000000000000000", "NoNewPrivs:1"]


def test_what_a_bot_forks_ends_with_it(executor: ProcessExecutor, spec: ContainerSpec) -> None:
    script = "setsid sh -c 'while :; do date > /state/beat; sleep 0.1; done' & sleep 0.5"
    ref = run(executor, replace(spec, command=("sh", "-c", script)))
    until_ended(executor, ref)
    (state,) = executor.args.state_dir.glob("processes/mine/volumes/*/state")
    before = (state / "beat").stat().st_mtime_ns
    time.sleep(0.5)
    assert (state / "beat").stat().st_mtime_ns == before


def test_output_is_bounded(executor: ProcessExecutor, spec: ContainerSpec) -> None:
    script = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last"
    ref = run(executor, replace(spec, command=("sh", "-c", script)))
    until_ended(executor, ref)
    folder = executor.args.state_dir / "processes/mine/containers" / ref.rpartition(".")[0]
    kept = sum(path.stat().st_size for path in folder.glob("output.log*"))
    assert kept <= 2 * (MAX_OUTPUT + (1 << 16))
    assert executor.log_tail(ref, 1) == ["last"]


def test_files_of_the_image_lie_over_the_machines_own(
    executor: ProcessExecutor, spec: ContainerSpec, tmp_path: Path
) -> None:
    program = tmp_path / "greet"
    program.write_text("#!/bin/sh\necho greetings\n")
    program.chmod(0o755)
    image = ImageSpec(
        packages=(),
        files={"/usr/local/bin/greet": program},
        links={"/usr/local/bin/hail": "/usr/local/bin/greet"},
    )
    executor.build_image("the0/greeting:1", "digest", image, Silent())
    spec = replace(spec, image="the0/greeting:1", command=("sh", "-c", "greet; hail; ls /bin/sh"))
    assert output(executor, spec) == ["greetings", "greetings", "/bin/sh"]


def test_old_images_go_once_nobody_uses_them(
    executor: ProcessExecutor, spec: ContainerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_process_images, "LAYING_OUT_SEC", 0.0)
    trees = executor.args.state_dir / "processes" / "trees"
    ref = run(executor, replace(spec, command=IDLE))
    executor.build_image("the0/test-process:2", "other", ImageSpec(packages=()), Silent())
    assert not executor.has_image(IMAGE, "digest")
    assert len(list(trees.iterdir())) == 2
    executor.kill(ref)
    executor.remove(ref)
    executor.build_image("the0/test-process:3", "third", ImageSpec(packages=()), Silent())
    assert len(list(trees.iterdir())) == 1


def test_a_build_leaves_alone_what_another_one_is_laying_out(tmp_path: Path) -> None:
    images = Images(tmp_path)
    nothing = ImageSpec(packages=())
    images.build("the0/one:1", "digest", nothing, Silent())
    half = images.tree("the0/one:1")
    (tmp_path / "images" / "the0%2Fone%3A1.json").rename(tmp_path / "its record, yet to come")
    images.remove_old("the0/two:1", set())
    assert half.is_dir()


def test_an_image_without_its_files_is_none(tmp_path: Path) -> None:
    images = Images(tmp_path)
    images.build("the0/one:1", "digest", ImageSpec(packages=()), Silent())
    assert images.has("the0/one:1", "digest")
    shutil.rmtree(images.tree("the0/one:1"))
    assert not images.has("the0/one:1", "digest")


def test_packages_that_the_machine_lacks_are_named(executor: ProcessExecutor) -> None:
    steps = RecordedProgress()
    packages = ("python3", "no-such-package-of-debian")
    executor.build_image("the0/lacks:1", "digest", ImageSpec(packages=packages), steps)
    told = "lacks no-such-package-of-debian" in " ".join(steps.steps)
    assert told == (shutil.which("dpkg-query") is not None)


def test_other_users_have_it_by_user_namespaces_or_are_told_why_not(tmp_path: Path) -> None:
    """As a user without rights, by the machine's own Python."""
    folder = tmp_path.parent.parent / f"nobody-{secrets.token_hex(4)}"
    script = folder / "try.py"
    folder.mkdir()
    shutil.copy(WITHOUT_ROOT, script)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    for place in (folder, *folder.parents[:-1]):
        place.chmod(place.stat().st_mode | 0o055)
    paths = os.pathsep.join([str(CHECKOUT), sysconfig.get_path("purelib")])
    user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    done = subprocess.run(
        [*(user if os.geteuid() == 0 else []), PYTHON, str(script)],
        check=False,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    shutil.rmtree(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.splitlines()
    assert words == ["1000", "kept"] or "Run the host as root" in done.stdout
