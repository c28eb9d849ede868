"""State between the volume and the store: snapshots, restores, saving."""

from __future__ import annotations

import gc
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.agent import Agent
from tests.support.fake_gateway import StoredState
from the0.agent import files, generations, restore, saving, snapshot, tree, unpacking
from the0.agent.client import Answer, Gateway, Unavailable
from the0.agent.generations import Mark
from the0.agent.job import Job
from the0.agent.launch import Sync
from the0.gateway.transfer import seconds_for

NAMES = st.sampled_from(["a", "b", "a.b", "ü", "z z", "A", "a\udcff"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TREES = st.dictionaries(PATHS, st.none() | st.tuples(st.binary(max_size=40), st.booleans()))


@contextmanager
def opened(path: Path) -> Iterator[int]:
    folder = files.open_folder(str(path))
    try:
        yield folder
    finally:
        os.close(folder)


def make(root: Path, content: dict[str, tuple[bytes, bool] | None]) -> None:
    """Lay out folders (None) and files (content, executable) as far as they do not collide."""
    for path, entry in sorted(content.items()):
        target = os.path.join(root, path)
        try:
            if entry is None:
                os.makedirs(target, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "xb") as file:
                file.write(entry[0])
            os.chmod(target, 0o755 if entry[1] else 0o600)
        except (FileExistsError, NotADirectoryError):
            continue


def hashed(path: Path) -> str:
    with opened(path) as folder:
        return tree.hash_folder(folder)


@given(TREES)
@settings(max_examples=50)
def test_what_is_restored_is_what_was_taken(content: dict[str, tuple[bytes, bool] | None]) -> None:
    root = Path(tempfile.mkdtemp())
    (root / "from").mkdir()
    (root / "to").mkdir()
    make(root / "from", content)
    try:
        with opened(root / "from") as source, opened(root / "to") as target:
            taken = snapshot.take(source, target, Sync())
            with taken.file:
                unpacking.unpack(taken.file, target, 1 << 20)
        assert taken.tree == hashed(root / "from") == hashed(root / "to")
    finally:
        shutil.rmtree(root)


def test_the_hash_is_the_one_of_the_protocol(tmp_path: Path) -> None:
    make(tmp_path, {"a": None, "a/x": (b"hi", True), "a.txt": (b"", False)})
    hi, nothing = hashlib.sha256(b"hi").hexdigest(), hashlib.sha256(b"").hexdigest()
    lines = f"d\0a\0x\x000\0\nf\0a.txt\0-\x000\0{nothing}\nf\0a/x\0x\x002\0{hi}\n"
    assert hashed(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_links_sockets_and_the_restore_folder_are_no_state(tmp_path: Path) -> None:
    before = hashed(tmp_path)
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "file-link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / tree.RESTORING).mkdir()
    assert hashed(tmp_path) == before == tree.EMPTY


def test_an_unreadable_folder_is_never_left_out_silently(agent: Agent, job: Job) -> None:
    nested = agent.state
    for _ in range(files.DEEPEST + 2):
        nested = nested / "d"
        nested.mkdir()
    outcome = saving.save(job)
    assert not outcome.saved
    assert "nested" in outcome.message


def test_the_members_of_an_archive_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    make(tmp_path / "state", {f"k{number}": (b"x", False) for number in range(50)})
    add, alive = snapshot._add, []

    def add_and_count(*arguments: Any) -> object:
        alive.append(sum(type(one) is tarfile.TarInfo for one in gc.get_objects()))
        return add(*arguments)

    monkeypatch.setattr(snapshot, "_add", add_and_count)
    with opened(tmp_path / "state") as state, opened(tmp_path) as spool:
        snapshot.take(state, spool, Sync()).file.close()
    assert len(alive) == 50
    assert max(alive) - alive[0] <= 1


class TestSaving:
    def test_unchanged_state_is_not_uploaded(self, agent: Agent, job: Job) -> None:
        (agent.state / "k").write_text("1")
        assert saving.save(job).saved
        assert saving.save(job).saved
        assert agent.gateway.uploads == 1

    def test_cleared_state_is_a_state(self, agent: Agent, job: Job) -> None:
        (agent.state / "k").write_text("1")
        saving.save(job)
        (agent.state / "k").unlink()
        assert saving.save(job).saved
        assert agent.gateway.state
        assert agent.gateway.state.tree == tree.EMPTY

    def test_nothing_from_the_beginning_is_not_uploaded(self, agent: Agent, job: Job) -> None:
        assert restore.prepare(job)
        assert saving.save(job).saved
        assert agent.gateway.uploads == 0

    @pytest.mark.parametrize("fault", ["503", "torn", "close", "409", "413", "lost answer"])
    def test_a_failed_upload_says_so_and_is_made_up_for(
        self, agent: Agent, job: Job, fault: str
    ) -> None:
        (agent.state / "k").write_text("1")
        saving.save(job)
        before = agent.gateway.state
        (agent.state / "k").write_text("2")
        agent.gateway.faults["PUT /v1/state"] = fault
        outcome = saving.save(job)
        assert not outcome.saved or fault == "torn"
        if fault not in ("lost answer", "torn"):
            assert agent.gateway.state is before
        agent.gateway.faults.clear()
        (agent.state / "k").write_text("3")
        assert saving.save(job).saved
        assert agent.gateway.state
        assert agent.gateway.state.tree == hashed(agent.state)

    def test_going_back_after_a_lost_answer_is_stored_too(self, agent: Agent, job: Job) -> None:
        (agent.state / "k").write_text("1")
        saving.save(job)
        (agent.state / "k").write_text("2")
        agent.gateway.faults["PUT /v1/state"] = "lost answer"
        saving.save(job)
        agent.gateway.faults.clear()
        (agent.state / "k").write_text("1")
        assert saving.save(job).saved
        assert agent.gateway.state
        assert agent.gateway.state.tree == hashed(agent.state)

    def test_an_upload_that_arrives_late_is_no_conflict(self, agent: Agent, job: Job) -> None:
        (agent.state / "k").write_text("1")
        saving.save(job)
        before = agent.gateway.state
        (agent.state / "k").write_text("2")
        agent.gateway.faults["PUT /v1/state"] = "lost answer"
        saving.save(job)
        late, agent.gateway.state = agent.gateway.state, before
        agent.gateway.faults["PUT /v1/state"] = "503"
        (agent.state / "k").write_text("3")
        saving.save(job)
        agent.gateway.faults.clear()
        agent.gateway.state = late
        assert saving.save(job).saved
        assert agent.gateway.state.tree == hashed(agent.state)
        assert restore.prepare(job)

    @pytest.mark.parametrize(("meanwhile", "uploads"), [("2", 2), ("3", 3)])
    def test_an_upload_that_took_long_is_not_made_again(
        self, agent: Agent, job: Job, meanwhile: str, uploads: int
    ) -> None:
        (agent.state / "k").write_text("1")
        saving.save(job)
        before = agent.gateway.state
        (agent.state / "k").write_text("2")
        agent.gateway.faults["PUT /v1/state"] = "lost answer"
        saving.save(job)
        late, agent.gateway.state = agent.gateway.state, before
        agent.gateway.faults["PUT /v1/state"] = "503"
        (agent.state / "k").write_text(meanwhile)
        assert not saving.save(job).saved
        agent.gateway.faults.clear()
        (agent.state / "k").write_text("2")
        agent.gateway.state = late
        assert saving.save(job).saved
        # What was sent meanwhile may still arrive, which harms only where it is another tree.
        assert agent.gateway.uploads == uploads

    def test_the_agent_waits_as_long_as_the_gateway_for_its_store(
        self, agent: Agent, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waited: list[tuple[float, float]] = []
        request = Gateway.request

        def noting(self: Gateway, *arguments: Any, **options: Any) -> Answer:
            if arguments[0] == "PUT":
                bound = job.launch.sync.store_sec + seconds_for(arguments[2].length)
                waited.append((options["silent_sec"], bound))
            return request(self, *arguments, **options)

        monkeypatch.setattr(Gateway, "request", noting)
        (agent.state / "k").write_bytes(os.urandom(3 << 20))
        assert saving.save(job).saved
        ((silent_sec, bound),) = waited
        assert silent_sec > bound

    @pytest.mark.parametrize(
        ("limits", "named"),
        [
            (Sync(max_file_bytes=5), "big has 6 bytes, the limit for a file is 5"),
            (Sync(max_state_bytes=5), "6 bytes in all, the limit is 5"),
        ],
    )
    def test_over_a_limit(self, agent: Agent, job: Job, limits: Sync, named: str) -> None:
        (agent.state / "big").write_text("123456")
        outcome = saving.save(job._replace(launch=job.launch._replace(sync=limits)))
        assert (outcome.saved, outcome.reason) == (False, "NotStorable")
        assert named in outcome.message
        assert agent.gateway.uploads == 0

    def test_nothing_is_left_on_the_volume(self, agent: Agent, job: Job) -> None:
        (agent.state / "large").write_bytes(os.urandom(2 << 20))
        saving.save(job)
        assert os.listdir(agent.var) == ["state.json"]


class TestRestoring:
    def stored(self, agent: Agent, job: Job) -> StoredState:
        """A state in the store, and a volume that knows nothing of it."""
        (agent.state / "kept").write_text("from the store")
        (agent.state / "kept").chmod(0o755)
        (agent.state / "closed").mkdir(mode=0o600)
        saving.save(job)
        assert agent.gateway.state
        self.forget(agent)
        return agent.gateway.state

    def forget(self, agent: Agent) -> None:
        shutil.rmtree(agent.state)
        agent.state.mkdir()
        (agent.var / "state.json").unlink()

    def test_a_lost_volume_is_restored(self, agent: Agent, job: Job) -> None:
        stored = self.stored(agent, job)
        restore.prepare(job)
        assert (agent.state / "kept").read_text() == "from the store"
        assert hashed(agent.state) == stored.tree
        assert saving.save(job).saved
        assert agent.gateway.uploads == 1

    @pytest.mark.parametrize("fault", ["503", "torn", "close", "401"])
    def test_an_uncertain_answer_touches_nothing(self, agent: Agent, job: Job, fault: str) -> None:
        stored = self.stored(agent, job)
        agent.gateway.faults["GET /v1/state"] = fault
        with pytest.raises(Unavailable):
            restore.prepare(job)
        assert hashed(agent.state) == tree.EMPTY
        assert agent.gateway.state is stored

    @pytest.mark.parametrize("damage", ["tree", "gzip", "tar", "cut", "outside", "file and folder"])
    def test_a_damaged_object_touches_nothing(self, agent: Agent, job: Job, damage: str) -> None:
        stored = self.stored(agent, job)
        if damage == "tree":
            stored.tree = "0" * 64
        elif damage == "gzip":
            stored.body = stored.body[:-8] + b"\0" * 8
        elif damage == "tar":
            stored.body = gzip.compress(b"nothing like a tar" * 100)
        elif damage == "cut":
            stored.body = stored.body[: len(stored.body) // 2]
        elif damage == "outside":
            stored.body = tar_of("../outside")
        else:
            stored.body = tar_of("k", "k/below")
        with pytest.raises(Unavailable, match="damaged"):
            restore.prepare(job)
        assert hashed(agent.state) == tree.EMPTY
        assert not (agent.root / "outside").exists()

    def test_an_object_of_the_predecessor(self, agent: Agent, job: Job) -> None:
        agent.gateway.state = StoredState(tar_of("./.the0-state/k.json"), "etag:1", "")
        restore.prepare(job)
        assert (agent.state / ".the0-state/k.json").read_bytes() == b"content"
        assert saving.save(job).saved
        assert agent.gateway.uploads == 0

    def test_a_restore_that_was_cut_short_is_done_again(self, agent: Agent, job: Job) -> None:
        stored = self.stored(agent, job)
        (agent.state / "half").write_text("swapped")
        with opened(agent.var) as var:
            generations.save(var, Mark(restoring=True))
        restore.prepare(job)
        assert hashed(agent.state) == stored.tree

    def test_both_changed_is_for_a_person(self, agent: Agent, job: Job) -> None:
        stored = self.stored(agent, job)
        (agent.state / "mine").write_text("unsaved")
        with pytest.raises(restore.StateConflict, match="state keep bot-1 local"):
            restore.prepare(job)
        assert (agent.state / "mine").read_text() == "unsaved"
        kept = job._replace(launch=job.launch._replace(keep="local"))
        restore.prepare(kept)
        assert saving.save(job).saved
        assert agent.gateway.state is not stored

    def test_a_person_may_keep_the_stored_one(self, agent: Agent, job: Job) -> None:
        stored = self.stored(agent, job)
        (agent.state / "mine").write_text("unsaved")
        restore.prepare(job._replace(launch=job.launch._replace(keep="stored")))
        assert hashed(agent.state) == stored.tree

    def test_a_flush_restores_nothing(self, agent: Agent, job: Job) -> None:
        self.stored(agent, job)
        flush = job._replace(launch=job.launch._replace(kind="flush"))
        assert not restore.prepare(flush)
        assert hashed(agent.state) == tree.EMPTY

    def test_of_two_entries_with_one_name_the_last_counts(self, agent: Agent, job: Job) -> None:
        agent.gateway.state = StoredState(tar_of("k", "k", last=b"the last"), "etag:1", "")
        restore.prepare(job)
        assert (agent.state / "k").read_bytes() == b"the last"


def tar_of(*names: str, last: bytes = b"content") -> bytes:
    """An archive with a small file of each name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for number, name in enumerate(names, 1):
            body = last if number == len(names) else b"content"
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return content.getvalue()


def test_a_file_that_changes_while_it_is_read_is_read_again(
    agent: Agent, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = agent.state / "k"
    target.write_text("first")
    read, changes = snapshot._read, iter(["second", "third"])

    def read_and_change(*arguments: object) -> object:
        copy = read(*arguments)  # type: ignore[arg-type]
        for text in changes:
            target.write_text(text)
            break
        return copy

    monkeypatch.setattr(snapshot, "_read", read_and_change)
    assert saving.save(job).saved
    assert agent.gateway.state
    with tarfile.open(fileobj=io.BytesIO(agent.gateway.state.body)) as archive:
        member = archive.extractfile("k")
        assert member
        assert member.read() == b"third"
    assert agent.gateway.state.tree == hashed(agent.state)
