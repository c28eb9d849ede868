"""Loading and packing folders: what goes in, what stays out, and that it is the same each time."""

import errno
import io
import os
import zipfile
from pathlib import Path

import pytest

from tests.unit.project.builders import CONFIG, FILES, RUNTIMES, FakeRuntime, write_files
from the0.errors import InvalidArchive, InvalidInput, PluginError
from the0.project import load_project, pack, read_archive
from the0.project.ignore import read_rules
from the0.settings import ArchiveSettings
from the0.testing.runtime import RecordedProgress

pytestmark = pytest.mark.usefixtures("schemas_here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "project", FILES)


def packed_names(folder: Path, tmp_path: Path) -> list[str]:
    packed = pack(load_project(folder, RUNTIMES), tmp_path, RecordedProgress())
    with zipfile.ZipFile(packed.path) as archive:
        return archive.namelist()


def test_load_finds_the_runtime_by_name(folder: Path) -> None:
    project = load_project(folder, RUNTIMES)
    assert isinstance(project.runtime, FakeRuntime)
    assert project.config.name == "my-bot"


def test_an_unknown_runtime_is_named(folder: Path) -> None:
    write_files(folder, {"bot-config.yaml": CONFIG.replace("fake1", "cobol")})
    with pytest.raises(PluginError, match=r"bot-config\.yaml: runtime: .*cobol"):
        load_project(folder, RUNTIMES)


def test_faults_of_the_runtime_and_of_left_out_files_come_together(folder: Path) -> None:
    write_files(folder, {"bad.py": "", ".the0ignore": "*.md\n"})
    with pytest.raises(InvalidInput) as caught:
        load_project(folder, RUNTIMES)
    assert caught.value.faults == (
        "bad.py: is bad",
        ".the0ignore: leaves out README.md, which bot-config.yaml names",
    )


def test_all_faults_of_a_project_come_at_once(folder: Path) -> None:
    changed = {"bot-config.yaml": CONFIG.replace("1.2.3", "one"), "bot-schema.json": "{"}
    write_files(folder, {**changed, "bad.py": "", ".the0ignore": "*.md\n"})
    (folder / "dead").symlink_to("nowhere")
    with pytest.raises(InvalidInput) as caught:
        load_project(folder, RUNTIMES)
    found = {fault.split(": ")[0] for fault in caught.value.faults}
    assert found == {"bad.py", "bot-config.yaml", "bot-schema.json", ".the0ignore", "dead"}
    write_files(folder, {"bot-config.yaml": changed["bot-config.yaml"].replace("fake1", "cobol")})
    with pytest.raises(InvalidInput) as caught:
        load_project(folder, RUNTIMES)
    assert "cobol" in caught.value.faults[-1]


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is not a folder"):
        load_project(tmp_path / "nowhere", RUNTIMES)


def test_what_goes_in_and_what_stays_out(folder: Path, tmp_path: Path) -> None:
    write_files(
        folder,
        {
            "src/a.py": "",
            "src/__pycache__/a.pyc": "",
            "data/keep.csv": "",
            "data/drop.csv": "",
            ".env": "SECRET=1",
            ".env.production": "SECRET=1",
            ".npmrc": "//registry/:_authToken=1",
            ".pypirc": "password=1",
            ".git/config": "",
            "logs/x.log": "",
            ".the0ignore": "# mine\n/data/*\n!/data/keep.csv\nlogs/\n",
        },
    )
    assert packed_names(folder, tmp_path) == sorted(
        [*FILES, "src/a.py", "data/keep.csv", "vendor/dep.py", "vendor/x/__init__.py"]
    )


def test_patterns_do_not_thin_out_what_was_vendored(folder: Path, tmp_path: Path) -> None:
    write_files(folder, {".the0ignore": "vendor/\n", "vendor/old.py": ""})
    names = packed_names(folder, tmp_path)
    assert "vendor/dep.py" in names
    assert "vendor/old.py" not in names


def test_what_a_build_makes_need_not_be_there_before(folder: Path, tmp_path: Path) -> None:
    write_files(folder, {"bot-config.yaml": CONFIG.replace("main.py", "vendor/dep.py")})
    assert "vendor/dep.py" in packed_names(folder, tmp_path)


def test_what_no_build_made_is_named(folder: Path, tmp_path: Path) -> None:
    write_files(folder, {"bot-config.yaml": CONFIG.replace("main.py", "dist/main.js")})
    with pytest.raises(InvalidInput) as caught:
        packed_names(folder, tmp_path)
    expected = "bot-config.yaml: entrypoints.bot: there is no file dist/main.js"
    assert caught.value.faults == (expected,)


def test_packages_of_this_machine_stay_out(folder: Path, tmp_path: Path) -> None:
    write_files(folder, {"node_modules/left/index.js": "", "src/node_modules/x.js": ""})
    assert not [name for name in packed_names(folder, tmp_path) if "node_modules" in name]


def test_a_default_can_be_taken_back(folder: Path) -> None:
    write_files(folder, {".the0ignore": "!.env\n"})
    rules = read_rules(folder)
    assert not rules.leaves_out(".env")
    assert rules.leaves_out("a/__pycache__/")


def test_the_same_content_is_the_same_archive(folder: Path, tmp_path: Path) -> None:
    project = load_project(folder, RUNTIMES)
    first = pack(project, tmp_path, RecordedProgress())
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700 if path.is_dir() else 0o600)
    second = pack(load_project(folder, RUNTIMES), tmp_path, RecordedProgress())
    assert (first.sha256, first.size) == (second.sha256, second.size)
    write_files(folder, {"main.py": "def main(): ...\n"})
    assert pack(project, tmp_path, RecordedProgress()).sha256 != first.sha256


