"""Small containers for tests of executors and of what stands on them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from the0.models import (
    BotType,
    Container,
    ContainerAction,
    ContainerEvent,
    ContainerSpec,
    ContainerState,
    Limits,
)
from the0.plugin.interfaces import Executor, Progress

WAIT_SEC = 30.0
MIB = 1 << 20


class Silent(Progress):
    """Progress that nobody watches."""

    def step(self, text: str) -> None:
        return None


def make_spec(bot_id: str, image: str, gateway_dir: Path, *command: str) -> ContainerSpec:
    """A small container of `bot_id` that runs `command`, or ends at once."""
    return ContainerSpec(
        bot_id=bot_id,
        type=BotType.REALTIME,
        launch="a" * 32,
        image=image,
        command=command or ("true",),
        env={"THE0_LAUNCH": "abc"},
        labels={
            "runtime.managed": "true",
            "runtime.id": bot_id,
            "runtime.type": "realtime",
            "runtime.entrypoint": "main.py",
            "the0.spec": "v1:spec",
            "the0.platform": "v1:platform",
            "the0.launch": "a" * 32,
        },
        limits=Limits(
            memory_bytes=64 * MIB,
            cpus=1.0,
            cpu_shares=512,
            pids=32,
            open_files=256,
            tmp_bytes=32 * MIB,
        ),
        gateway_dir=str(gateway_dir),
        stop_timeout_sec=5.0,
    )


def only(executor: Executor) -> Container:
    """The installation's only container, as a list has it."""
    (found,) = executor.list()
    return found


def run(executor: Executor, spec: ContainerSpec) -> str:
    """Create and start a container; returns its ref."""
    ref = executor.create(spec).ref
    executor.start(ref)
    return ref


def output(executor: Executor, spec: ContainerSpec) -> Sequence[str]:
    """What a container that ends by itself says; it is removed."""
    ref = run(executor, spec)
    until_ended(executor, ref)
    lines = executor.log_tail(ref, 100)
    executor.remove(ref)
    return lines


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until `holds()`, failing after a while that no engine needs."""
    deadline = time.monotonic() + WAIT_SEC
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def until_ended(executor: Executor, ref: str) -> Container:
    """The container once it has ended."""
    wait_for(lambda: executor.inspect(ref).state is ContainerState.EXITED)
    return executor.inspect(ref)


def until_logged(executor: Executor, ref: str, line: str) -> None:
    """Wait until the container has written `line`."""
    wait_for(lambda: line in executor.log_tail(ref, 100))


def together(work: Callable[[], None], times: int) -> None:
    """Do `work` in so many threads at once."""
    threads = [threading.Thread(target=work) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class listening:  # noqa: N801 - read as a word in a with statement
    """Collects events in a thread; at the end it waits for the stream to have ended."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._stop = threading.Event()
        self._heard: list[ContainerEvent] = []
        self._thread = threading.Thread(target=self._listen)

    def _listen(self) -> None:
        for event in self._executor.events(self._stop):
            self._heard.append(event)

    def __enter__(self) -> list[ContainerEvent]:
        self._thread.start()
        time.sleep(0.5)  # events are told from the moment on when the engine took the request
        return self._heard

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(WAIT_SEC)
        assert not self._thread.is_alive(), "the stream of events did not end"


def actions(events: Sequence[ContainerEvent], ref: str) -> list[ContainerAction]:
    """What was heard of one container, in order."""
    return [event.action for event in events if event.ref == ref]


def clean(executor: Executor) -> None:
    """Remove all containers and volumes of the installation."""
    for container in executor.list():
        executor.kill(container.ref)
        wait_for(lambda ref=container.ref: not _runs(executor, ref))  # type: ignore[misc]
        executor.remove(container.ref)
    for bot_id in executor.bot_volumes():
        executor.remove_bot_volumes(bot_id)


def _runs(executor: Executor, ref: str) -> bool:
    return executor.inspect(ref).state in (ContainerState.RUNNING, ContainerState.PAUSED)
