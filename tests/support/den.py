"""One installation in which bots misbehave, and a neighbour who must not notice."""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from tests.support.faults import Life, lives, spooled_lines, stored_state
from tests.support.runner import Installation, eventually
from the0.storage.log_spool import bot_directory

NEIGHBOUR = "neighbour"

NEIGHBOUR_CODE = """
import http.server, os, threading, time

def main(bot_id, config):
    server = http.server.ThreadingHTTPServer(("", 9476), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for beat in range(10 ** 9):
        with open("/state/beat.new", "w") as file:
            file.write(str(beat))
        os.replace("/state/beat.new", "/state/beat")
        print("beat", beat, flush=True)
        time.sleep(0.1)
"""
"""Writes a number into its state, then says it, for ever; and listens as a query server would."""


@dataclass
class Den:
    """A host that runs, with the neighbour beside whom other bots are let loose."""

    site: Installation
    engine: docker.DockerClient

    def open(self) -> None:
        """Start the host and the neighbour."""
        self.site.upload(NEIGHBOUR, NEIGHBOUR_CODE)
        self.site.put(NEIGHBOUR, NEIGHBOUR)
        self.site.start_host()
        eventually(self.beats, "the neighbour is heard")

    def release(self, bot_id: str, code: str, **config: Any) -> str:
        """Let a bot loose; the ref of its container once the bot itself was started."""
        self.set_on(bot_id, code, **config)
        eventually(lambda: self.site.phase(bot_id) == "running", f"{bot_id} runs")
        return self.site.running()[bot_id]

    def set_on(self, bot_id: str, code: str, **config: Any) -> None:
        """Let a bot loose that may end at once."""
        self.site.upload(bot_id, code)
        self.site.put(bot_id, bot_id, **config)
        self.site.wake(bot_id)

    def end(self, bot_id: str) -> dict[str, Any]:
        """Disable a bot; how it is shown once its container is gone and that is known."""
        self.site.enable(bot_id, False)
        self.site.wake(bot_id)
        refs = self.site.containers
        eventually(lambda: bot_id not in {one.bot_id for one in refs()}, f"{bot_id} is stopped")
        eventually(lambda: self.site.phase(bot_id) == "disabled", f"{bot_id} is shown as disabled")
        return self.site.shown(bot_id)

    def forget(self, bot_id: str) -> None:
        """Delete a bot; returns once its container and its volumes are gone."""
        self.site.delete(bot_id)
        self.site.wake(bot_id)
        with self.site.executor() as executor:
            eventually(lambda: bot_id not in executor.bot_volumes(), f"{bot_id} is gone")

    def conditions(self, bot_id: str) -> dict[str, str]:
        """Type -> message of what holds for a bot now."""
        found = self.site.shown(bot_id).get("conditions", ())
        return {one["type"]: one["message"] for one in found}

    def condition(self, bot_id: str, kind: str) -> str:
        """The message of a condition, waited for."""
        return str(eventually(lambda: self.conditions(bot_id).get(kind), f"{bot_id}: {kind}"))

    def last_exit(self, bot_id: str) -> dict[str, Any]:
        """The newest exit record of a bot, waited for."""
        shown = self.site.shown
        found: dict[str, Any] = eventually(
            lambda: shown(bot_id).get("last_exit"), f"{bot_id} ended"
        )
        return found

    def log_size(self, bot_id: str) -> int:
        """Bytes of a bot's log on the host's disk."""
        files = bot_directory(self.site.root / "spool", bot_id).glob("*.log")
        return sum(path.stat().st_size for path in files)

    def lines(self, bot_id: str) -> list[str]:
        """Every line of a bot that reached the host."""
        return spooled_lines(self.site, bot_id)

    def stored_files(self, bot_id: str) -> dict[str, tuple[bytes, bytes]]:
        """Name -> type and content of everything but folders in a bot's stored state."""
        body = self.site.store.get_object("bot-state", f"{bot_id}/state.tar.gz").read()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            members = [one for one in archive if not one.isdir()]
            files = {one.name: (one, archive.extractfile(one)) for one in members}
            return {
                name.removeprefix("./"): (one.type, file.read() if file else b"")
                for name, (one, file) in files.items()
            }

    def volume(self, bot_id: str, kind: str) -> Path:
        """Where a volume of a bot lies on the host's disk."""
        (name,) = [name for name in self._volumes(bot_id) if name.endswith(f"-{kind}")]
        return Path(self.engine.volumes.get(name).attrs["Mountpoint"])

    def _volumes(self, bot_id: str) -> Sequence[str]:
        with self.site.executor() as executor:
            return executor.bot_volumes()[bot_id]

    # --- the neighbour ---

    def beats(self) -> list[int]:
        """The neighbour's numbers, as far as its lines reached the host."""
        found = (re.fullmatch(r"beat (\d+)", line) for line in self.lines(NEIGHBOUR))
        return [int(one[1]) for one in found if one]

    def life(self) -> Life | None:
        return lives(self.engine, self.site).get(NEIGHBOUR)

    @contextlib.contextmanager
    def undisturbed(self) -> Iterator[None]:
        """AssertionError where the neighbour notices what happens meanwhile: it stays the same
        process, none of its lines is missing, new ones come, and its newest state is stored."""
        life, beat = self.life(), self.beats()[-1]
        assert life
        yield
        assert self.life() == life, "the neighbour was restarted"
        after = eventually(lambda: (b := self.beats())[-1] > beat + 5 and b, "its lines come")
        assert after == list(range(len(after))), "lines of the neighbour are missing"
        eventually(lambda: int(stored_state(self.site, NEIGHBOUR)["beat"]) >= beat, "it is saved")
        assert self.conditions(NEIGHBOUR) == {}
