"""Any history of writes, outages, lost answers and restarts: no line twice, none out of order,
none missing that was not counted as lost."""

from __future__ import annotations

import base64
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from the0.agent.client import Gateway, Unavailable
from the0.agent.launch import Logs
from the0.agent.lines import Line
from the0.agent.logfile import LogFile
from the0.agent.shipping import Shipper

LIMITS = Logs(max_bytes=400, files=2, batch_bytes=200, max_line_bytes=60)
STEPS = st.lists(
    st.sampled_from(["ship", "ship all", "lose answer", "outage", "new sync", "new launch"])
    | st.integers(1, 6),
    max_size=40,
)


class Receiver:
    """The gateway's rule of `POST /v1/logs`."""

    def __init__(self) -> None:
        self.fault = ""
        self.acked: dict[str, int] = {}
        self.lines: list[int] = []

    def post(self, _: str, content: Any) -> None:
        if self.fault == "outage":
            raise Unavailable("outage")
        for number, _time, _stream, raw, _partial in content["records"]:
            if number > self.acked.get(content["epoch"], 0):
                self.acked[content["epoch"]] = number
                self.lines.append(int(base64.b64decode(raw)))
        if self.fault == "lose answer":
            raise Unavailable("lost answer")


class History:
    def __init__(self, folder: str) -> None:
        os.mkdir(f"{folder}/logs")
        self.var = os.open(folder, os.O_RDONLY)
        self.path = f"{folder}/logs"
        self.receiver = Receiver()
        self.written = self.lost = 0
        self.new_launch()

    def new_launch(self) -> None:
        self.file = LogFile(self.path, self.var, LIMITS, self.lose)
        self.new_sync()

    def new_sync(self) -> None:
        self.shipper = Shipper(self.path, self.var, LIMITS)

    def lose(self, count: int, _: str) -> None:
        self.lost += count

    def ship(self, fault: str = "", *, everything: bool = False) -> None:
        self.receiver.fault = fault
        with suppress(Unavailable):
            while self.shipper.ship(cast(Gateway, self.receiver)) and everything:
                pass

    def take(self, step: str | int) -> None:
        if isinstance(step, int):
            numbers = range(self.written, self.written + step)
            self.file.append("stdout", [Line(b"%d" % number) for number in numbers])
            self.written += step
        elif step == "new sync":
            self.new_sync()
        elif step == "new launch":
            self.new_launch()
        else:
            fault = step if step in ("lose answer", "outage") else ""
            self.ship(fault, everything=step == "ship all")

    def on_volume(self) -> set[int]:
        texts = [path.read_text() for path in Path(self.path).iterdir()]
        return {int(line.split()[3]) for text in texts for line in text.splitlines()}

    def close(self) -> None:
        os.close(self.var)


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_every_line_arrives_once_or_is_counted(steps: list[str | int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(folder)
        for step in steps:
            history.take(step)
        kept = history.on_volume()
        history.ship(everything=True)
        history.close()
    arrived = history.receiver.lines
    assert arrived == sorted(set(arrived))
    assert kept <= set(arrived)
    missing = history.written - len(arrived)
    assert missing <= history.lost
    if "lose answer" not in steps:
        assert missing == history.lost
