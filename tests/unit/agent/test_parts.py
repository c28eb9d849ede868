"""The small parts: folders, scans, the console, pauses, the reactor, the built file."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.agent import build, files, processes, sync
from the0.agent.backoff import Backoff
from the0.agent.console import Console
from the0.agent.job import Job
from the0.agent.lines import Line
from the0.agent.paths import Paths
from the0.agent.reactor import Reactor
from the0.agent.scan import scan
from the0.agent.status import Condition, News, Status
from the0.agent.workers import attend, start


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = files.open_folder(str(tmp_path))
    yield fd
    os.close(fd)


class TestFiles:
    def test_no_part_of_a_path_may_be_a_link(self, tmp_path: Path, folder: int) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real/file").write_text("x")
        (tmp_path / "link").symlink_to("real")
        (tmp_path / "real/link").symlink_to("file")
        os.close(files.open_file("real/file", folder))
        for path in ("link/file", "real/link", "real", "absent"):
            with pytest.raises(OSError):  # noqa: PT011 - which one depends on the kernel
                files.open_file(path, folder)

    def test_a_pipe_does_not_block(self, tmp_path: Path, folder: int) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileNotFoundError):
            files.open_file("pipe", folder)

    def test_clearing_takes_everything_but_what_is_kept(self, tmp_path: Path, folder: int) -> None:
        (tmp_path / "keep").mkdir()
        (tmp_path / "a/b/c").mkdir(parents=True)
        (tmp_path / "a/link").symlink_to("/etc")
        (tmp_path / "a").chmod(0)
        files.clear(folder, keep="keep")
        assert os.listdir(tmp_path) == ["keep"]
        assert Path("/etc/passwd").exists()

    def test_no_depth_is_too_deep_to_be_removed(self, tmp_path: Path, folder: int) -> None:
        inner = os.dup(folder)
        for _ in range(2000):
            os.mkdir("d", dir_fd=inner)
            os.close(os.open("f", os.O_CREAT, dir_fd=inner))
            outer, inner = inner, files.open_folder("d", inner)
            os.close(outer)
        os.close(inner)
        files.remove(folder, "d")
        assert os.listdir(tmp_path) == ["f"]

    def test_a_spooled_file_has_no_name(self, tmp_path: Path, folder: int) -> None:
        with open(files.spool(folder), "w+b") as file:
            file.write(b"x")
            assert os.listdir(tmp_path) == []

    def test_only_small_regular_files_are_read(self, tmp_path: Path, folder: int) -> None:
        (tmp_path / "f").write_bytes(b"12345")
        assert files.read_small(folder, "f", 5) == b"12345"
        assert files.read_small(folder, "f", 4) is None
        assert files.read_small(folder, "absent", 4) is None

    def test_a_folder_is_made_where_something_else_was(self, tmp_path: Path) -> None:
        (tmp_path / "logs").symlink_to("/etc")
        os.close(files.make_folder(str(tmp_path / "logs")))
        assert (tmp_path / "logs").is_dir()
        assert not (tmp_path / "logs").is_symlink()


class TestScan:
    @pytest.fixture
    def paths(self, tmp_path: Path) -> Paths:
        for name in ("bot", "state", "var/the0"):
            (tmp_path / name).mkdir(parents=True)
        return Paths(str(tmp_path))

    @pytest.mark.parametrize("change", ["new", "content", "mode", "removed", "folder", "renamed"])
    def test_every_change_is_seen(self, paths: Paths, change: str) -> None:
        state = Path(paths.state)
        (state / "a").write_text("1")
        before = scan(paths, os.getpid()).signature
        assert scan(paths, os.getpid()).signature == before
        if change == "content":
            times = (state / "a").stat().st_mtime_ns
            (state / "a").write_text("2")
            os.utime(state / "a", ns=(times, times))
        elif change == "mode":
            (state / "a").chmod(0o755)
        elif change == "removed":
            (state / "a").unlink()
        elif change == "renamed":
            (state / "a").rename(state / "b")
        elif change == "folder":
            (state / "f").mkdir()
        else:
            (state / "b").write_text("1")
        assert scan(paths, os.getpid()).signature != before

    def test_disk_use_is_that_of_all_three_folders(self, paths: Paths) -> None:
        before = scan(paths, os.getpid()).disk_bytes
        for folder in (paths.bot, paths.state, paths.var):
            (Path(folder) / "f").write_bytes(b"x" * 100_000)
        (Path(paths.bot) / "link").symlink_to("/usr")
        with (Path(paths.bot) / "sparse").open("wb") as file:
            file.truncate(10**12)
        os.sync()
        assert 300_000 <= scan(paths, os.getpid()).disk_bytes - before < 400_000

    def test_empty_files_and_folders_count(self, paths: Paths) -> None:
        before = scan(paths, os.getpid()).disk_bytes
        for number in range(100):
            (Path(paths.state) / f"{number}").touch()
            (Path(paths.bot) / f"{number}").mkdir()
        assert scan(paths, os.getpid()).disk_bytes - before >= 200 * 4096

    def test_a_file_with_many_names_counts_once(self, paths: Paths) -> None:
        (Path(paths.state) / "f").write_bytes(b"x" * 100_000)
        os.sync()
        before = scan(paths, os.getpid()).disk_bytes
        for number in range(100):
            os.link(Path(paths.state) / "f", Path(paths.state) / f"{number}")
        assert scan(paths, os.getpid()).disk_bytes - before < 100_000

    def test_a_removed_file_that_is_open_counts(self, paths: Paths) -> None:
        before = scan(paths, os.getpid()).disk_bytes
        program = (
            "import os, sys; f = open(sys.argv[1], 'wb'); os.unlink(f.name);"
            "f.write(b'x' * 300_000); f.flush(); os.fsync(f.fileno());"
            "os.dup(f.fileno()); print(); sys.stdin.read()"
        )
        command = [sys.executable, "-c", program, f"{paths.bot}/f"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            assert 300_000 <= scan(paths, os.getpid()).disk_bytes - before < 400_000
        assert scan(paths, os.getpid()).disk_bytes - before < 100_000

    def test_folders_too_deep_to_be_looked_at_are_an_error(self, paths: Paths) -> None:
        nested = Path(paths.bot)
        for _ in range(files.DEEPEST + 2):
            nested = nested / "d"
            nested.mkdir()
        with pytest.raises(files.TooDeep):
            scan(paths, os.getpid())


class TestConsole:
    def test_a_full_pipe_never_blocks_and_drops_are_counted(self) -> None:
        reading, writing = os.pipe()
        console = Console(writing)
        for _ in range(20_000):
            console.write([Line(b"x" * 99)])
        seen = b""
        os.set_blocking(reading, False)
        while piece := self.read(reading):
            seen += piece
            console.flush()
        console.write([Line(b"after")])
        seen += self.read(reading)
        os.close(reading)
        os.close(writing)
        whole, dropped, last = seen.rpartition(b"[the0: ")
        assert dropped
        number = int(last.split()[0])
        assert whole.count(b"\n") + number == 20_000
        assert last.endswith(b"lines were dropped here]\nafter\n")

    def read(self, fd: int) -> bytes:
        try:
            return os.read(fd, 1 << 20)
        except BlockingIOError:
            return b""

    def test_a_reader_that_is_gone_is_no_matter(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        Console(writing).write([Line(b"x")])
        os.close(writing)


@given(st.floats(0.01, 10), st.floats(10, 1000), st.integers(1, 100))
def test_pauses_grow_to_their_most(first: float, most: float, attempts: int) -> None:
    backoff = Backoff(first, most)
    pauses = [backoff.pause() for _ in range(attempts)]
    assert all(0 < pause <= most for pause in pauses)
    assert first * 0.75 <= pauses[0] <= first
    backoff.reset()
    assert backoff.pause() <= first


class TestStatus:
    def test_only_news_is_news(self) -> None:
        status = Status()
        assert status.take(Condition("A", False)) is News.NONE
        assert status.take(Condition("A", True, "R", "m")) is News.CHANGE
        assert status.take(Condition("A", True, "R", "m")) is News.NONE
        assert status.take(Condition("A", True, "R", "n")) is News.CHANGE
        assert status.take(Condition("A", False)) is News.CHANGE
        assert [one["status"] for one in status.document()["conditions"]] == [False]

    def test_other_words_about_the_same_are_no_change(self) -> None:
        status = Status()
        for expected, size, subject in (
            (News.CHANGE, 1, "big"),
            (News.DETAIL, 2, "big"),
            (News.CHANGE, 3, "other"),
        ):
            condition = Condition("A", True, "R", f"{size} bytes", subject)
            assert status.take(condition) is expected
        (shown,) = status.document()["conditions"]
        assert shown == {"type": "A", "status": True, "reason": "R", "message": "3 bytes"}


class TestForks:
    def test_one_that_cannot_be_made_leaves_no_descriptor(
        self, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def none_left() -> int:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        monkeypatch.setattr(os, "fork", none_left)
        before = os.listdir("/proc/self/fd")
        with pytest.raises(BlockingIOError):
            start(lambda _: 0)
        with pytest.raises(BlockingIOError):
            sync.start(job, 0)
        with pytest.raises(BlockingIOError):
            processes.spawn(processes.Command(["true"], {}, "/"))
        assert os.listdir("/proc/self/fd") == before

    def test_messages_of_any_size_arrive(self) -> None:
        taken: list[dict[str, object]] = []
        sent = [{"text": "x" * 200_000}, {"text": "ü\n"}]

        def work(send: object) -> int:
            for message in sent:
                send(message)  # type: ignore[operator]
            return 0

        worker = start(work)
        attend(worker, Reactor(), 20, taken.append)
        assert os.waitpid(worker.pid, 0)[1] == 0
        assert taken == sent

    def test_one_that_does_not_end_is_ended(self) -> None:
        worker = start(lambda _: time.sleep(1000) or 0)  # type: ignore[func-returns-value]
        attend(worker, Reactor(), 0.05, lambda _: None)
        assert os.WTERMSIG(os.waitpid(worker.pid, 0)[1]) == signal.SIGKILL

    def test_a_timer_that_was_cancelled_is_silent(self) -> None:
        reactor, seen = Reactor(), list[str]()
        reactor.later(0.01, lambda: seen.append("cancelled")).cancel()
        reactor.later(0.02, lambda: seen.append("first"))
        reactor.later(0.03, lambda: seen.append("second"))
        while len(seen) < 2:
            reactor.turn()
        assert seen == ["first", "second"]


class TestBuild:
    def test_the_same_sources_make_the_same_bytes(self) -> None:
        assert build.build_agent() == build.build_agent()
        assert build.build_agent().startswith(b"#!/usr/bin/python3 -I\n")

    @pytest.mark.parametrize("compiled", [True, False])
    def test_it_runs_by_itself(
        self, tmp_path: Path, compiled: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not compiled:
            monkeypatch.setattr(build.importlib.util, "MAGIC_NUMBER", b"another")
        program = tmp_path / "runtime"
        program.write_bytes(build.build_agent())
        done = subprocess.run(
            [sys.executable, "-I", str(program), "nothing"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)

    def test_it_holds_nothing_of_the_host(self, tmp_path: Path) -> None:
        program = tmp_path / "runtime"
        program.write_bytes(build.build_agent())
        with zipfile.ZipFile(program) as archive:
            names = archive.namelist()
        assert not [name for name in names if "build" in name]
        assert {name.rpartition("/")[0] for name in names} == {"", "the0", "the0/agent"}

    def test_the_agent_imports_the_standard_library_only(self) -> None:
        lines = [
            line.split()[1].partition(".")[0]
            for path in Path(build.__file__).parent.glob("*.py")
            for line in path.read_text().splitlines()
            if line.lstrip().startswith(("import ", "from "))
        ]
        assert {name for name in lines if name not in sys.stdlib_module_names} == {"the0"}
