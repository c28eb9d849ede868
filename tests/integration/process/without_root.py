"""Run as a user without rights: one bot, or the reason why there can be none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from the0.builtin.executor_process import ProcessExecutor
from the0.errors import Unavailable
from the0.plugin.interfaces import ImageSpec, PluginArgs
from the0.testing.containers import Silent, clean, make_spec, output

IMAGE = "the0/test:1"
SCRIPT = "id -u; echo kept > /state/x; mkdir /bot/shut; touch /bot/shut/x; chmod 0 /bot/shut"


def main() -> None:
    executor = ProcessExecutor(PluginArgs("t", "mine", Path("state").absolute()))
    try:
        executor.info()
    except Unavailable as error:
        print(error.message)
        return
    gateway = Path("gateway").absolute()
    gateway.mkdir()
    executor.build_image(IMAGE, "digest", ImageSpec(packages=()), Silent())
    spec = make_spec("b", IMAGE, gateway)
    print(*output(executor, replace(spec, command=("sh", "-c", SCRIPT))))
    print(*output(executor, replace(spec, command=("cat", "/state/x"))))
    clean(executor)


main()
