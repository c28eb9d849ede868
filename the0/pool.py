"""Blocking calls from asyncio: a few threads, a bounded queue, a time-out on every call.

The standard library's executor is not used because its queue has no bound and because a call
that hangs for ever would keep the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Empty, Full, Queue
from typing import Any, ParamSpec, TypeVar

from the0.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")
_Job = tuple["Future[Any]", Callable[[], Any]]


class BlockingPool:
    """Threads for the blocking calls to one dependency.

    `name` is how errors call the dependency ("storage", "Docker"), `threads` how many calls may
    run at once, `timeout_sec` how long a caller waits (its turn included), `waiting` how many
    calls may queue. A call that timed out before its turn never runs; one that had begun goes on
    in its thread and its result is thrown away, so calls need socket time-outs of their own.
    """

    def __init__(self, name: str, threads: int, timeout_sec: float, waiting: int = 256) -> None:
        self.name = name
        self.timeout_sec = timeout_sec
        self._limit = threads
        self._jobs: Queue[_Job | None] = Queue(waiting)
        self._lock = threading.Lock()
        self._threads = 0
        self._closed = False

    async def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn` in a thread. Raises what it raises; Unavailable when it took too long."""
        return await self.call_within(self.timeout_sec, fn, *args, **kwargs)

    async def call_within(
        self, timeout_sec: float, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like :meth:`call` with a time-out of its own, for calls known to be long."""
        return await self.wait(self.submit(fn, *args, **kwargs), timeout_sec)

    async def wait(self, future: Future[T], timeout_sec: float) -> T:
        """The outcome of what was submitted, if it comes in time; else it is not begun any more
        and Unavailable is raised."""
        waiter = asyncio.wrap_future(future)
        try:
            await asyncio.wait({waiter}, timeout=timeout_sec)
            if not waiter.done():
                raise Unavailable(f"{self.name} did not answer within {timeout_sec:g} s")
            return waiter.result()
        finally:
            future.cancel()
            waiter.cancel()

    def submit(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue `fn` without waiting for it. Raises Unavailable when too many wait already."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise Unavailable(f"{self.name} is being shut down")
            try:
                self._jobs.put_nowait((future, partial(fn, *args, **kwargs)))
            except Full:
                raise Unavailable(
                    f"{self.name} is overloaded: {self._jobs.maxsize} calls wait already"
                ) from None
            if self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._work, name=f"the0-{self.name}", daemon=True).start()
        return future

    def close(self) -> None:
        """Drop what waits and let the threads end; returns at once."""
        with self._lock:
            self._closed = True
            try:
                while True:
                    job = self._jobs.get_nowait()
                    if job is not None:
                        job[0].cancel()
            except Empty:
                for _ in range(min(self._threads, self._jobs.maxsize)):
                    self._jobs.put_nowait(None)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            _run(*job)
            del job


def _run(future: Future[Any], fn: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn()
    except BaseException as error:  # the caller's to handle, whatever it is
        future.set_exception(error)
    else:
        future.set_result(result)
