"""Vendoring by the real pip: from folders of packages made here, so that no index is needed."""

import io
import platform
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from the0_runtime_python import vendor

from the0.errors import InvalidInput
from the0.testing.runtime import RecordedProgress

MACHINE = platform.machine()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only source of packages."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def wheel(shelf: Path, name: str, tag: str, version: str = "1.0") -> None:
    """A wheel with one module whose `TAG` tells which one was taken."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"TAG = {tag!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:run\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(shelf / f"{name}-{version}-{tag}.whl", "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)


BACKEND = """
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "NAME-1.0-TAG.whl"
    info = "NAME-1.0.dist-info/"
    with zipfile.ZipFile(folder + "/" + name, "w") as archive:
        archive.writestr("NAME.py", "TAG = 'built'")
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: NAME\\nVersion: 1.0\\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: TAG\\n")
        archive.writestr(info + "RECORD", "NAME.py,,")
    return name
"""


def sdist(shelf: Path, name: str, tag: str) -> None:
    """A source package that builds a wheel with this tag, by a backend of its own."""
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    project = f'[project]\nname = "{name}"\nversion = "1.0"\n'
    files = {
        "pyproject.toml": system + project,
        "backend.py": BACKEND.replace("NAME", name).replace("TAG.whl", f"{tag}.whl"),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }
    with tarfile.open(shelf / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{file}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))


def test_sources_of_pure_python_are_built(shelf: Path, project: Path) -> None:
    sdist(shelf, "pure", "py3-none-any")
    wheel(shelf, "pkg", "py3-none-any")
    (project / "requirements.txt").write_text("pkg\npure\n")
    vendor.install(project, RecordedProgress())
    assert "built" in (project / "vendor/pure.py").read_text()
    assert (project / "vendor/pkg.py").exists()


def test_sources_that_need_a_compiler_are_named(shelf: Path, project: Path) -> None:
    sdist(shelf, "native", f"cp311-cp311-linux_{MACHINE}")
    (project / "requirements.txt").write_text("native\n")
    with pytest.raises(InvalidInput, match=r"requirements\.txt: native has no wheel"):
        vendor.install(project, RecordedProgress())


def test_wheels_are_chosen_for_the_image(shelf: Path, project: Path) -> None:
    wheel(shelf, "pkg", f"cp311-cp311-manylinux_2_36_{MACHINE}")
    wheel(shelf, "pkg", f"cp311-cp311-manylinux_2_39_{MACHINE}", "2.0")
    wheel(shelf, "pkg", f"cp312-cp312-manylinux2014_{MACHINE}", "3.0")
    wheel(shelf, "pkg", "cp311-cp311-win_amd64", "4.0")
    (project / "requirements.txt").write_text("pkg\n")
    progress = RecordedProgress()
    vendor.install(project, progress)
    assert "manylinux_2_36" in (project / "vendor/pkg.py").read_text()
    assert any(step.startswith("Successfully installed pkg") for step in progress.steps)


def test_console_scripts_stay_out(shelf: Path, project: Path) -> None:
    wheel(shelf, "pkg", "py3-none-any")
    (project / "requirements.txt").write_text("pkg\n")
    vendor.install(project, RecordedProgress())
    assert not (project / "vendor/bin").exists()


def test_the_same_requirements_give_the_same_bytes_bytecode_included(
    shelf: Path, tmp_path: Path
) -> None:
    wheel(shelf, "pkg", "py3-none-any")
    seen = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "requirements.txt").write_text("pkg\n")
        vendor.install(folder, RecordedProgress())
        files = [path for path in (folder / "vendor").rglob("*") if path.is_file()]
        seen.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    assert seen[0] == seen[1]
    compiled = "vendor/__pycache__/pkg.cpython-311.pyc"
    assert (compiled in seen[0]) == (sys.version_info[:2] == vendor.IMAGE_PYTHON)


def test_an_old_vendor_folder_is_replaced(shelf: Path, project: Path) -> None:
    wheel(shelf, "pkg", "py3-none-any")
    (project / "vendor").mkdir()
    (project / "vendor/left.py").write_text("")
    (project / "requirements.txt").write_text("pkg\n")
    vendor.install(project, RecordedProgress())
    assert not (project / "vendor/left.py").exists()
    assert (project / "vendor/pkg.py").exists()


def test_comments_alone_need_no_pip(project: Path) -> None:
    (project / "requirements.txt").write_text("# nothing\n\n")
    progress = RecordedProgress()
    vendor.install(project, progress)
    assert progress.steps == []


def test_a_package_that_needs_another_platform_is_named(shelf: Path, project: Path) -> None:
    wheel(shelf, "winonly", "cp311-cp311-win_amd64")
    wheel(shelf, "pkg", "py3-none-any")
    (project / "requirements.txt").write_text("pkg\nwinonly\n")
    with pytest.raises(InvalidInput, match=r"requirements\.txt: winonly has no wheel"):
        vendor.install(project, RecordedProgress())


def test_a_line_that_pip_does_not_understand_is_shown(shelf: Path, project: Path) -> None:
    (project / "requirements.txt").write_text("not a requirement !\n")
    with pytest.raises(InvalidInput, match="not a requirement"):
        vendor.install(project, RecordedProgress())
