"""Any history of writes, failing uploads and restarts on one volume: what the bot wrote last is
what the next start sees, no conflict is made up, and a certain save is what the store holds."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.agent import launch_document
from the0.agent import files, restore, saving, tree
from the0.agent.client import Answer, Body, Gateway, Refused, Unavailable
from the0.agent.job import Job
from the0.agent.launch import parse
from the0.agent.paths import Paths

STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "clear"]), st.integers(0, 3))
    | st.tuples(st.sampled_from(["save", "start"]), st.just(0))
    | st.tuples(st.just("save"), st.sampled_from(["lost", "late", "dropped"]))
    | st.just(("new volume", 0)),
    max_size=14,
)


class Store:
    """The gateway's rules of `/v1/state`; `fault` is what becomes of the next upload: `lost` its
    answer, `late` its arrival too, which is before the next request but one, or `dropped`."""

    def __init__(self) -> None:
        self.held: tuple[str, str, bytes] | None = None
        self.late: tuple[str, str, bytes] | None = None
        self.fault: object = 0

    def request(
        self,
        method: str,
        path: str,
        body: object = b"",
        headers: object = None,
        *,
        silent_sec: float = 0,
    ) -> Answer:
        if method == "HEAD":
            answer = self._answer(b"")
            self._arrive()
            return answer
        given = cast(dict[str, str], headers)
        upload = cast(Body, body)
        sent = (given["X-The0-Generation"], given["X-The0-Tree"], upload.file.read())
        if self.fault == "dropped":
            raise Unavailable("dropped")
        if self.fault == "late":
            self.late = sent
            raise Unavailable("late")
        self._arrive()
        if self.held and self.held[0] not in (given["X-The0-Base"], sent[0]):
            raise Refused(409, "conflict", "another generation is stored")
        self.held = sent
        if self.fault == "lost":
            raise Unavailable("lost")
        return Answer(200, {}, b"{}")

    def get(self, path: str, sink: object) -> Answer:
        assert self.held
        sink(self.held[2])  # type: ignore[operator]
        return self._answer(self.held[2])

    def _answer(self, content: bytes) -> Answer:
        if self.held is None:
            return Answer(204, {}, b"")
        generation, hashed, _ = self.held
        return Answer(200, {"x-the0-generation": generation, "x-the0-tree": hashed}, content)

    def _arrive(self) -> None:
        self.held, self.late = self.late or self.held, None


class History:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store()
        self.job = Job(Paths(str(root)), cast(Gateway, self.store), parse(launch_document()))
        self.new_volume()
        restore.prepare(self.job)

    def new_volume(self) -> None:
        for name in ("state", "var/the0"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            (self.root / name).mkdir(parents=True)

    def hashed(self) -> str:
        folder = files.open_folder(self.job.paths.state)
        try:
            return tree.hash_folder(folder)
        finally:
            os.close(folder)

    def save(self, fault: object) -> None:
        self.store.fault = fault
        outcome = saving.save(self.job)
        self.store.fault = 0
        if outcome.saved and not self.store.late:
            stored = self.store.held[1] if self.store.held else tree.EMPTY
            assert stored == self.hashed()

    def start(self) -> None:
        before = self.hashed()
        restore.prepare(self.job)
        assert self.hashed() == before

    def take(self, step: str, value: object) -> None:
        # Few contents, so that a history often returns to one it had.
        name, content = divmod(value, 2) if isinstance(value, int) else (0, 0)
        target = self.root / f"state/k{name}"
        if step == "write":
            target.write_bytes(b"%d" % content)
        elif step == "clear":
            target.unlink(missing_ok=True)
        elif step == "save":
            self.save(value)
        elif step == "start":
            self.start()
        else:
            self.lose_volume()

    def lose_volume(self) -> None:
        """A new volume: the last thing stored comes back."""
        self.save_certainly()
        expected = self.hashed()
        self.new_volume()
        restore.prepare(self.job)
        assert self.hashed() == expected

    def save_certainly(self) -> None:
        for _ in range(3):
            if saving.save(self.job).saved and not self.store.late:
                return
        raise AssertionError("without a fault the state could not be saved")


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_state_is_neither_lost_nor_in_conflict(steps: list[tuple[str, object]]) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        history = History(root)
        for step, value in steps:
            history.take(step, value)
        history.save_certainly()
        history.start()
        held = history.store.held
        assert (held[1] if held else tree.EMPTY) == history.hashed()
    finally:
        shutil.rmtree(root)