def test_execute_bits_are_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "main.py").chmod(0o711)
    packed = pack(load_project(folder, RUNTIMES), tmp_path, RecordedProgress())
    with zipfile.ZipFile(packed.path) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert oct(modes["main.py"]) == "0o100755"
    assert oct(modes["query.py"]) == "0o100644"


def test_the_project_itself_is_not_touched(folder: Path, tmp_path: Path) -> None:
    before = sorted(folder.rglob("*"))
    pack(load_project(folder, RUNTIMES), tmp_path, RecordedProgress())
    assert sorted(folder.rglob("*")) == before


def test_links_inside_are_followed_and_links_out_are_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "alias.py").symlink_to("main.py")
    assert "alias.py" in packed_names(folder, tmp_path)
    (tmp_path / "secret").write_text("key")
    (folder / "leak").symlink_to(tmp_path / "secret")
    (folder / "tree").symlink_to(tmp_path)
    (folder / "dead").symlink_to("nowhere")
    with pytest.raises(InvalidInput) as caught:
        packed_names(folder, tmp_path)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["dead", "leak", "tree"]


def test_what_no_archive_can_take_in_is_a_fault(folder: Path, tmp_path: Path) -> None:
    (folder / "circle").symlink_to("circle")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("")
    with pytest.raises(InvalidInput) as caught:
        packed_names(folder, tmp_path)
    assert [fault.split(":")[1].strip() for fault in caught.value.faults] == [
        "its name is not UTF-8, as archives need it; rename it",
        "not a file of this project; take it out or copy it here",
    ]


@pytest.mark.parametrize("name", ["x" * 300, '"a\\0b"'])
def test_an_entrypoint_that_no_file_can_be_is_a_fault(folder: Path, name: str) -> None:
    write_files(folder, {"bot-config.yaml": CONFIG.replace("query.py", name)})
    with pytest.raises(InvalidInput) as caught:
        load_project(folder, RUNTIMES)
    (fault,) = caught.value.faults
    assert fault.startswith("bot-config.yaml: entrypoints.query: ")


def unreadable(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root reads everything, so no real file can be made to refuse."""
    real_open, real_scan = io.open, os.scandir

    def refuse(given: object) -> None:
        if str(given).endswith(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(given))

    def open_(given: object, *args: object, **more: object) -> object:
        refuse(given)
        return real_open(given, *args, **more)

    def scan(given: object) -> object:
        refuse(given)
        return real_scan(given)

    monkeypatch.setattr(io, "open", open_)
    monkeypatch.setattr("builtins.open", open_)
    monkeypatch.setattr(os, "scandir", scan)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/main.py", "bot-config.yaml: entrypoints.bot: main.py cannot be read: Permission denied"),
        ("/src/deep", "src/deep: cannot be read: Permission denied"),
    ],
)
def test_what_cannot_be_read_is_a_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch, path: str, fault: str
) -> None:
    write_files(folder, {"src/deep/a.py": ""})
    unreadable(path, monkeypatch)
    with pytest.raises(InvalidInput) as caught:
        load_project(folder, RUNTIMES)
    assert caught.value.faults == (fault,)


def test_a_file_that_cannot_be_read_is_not_packed_around(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(folder, {"data.csv": ""})
    project = load_project(folder, RUNTIMES)
    unreadable("/project/data.csv", monkeypatch)
    with pytest.raises(InvalidInput, match=r"data\.csv cannot be read: Permission denied"):
        pack(project, tmp_path, RecordedProgress())


def test_the_archive_reads_back_as_the_project(folder: Path, tmp_path: Path) -> None:
    project = load_project(folder, RUNTIMES)
    packed = pack(project, tmp_path, RecordedProgress())
    archived = read_archive(packed.path, ArchiveSettings())
    assert archived.config == project.config


def test_progress_is_told(folder: Path, tmp_path: Path) -> None:
    progress = RecordedProgress()
    pack(load_project(folder, RUNTIMES), tmp_path, progress)
    assert progress.steps == ["vendored", "Packing"]


def test_an_archive_over_the_limits_is_refused_before_it_is_sent(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArchive, match="more than 3 entries"):
        pack(
            load_project(folder, RUNTIMES),
            tmp_path,
            RecordedProgress(),
            ArchiveSettings(max_entries=3),
        )
