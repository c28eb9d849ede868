"""Forks of the agent that do one thing, and how they speak to their parent."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from the0.agent.linux import die_with_parent
from the0.agent.reactor import Reactor, forget_signals

Message = dict[str, Any]
Send = Callable[[Message], None]

_MOST_UNREAD = 16 << 20


class Worker:
    """A running fork: `pid`, and `fd` from which its messages can be read."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd
        self._rest = b""
        self._ended = False

    def messages(self) -> list[Message] | None:
        """The messages that arrived; None when there will be no more. Waits for the first."""
        data = b"" if self._ended else os.read(self.fd, 1 << 16)
        if not data:
            self._ended = True
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MOST_UNREAD:
            raise ValueError("a fork of the agent sends a message without an end")
        return [json.loads(line) for line in lines]


def start(work: Callable[[Send], int]) -> Worker:
    """Fork, and run `work` there with a function that sends messages to this process; what it
    returns is the fork's exit code. The fork ends when this process does."""
    reading, writing = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid:
        os.close(writing)
        return Worker(pid, reading)
    code = 70
    try:
        forget_signals()
        die_with_parent(parent)
        os.close(reading)
        code = work(sender(writing))
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        # A fork must never return into its parent's code.
        os._exit(code)


def sender(fd: int) -> Send:
    """A function that writes messages to `fd`, where a parent may have gone."""

    def send(message: Message) -> None:
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        with suppress(BrokenPipeError):
            while data:
                data = data[os.write(fd, data) :]

    return send


def attend(
    worker: Worker, reactor: Reactor, seconds: float, take: Callable[[Message], object]
) -> None:
    """Take what a fork sends until it ends, and end it when `seconds` are over."""
    ended = False

    def hear() -> None:
        nonlocal ended
        messages = worker.messages()
        ended = messages is None
        for message in messages or ():
            take(message)

    reactor.watch(worker.fd, hear)
    timer = reactor.later(seconds, partial(os.kill, worker.pid, signal.SIGKILL))
    while not ended:
        reactor.turn()
    timer.cancel()
    reactor.forget(worker.fd)


def reap() -> list[tuple[int, int]]:
    """The children that ended or were stopped since the last call, with their wait status."""
    found = []
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            if not pid:
                break
            found.append((pid, status))
    return found
