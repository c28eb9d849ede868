"""Bots of other languages through the whole platform: host, gateway, storage."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.support.bot_containers import ask_served, project_of
from tests.support.faults import stored_state
from tests.support.runner import Installation, Services, bot_document, eventually, installed
from the0.project import pack
from the0.testing.runtime import RecordedProgress

NODE_BOT = """
import { state } from "the0-sdk"
export function main() {
  state.set("runs", state.get("runs", 0) + 1)
  return new Promise((stop) => { process.on("SIGTERM", stop); setInterval(() => {}, 60000) })
}
"""
NODE_QUERY = """
import { query, state } from "@alexanderwanyoike/the0-node"
query.handler("/runs", () => ({ runs: state.get("runs") }))
query.run()
"""


@pytest.fixture
def site(instance: str, services: Services, images: Callable[[str], str]) -> Iterator[Installation]:
    """An installation whose runtimes each have their own image."""
    for runtime in ("nodejs20", "gcc13"):
        images(runtime)
    with installed(instance, services, {}) as found:
        yield found


def deploy(site: Installation, bot_id: str, runtime: str, **files: str | bytes) -> None:
    """Pack files as a project and want a bot that runs it."""
    names = [name.replace("__", ".") for name in files]
    entrypoints = {"bot": names[0], "query": names[-1]}
    folder = site.root.parent
    project = project_of(folder / bot_id, runtime, "realtime", entrypoints, **files)
    archive = pack(project, folder, RecordedProgress()).path.read_bytes()
    document = bot_document(bot_id, bot_id)
    document["custom"]["config"] |= {"runtime": runtime, "entrypoints": entrypoints}
    site.store.put_object(
        "custom-bots", document["custom"]["filePath"], io.BytesIO(archive), len(archive)
    )
    site.bots.replace_one({"id": bot_id}, document, upsert=True)


def test_bots_of_other_languages_run_answer_and_keep_their_state(
    site: Installation, programs: Mapping[str, bytes], docker_engine: Any
) -> None:
    deploy(site, "node", "nodejs", main__mjs=NODE_BOT, query__mjs=NODE_QUERY)
    deploy(site, "c", "cpp-gcc13", bot=programs["dynamic"])
    site.start_host()
    for bot_id in ("node", "c"):
        eventually(lambda id=bot_id: site.phase(id) == "running", f"{bot_id} runs")
        container = docker_engine.containers.get(site.running()[bot_id])
        answer = eventually(lambda c=container: asked(c), f"{bot_id} answers")
        assert answer == {"status": "ok", "data": {"runs": 1}}
        site.enable(bot_id, False)
        site.wake(bot_id)
    for bot_id in ("node", "c"):
        eventually(lambda id=bot_id: id not in site.running(), f"{bot_id} is stopped")
        assert stored_state(site, bot_id)[".the0-state/runs.json"] == "1"


def asked(container: Any) -> Any:
    """The query server's answer; None while it does not listen."""
    try:
        return ask_served(container, "/runs")
    except AssertionError:
        return None
