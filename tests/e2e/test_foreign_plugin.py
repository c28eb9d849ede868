"""A stranger's plugin from its first file to its removal, under bots that run; and broken ones.

Everything happens in an environment of its own, beside the platform; bots are local processes, so
that no image has to be built by Docker.
"""

from __future__ import annotations

import io
import re
import secrets
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.foreign import Environment
from tests.support.guide import guide_files, write_guide_plugin
from tests.support.runner import (
    Installation,
    bot_document,
    eventually,
    installed,
    running_services,
)

SETTINGS = {
    "THE0_EXECUTOR__PLUGIN": "process",
    "DOCKER_HOST": "unix:///nowhere/docker.sock",
}
FOREIGN = "the0-runtime-shell"

BROKEN = {
    "broken-import": ("import nothing_like_this", "nothing_like_this"),
    "broken-hook": (
        "from the0.plugin import hookimpl\n@hookimpl\ndef the0_register_everything(): ...\n",
        "the0_register_everything",
    ),
    "broken-name": (
        "from the0.builtin.cron import CronScheduler\n"
        "from the0.plugin import hookimpl\n"
        "class Own(CronScheduler):\n    name = 'taken'\n"
        "@hookimpl\ndef the0_register_scheduler(): return Own\n",
        "'taken' is claimed by",
    ),
    "broken-version": (
        "from the0.builtin.cron import CronScheduler\n"
        "from the0.plugin import hookimpl\n"
        "class Own(CronScheduler):\n    name = 'later'\n    api_version = 99\n"
        "@hookimpl\ndef the0_register_scheduler(): return Own\n",
        "api_version 99",
    ),
    "broken-hang": ("import time\ntime.sleep(3600)\n", "took longer than"),
}
"""Distribution -> its module, and what its fault has to say."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment.make(tmp_path_factory.mktemp("foreign") / "venv")


@pytest.fixture
def site(environment: Environment, tmp_path: Path) -> Iterator[Installation]:
    name = f"t{secrets.token_hex(4)}"
    with running_services(tmp_path) as services, installed(name, services, SETTINGS) as made:
        made.host = environment.host
        yield made


def put_shell_bot(site: Installation, bot_id: str) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("main.sh", guide_files()["bot/main.sh"])
    data = body.getvalue()
    site.store.put_object("custom-bots", "user/shell/1.0.0", io.BytesIO(data), len(data))
    document: dict[str, Any] = bot_document(bot_id, "shell")
    document["custom"]["config"] |= {"runtime": "shell", "entrypoints": {"bot": "main.sh"}}
    site.bots.replace_one({"id": bot_id}, document, upsert=True)


def restart_host(site: Installation) -> None:
    assert site.stop_host() == 0
    site.start_host()
    eventually(lambda: site.shown("neighbour"), "the host looks after its bots again")


def upgrade(project: Path) -> None:
    """Version 0.2.0, whose image holds one more file."""
    toml, code = project / "pyproject.toml", project / "the0_runtime_shell" / "runtime.py"
    toml.write_text(toml.read_text().replace('version = "0.1.0"', 'version = "0.2.0"'))
    old = re.search(r"ImageSpec\((.*)\)", code.read_text())
    assert old
    more = f'ImageSpec({old[1]}, files={{"/opt/shell/readme": Path(__file__)}})'
    code.write_text(code.read_text().replace(old[0], more))


def conditions(site: Installation, bot_id: str) -> dict[str, str]:
    """Type -> message of the bot's conditions."""
    return {one["type"]: one["message"] for one in site.shown(bot_id).get("conditions", ())}


def test_from_its_first_file_to_its_removal(
    environment: Environment, site: Installation, tmp_path: Path
) -> None:
    environment.the0("plugin", "new", "runtime", "shell", "--into", str(tmp_path), env=site.environ)
    project = write_guide_plugin(tmp_path / "changed")
    generated = {path.name for path in (tmp_path / FOREIGN).iterdir()}
    assert generated == {path.name for path in project.iterdir()}

    environment.install(project)
    found = environment.plugins(site.environ)[FOREIGN]
    assert (found["version"], found["status"]) == ("0.1.0", "loaded")
    environment.the0("images", "build", "shell", "python3.11", env=site.environ)

    put_shell_bot(site, "foreign")
    site.put("neighbour")
    site.start_host()
    for bot_id in ("foreign", "neighbour"):
        eventually(lambda bot_id=bot_id: site.phase(bot_id) == "running", f"{bot_id} runs")
    refs = site.running()
    with site.executor() as executor:
        said = executor.log_tail(refs["foreign"], 50)
    assert "hello from foreign" in said

    upgrade(project)
    environment.install(project)
    environment.the0("images", "build", "shell", env=site.environ)
    restart_host(site)
    assert environment.plugins(site.environ)[FOREIGN]["version"] == "0.2.0"
    eventually(lambda: site.shown("foreign").get("outdated"), "an older version of it runs")
    assert not site.shown("neighbour")["outdated"]
    assert site.running() == refs

    site.settings["THE0_PLUGINS__BLOCK"] = FOREIGN
    restart_host(site)
    assert environment.plugins(site.environ)[FOREIGN]["status"] == "blocked"
    eventually(lambda: "RuntimeMissing" in conditions(site, "foreign"), "its runtime is missed")
    assert "blocked by the settings" in conditions(site, "foreign")["RuntimeMissing"]
    assert site.running() == refs

    del site.settings["THE0_PLUGINS__BLOCK"]
    environment.uninstall(FOREIGN)
    restart_host(site)
    eventually(lambda: "RuntimeMissing" in conditions(site, "foreign"), "its runtime is missed")
    assert "provides the runtime 'shell'" in conditions(site, "foreign")["RuntimeMissing"]
    assert site.running() == refs
    site.enable("foreign", False)
    eventually(lambda: "foreign" not in site.running(), "it can be stopped without its plugin")
    site.enable("foreign", True)
    eventually(lambda: site.phase("foreign") == "pending", "it waits for its plugin")
    assert "RuntimeMissing" in conditions(site, "foreign")
    assert site.running() == {"neighbour": refs["neighbour"]}


def test_broken_plugins_are_named_and_hurt_nobody(
    environment: Environment, site: Installation
) -> None:
    environment.the0("images", "build", "python3.11", env=site.environ)
    for distribution, (source, _) in BROKEN.items():
        environment.write(distribution, source)
    environment.write("broken-twin", BROKEN["broken-name"][0])
    site.settings["THE0_PLUGINS__LOAD_SEC"] = "5"
    site.put("neighbour")
    site.start_host()
    eventually(lambda: site.phase("neighbour") == "running", "a bot runs beside them")
    found = environment.plugins(site.environ)
    for distribution, (_, fault) in BROKEN.items():
        assert found[distribution]["status"] == "broken"
        assert fault in found[distribution]["fault"]
    assert "broken-twin" in found["broken-name"]["fault"]
    assert found["broken-twin"]["status"] == "broken"
    assert found["the0-runtime-python"]["status"] == "loaded"
