"""A whole host that answers queries, with bots of the test's own, asked over HTTP."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.support.agent import packed
from tests.support.runner import Installation, Services, bot_document, eventually, installed
from the0.models import Purpose
from the0.queries.resolver import LOOK_SEC
from the0.testing.servers import free_port

MAIN = "import time\ndef main(bot_id, config):\n    while True: time.sleep(1)\n"
BIG = 2**63 - 1


@dataclass
class QueryHost:
    """One installation with a host of all roles; `http` asks it without a token."""

    site: Installation
    http: httpx.Client
    port: int
    scheduled: list[str] = field(default_factory=list)

    @property
    def token(self) -> dict[str, str]:
        """The header that the control API wants."""
        text = (self.site.root / "api.token").read_text().strip()
        return {"Authorization": f"Bearer {text}"}

    def start(self) -> None:
        self.site.start_host("all")
        eventually(self.serves, "the host serves")

    def serves(self) -> bool:
        """Whether it takes requests, and queries to bots that do not run too."""
        try:
            roles = self.http.get("/readyz").json()["roles"]
        except httpx.TransportError:
            return False
        query = roles.get("query", {}).get("dependencies", {})
        return bool(query) and all(one["ok"] for one in query.values())

    # --- bots ---

    def bot(self, bot_id: str, query: str, vendor: Path | None = None, **changes: Any) -> None:
        """A realtime bot, which runs and answers itself unless it is not enabled; `vendor` is a
        folder that becomes its `vendor/`."""
        document = self._deployed(bot_id, query, vendor)
        self.site.bots.replace_one({"id": bot_id}, {**document, **changes}, upsert=True)
        if changes.get("enabled", True):
            eventually(lambda: bot_id in self.site.running(), f"{bot_id} runs")
            time.sleep(LOOK_SEC)
            eventually(lambda: self.ask(bot_id, "/health").status_code == 200, f"{bot_id} answers")

    def schedule(self, bot_id: str, query: str, vendor: Path | None = None) -> None:
        """A scheduled bot that is not due in this test."""
        document = self._deployed(bot_id, query, vendor)
        document["config"]["schedule"] = "0 0 29 2 *"
        schedules = self.site.client["bot_scheduler"]["bot_schedules"]
        schedules.replace_one({"id": bot_id}, document, upsert=True)
        self.scheduled.append(bot_id)

    def _deployed(self, bot_id: str, query: str, vendor: Path | None) -> dict[str, Any]:
        files = {"main.py": MAIN, "query.py": query}
        for path in vendor.rglob("*.py") if vendor else ():
            files[f"vendor/{path.relative_to(vendor or path)}"] = path.read_text()
        code = packed(files)
        name = f"{bot_id}-{secrets.token_hex(4)}"
        self.site.store.put_object("custom-bots", f"user/{name}/1.0.0", io.BytesIO(code), len(code))
        document = bot_document(bot_id, name, big=BIG)
        document["custom"]["config"]["entrypoints"]["query"] = "query.py"
        return document

    # --- questions ---

    def ask(self, bot_id: str, path: str, **body: Any) -> httpx.Response:
        """POST /query, told as the contract says."""
        asked = {"bot_id": bot_id, "query_path": path, **body}
        answer = self.http.post("/query", json=asked)
        told = answer.json()
        assert told["status"] == ("ok" if answer.status_code == 200 else "error"), told
        assert told.keys() >= {"duration", "timestamp"}
        return answer

    def told(self, bot_id: str, path: str, **body: Any) -> tuple[int, Any]:
        """Status, and the data or the error."""
        answer = self.ask(bot_id, path, **body)
        value: Mapping[str, Any] = answer.json()
        return answer.status_code, value.get("data", value.get("error"))

    def nothing_left(self) -> None:
        """Wait until no container waits for queries or answers one."""
        eventually(lambda: not self.left(), "nothing of the queries is left")

    def left(self) -> list[str]:
        found = [one.name for one in self.site.containers() if one.purpose is Purpose.QUERY]
        return [*found, *(one.object_name for one in self._results())]

    def _results(self) -> Iterator[Any]:
        found: Iterator[Any] = self.site.store.list_objects("query-results", recursive=True)
        return found


@contextmanager
def query_host(
    services: Services, runtime_image: str, settings: Mapping[str, str] | None = None
) -> Iterator[QueryHost]:
    """Serves until left; no container waits unless the settings say so."""
    port = free_port()
    chosen = {
        "RUNTIME_IMAGE": runtime_image,
        "THE0_API__PORT": str(port),
        "THE0_QUERY_POOL__MAX_WAITING": "0",
        **(settings or {}),
    }
    with (
        installed(f"q{secrets.token_hex(4)}", services, chosen) as site,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as http,
    ):
        host = QueryHost(site, http, port)
        host.start()
        try:
            yield host
        finally:
            schedules = site.client["bot_scheduler"]["bot_schedules"]
            schedules.delete_many({"id": {"$in": host.scheduled}})
