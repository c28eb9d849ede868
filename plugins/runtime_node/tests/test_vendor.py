"""Vendoring by the real npm: from folders of packages made here, so that no registry is needed."""

import json
from pathlib import Path
from typing import Any

import pytest
from the0_runtime_node import vendor
from the0_runtime_node.manifest import PUBLIC_SDK, without_package

from the0.errors import InvalidInput, Unavailable
from the0.testing.runtime import RecordedProgress

NOWHERE = "http://127.0.0.1:9/"
PUBLIC_NPMRC = (
    "@alexanderwanyoike:registry=http://127.0.0.1:9/\n//127.0.0.1:9/:_authToken=${GITHUB_TOKEN}\n"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a package `lib` beside it in the same folder, and no registry anywhere."""
    monkeypatch.setenv("npm_config_registry", NOWHERE)
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    folder = tmp_path / "project"
    package(folder / "lib", name="lib", version="1.0.0", bin={"tool": "index.js"})
    (folder / "lib/index.js").write_text("#!/usr/bin/env node\nmodule.exports = 'lib'\n")
    return folder


def package(folder: Path, **content: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=4) + "\n"
    (folder / "package.json").write_text(text)
    return text


def install(project: Path) -> list[str]:
    progress = RecordedProgress()
    vendor.install(project, progress)
    return progress.steps


def modules(project: Path) -> set[str]:
    folder = project / "node_modules"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_packages_are_installed_as_files(project: Path) -> None:
    package(project, dependencies={"lib": "file:lib"})
    steps = install(project)
    assert modules(project) == {"lib/index.js", "lib/package.json"}
    assert not [path for path in (project / "node_modules").rglob("*") if path.is_symlink()]
    assert "npm install" in steps[0]
    assert not (project / "package-lock.json").exists()


def test_a_build_has_what_only_it_needs_and_the_bot_does_not(project: Path) -> None:
    script = "node -e \"fs.writeFileSync('made', require('lib') + require('the0-sdk').parse.name)\""
    text = package(project, devDependencies={"lib": "file:lib"}, scripts={"build": script})
    steps = install(project)
    assert (project / "made").read_text() == "libparse"
    assert modules(project) == set()
    assert "Building (npm run build)" in steps
    assert (project / "package.json").read_text() == text


def test_a_build_keeps_what_the_bot_needs(project: Path) -> None:
    package(project / "dev", name="dev", version="1.0.0")
    package(
        project,
        dependencies={"lib": "file:lib"},
        devDependencies={"dev": "file:dev"},
        scripts={"build": "npm run made", "made": "tool && ls node_modules > made"},
    )
    install(project)
    assert {"dev", "lib", "the0-sdk"} <= set((project / "made").read_text().split())
    assert modules(project) == {"lib/index.js", "lib/package.json"}


def test_a_lock_file_is_kept_to(project: Path) -> None:
    package(project, name="bot", version="1.0.0", dependencies={"lib": "file:lib"})
    lock(project, {"lib": "file:lib"}, {"lib": {"version": "1.0.0", "resolved": "file:lib"}})
    assert "npm ci" in install(project)[0]
    assert "lib/index.js" in modules(project)
    package(project / "new", name="new", version="1.0.0")
    wanted = {"lib": "file:lib", "new": "file:new"}
    package(project, name="bot", version="1.0.0", dependencies=wanted)
    with pytest.raises(InvalidInput, match=r"(?s)package\.json cannot be installed.* in sync"):
        install(project)


def lock(project: Path, wanted: dict[str, str], packages: dict[str, Any]) -> str:
    entries = {f"node_modules/{name}": entry for name, entry in packages.items()}
    root = {"name": "bot", "version": "1.0.0", "dependencies": wanted}
    content = {
        **{"name": "bot", "version": "1.0.0", "lockfileVersion": 3, "requires": True},
        "packages": {"": root, **entries},
    }
    text = json.dumps(content)
    (project / "package-lock.json").write_text(text)
    return text


@pytest.mark.parametrize("locked", [False, True])
def test_the_images_sdk_stands_in_for_one_that_cannot_be_had(project: Path, locked: bool) -> None:
    (project / ".npmrc").write_text(PUBLIC_NPMRC)
    wanted = {"lib": "file:lib", PUBLIC_SDK: "^0.2.1"}
    script = f"node -e \"fs.writeFileSync('made', require('{PUBLIC_SDK}').sleep.name)\""
    before = package(
        project, name="bot", version="1.0.0", dependencies=wanted, scripts={"build": script}
    )
    lib = {"version": "1.0.0", "resolved": "file:lib"}
    public = {"version": "0.2.1", "resolved": f"{NOWHERE}{PUBLIC_SDK}-0.2.1.tgz"}
    lock_before = lock(project, wanted, {"lib": lib, PUBLIC_SDK: public}) if locked else ""
    steps = install(project)
    assert "stands in" in steps[0]
    assert (project / "made").read_text() == "sleep"
    assert modules(project) == {"lib/index.js", "lib/package.json"}
    assert (project / "package.json").read_text() == before
    assert not locked or (project / "package-lock.json").read_text() == lock_before


def test_keys_of_registries_stay_out_of_the_archive(project: Path) -> None:
    (project / ".npmrc").write_text("//127.0.0.1:9/:_authToken=secret\n")
    install(project)
    assert not (project / ".npmrc").exists()


def test_only_the_sdk_leaves_nothing_to_install(project: Path) -> None:
    package(project, dependencies={PUBLIC_SDK: "*"})
    (step,) = install(project)
    assert "stands in" in step
    assert modules(project) == set()


def test_the_first_form_of_lock_files_is_understood(project: Path) -> None:
    content = {"dependencies": {PUBLIC_SDK: {"version": "0.2.1"}, "lib": {"version": "1"}}}
    (project / "package-lock.json").write_text(json.dumps(content))
    with without_package(project, PUBLIC_SDK):
        seen = json.loads((project / "package-lock.json").read_text())
    assert seen == {"dependencies": {"lib": {"version": "1"}}}
    assert json.loads((project / "package-lock.json").read_text()) == content


def test_no_registry_is_no_fault_of_the_project(project: Path) -> None:
    package(project, dependencies={"left-pad": "1.3.0"})
    with pytest.raises(Unavailable, match="no npm registry answered"):
        install(project)


def test_a_build_that_fails_is_shown(project: Path) -> None:
    package(project, scripts={"build": "echo main.ts: wrong type && exit 2"})
    with pytest.raises(InvalidInput, match=r"(?s)`npm run build` failed:.*main.ts: wrong type"):
        install(project)


def test_packages_that_production_would_leave_out_are_there_for_the_build(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_ENV", "production")
    script = "node -e \"fs.writeFileSync('made', require('lib'))\""
    package(project, devDependencies={"lib": "file:lib"}, scripts={"build": script})
    install(project)
    assert (project / "made").read_text() == "lib"
