"""The plugin against the suite for runtimes, and what is special about Node.js."""

import json
from pathlib import Path
from typing import ClassVar

import pytest
from the0_runtime_node import NodeRuntime

from the0.errors import InvalidInput
from the0.plugin.interfaces import PluginArgs
from the0.testing.runtime import RuntimeConformance

BUILDS = json.dumps({"scripts": {"build": "tsc"}})


class TestNodeRuntime(RuntimeConformance):
    runtime_class = NodeRuntime
    entrypoints: ClassVar = {"bot": "src/main.js", "query": "query.mjs"}
    project: ClassVar = {
        "src/main.js": "exports.main = () => {}\n",
        "query.mjs": "import 'node:fs'\n",
        "package.json": '{"type": "commonjs"}',
    }
    broken: ClassVar = {"src/main.js": "exports.main = (\n", "query.mjs": "const = 1\n"}


@pytest.fixture
def runtime(tmp_path: Path) -> NodeRuntime:
    return NodeRuntime(PluginArgs("test", "", tmp_path))


def faults(runtime: NodeRuntime, folder: Path, file: str = "main.js") -> list[str]:
    return list(runtime.check_project(folder, {"bot": file}))


@pytest.mark.parametrize(
    ("file", "source", "manifest"),
    [
        ("main.js", "module.exports = () => {}", "{}"),
        ("main.cjs", "exports.default = () => {}", '{"type": "module"}'),
        ("main.mjs", "export const main = async () => {}; await 1", "{}"),
        ("main.js", "import 'node:fs'; export default () => {}", '{"type": "module"}'),
    ],
)
def test_both_kinds_of_modules_are_sound(
    runtime: NodeRuntime, tmp_path: Path, file: str, source: str, manifest: str
) -> None:
    (tmp_path / file).write_text(source)
    (tmp_path / "package.json").write_text(manifest)
    assert faults(runtime, tmp_path, file) == []


def test_faults_carry_their_line(runtime: NodeRuntime, tmp_path: Path) -> None:
    (tmp_path / "main.js").write_text("const x = 1\nconst y = (\n")
    (fault,) = faults(runtime, tmp_path)
    assert fault.startswith("main.js: line ")
    assert "SyntaxError" in fault


def test_what_a_build_makes_need_not_be_there_yet(runtime: NodeRuntime, tmp_path: Path) -> None:
    (fault,) = faults(runtime, tmp_path, "dist/main.js")
    assert "there is no such file, and package.json has no build script" in fault
    (tmp_path / "package.json").write_text(BUILDS)
    assert faults(runtime, tmp_path, "dist/main.js") == []


@pytest.mark.parametrize("content", ["{", "[]", "null"])
def test_a_broken_manifest_is_named(runtime: NodeRuntime, tmp_path: Path, content: str) -> None:
    (tmp_path / "main.js").write_text("")
    (tmp_path / "package.json").write_text(content)
    (fault,) = faults(runtime, tmp_path)
    assert fault.startswith("package.json: ")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("main.ts", "name the file that the build script makes of it"),
        ("main.py", "is not a JavaScript file"),
        ("main", "is not a JavaScript file"),
    ],
)
def test_other_files_cannot_be_entrypoints(runtime: NodeRuntime, file: str, text: str) -> None:
    with pytest.raises(InvalidInput, match=f"entrypoint bot: '{file}' .*{text}"):
        runtime.processes({"bot": file})


def test_the_image_offers_the_sdk_under_both_names(runtime: NodeRuntime) -> None:
    image = runtime.image()
    assert set(image.links) == {
        "/node_modules/the0-sdk",
        "/node_modules/@alexanderwanyoike/the0-node",
    }
    assert set(image.links.values()) <= set(image.files)
