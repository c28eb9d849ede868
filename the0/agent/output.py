"""Where lines go: into the log on the volume and to the container's own standard output."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from the0.agent import files
from the0.agent.console import Console
from the0.agent.launch import Logs
from the0.agent.lines import Line, LineJoiner
from the0.agent.logfile import LogFile
from the0.agent.paths import Paths
from the0.agent.reactor import Reactor

_READ = 16 * 1024


class Output:
    """Takes what processes write and what the agent has to say. `on_lines` is called after each
    write to the log; `lost` counts lines that nobody will see, with the last reason."""

    def __init__(self, paths: Paths, console: Console, on_lines: Callable[[], object]) -> None:
        self._console = console
        self._on_lines = on_lines
        self._file = LogFile(paths.logs, files.open_folder(paths.var), Logs(), self._lose)
        self._open_streams: set[int] = set()
        self._said_lost = 0
        self.lost = 0
        self.lost_reason = ""

    def limit(self, limits: Logs) -> None:
        """From now on keep to `limits`."""
        self._file.limits = limits

    def say(self, text: str) -> None:
        """A message of the agent itself."""
        line = Line(text.replace("\n", " ").encode(errors="replace"))
        self._console.write([Line(b"the0: " + line.raw)])
        self._file.append("agent", [line])
        self._on_lines()

    def capture(self, reactor: Reactor, fd: int, stream: str) -> None:
        """Read lines from `fd` until it ends."""
        joiner = LineJoiner(self._file.limits.max_line_bytes)
        self._open_streams.add(fd)

        def readable() -> None:
            data = os.read(fd, _READ)
            self._take(stream, joiner.feed(data) if data else joiner.end())
            if not data:
                self._open_streams.discard(fd)
                reactor.forget(fd)

        reactor.watch(fd, readable)

    @property
    def capturing(self) -> bool:
        """Whether anybody can still write lines."""
        return bool(self._open_streams)

    def tick(self) -> bool:
        """To be called now and then: looks after the file and the console, and says what was
        lost; whether that was something new."""
        self._console.flush()
        self._file.check()
        if self.lost == self._said_lost:
            return False
        self._say_lost()
        # Saying it may have filled the file, and that cost other lines.
        if self.lost != self._said_lost:
            self._say_lost()
        return True

    def _say_lost(self) -> None:
        count, self._said_lost = self.lost - self._said_lost, self.lost
        # With the sum, because this line may be dropped itself.
        self.say(f"{count} log lines were dropped, {self.lost} so far: {self.lost_reason}")

    def _take(self, stream: str, lines: Sequence[Line]) -> None:
        if lines:
            self._console.write(lines)
            self._file.append(stream, lines)
            self._on_lines()

    def _lose(self, count: int, reason: str) -> None:
        self.lost += count
        self.lost_reason = reason
