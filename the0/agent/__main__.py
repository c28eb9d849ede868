"""`/app/runtime execute` and `/app/runtime daemon sync`."""

from __future__ import annotations

import os
import signal
import sys

from the0.agent import linux
from the0.agent.reactor import Signals

USAGE = 2
UNUSABLE = 70
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def main(arguments: list[str]) -> int:
    """Run a command; the process's exit code."""
    linux.hide()
    signals = Signals(_HANDLED)
    if arguments not in (["execute"], ["daemon", "sync"]):
        return _refuse("usage: runtime execute | runtime daemon sync")
    launch, token = os.environ.get("THE0_LAUNCH"), os.environ.get("THE0_TOKEN")
    if not launch or not token:
        return _refuse("THE0_LAUNCH and THE0_TOKEN are not set: this image is started by the0")
    return _run(arguments, launch, token, signals)


def _run(arguments: list[str], launch: str, token: str, signals: Signals) -> int:
    from the0.agent.client import Credentials, Gateway  # noqa: PLC0415 - after the handlers
    from the0.agent.paths import Paths  # noqa: PLC0415

    if os.getpid() != 1:
        linux.adopt_orphans()
    paths = Paths.of_environment()
    gateway = Gateway(paths.socket, Credentials(launch, token))
    if arguments == ["execute"]:
        from the0.agent.supervisor import Supervisor  # noqa: PLC0415

        try:
            supervisor = Supervisor(paths, gateway, signals)
        except OSError as error:
            _say(f"{paths.var} cannot be written: {error.strerror}; it is to be a volume")
            return UNUSABLE
        return supervisor.run()
    from the0.agent.daemon import run  # noqa: PLC0415

    return run(paths, gateway, signals)


def _refuse(text: str) -> int:
    _say(text)
    return USAGE


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
