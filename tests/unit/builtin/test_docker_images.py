import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from the0.builtin.docker_base import (
    base_digest,
    finish_commands,
    mmdebstrap_command,
    package_list,
    registry_dockerfile,
)
from the0.builtin.docker_builder import follow
from the0.builtin.docker_context import dockerfile, image_labels, write_context, write_rootfs
from the0.builtin.docker_images import surplus
from the0.errors import Unavailable
from the0.plugin.interfaces import ImageSpec, Progress


class Told(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def spec(tmp_path: Path) -> ImageSpec:
    library = tmp_path / "library"
    (library / "sub" / "__pycache__").mkdir(parents=True)
    (library / "sub" / "__pycache__" / "old.pyc").write_bytes(b"")
    (library / "sub" / "module.py").write_text("x = 1\n")
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o750)
    return ImageSpec(
        packages=("nodejs", "python3"),
        files={"/opt/the0/lib": library, "/usr/bin/tool": tool},
        compile_python=("/opt/the0/lib",),
        links={"/usr/bin/other": "tool"},
    )


def rootfs(spec: ImageSpec) -> bytes:
    target = io.BytesIO()
    write_rootfs(target, spec, b"#!agent")
    return target.getvalue()


def entries(spec: ImageSpec) -> Mapping[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(rootfs(spec))) as tar:
        return {entry.name: entry for entry in tar}


def test_folders_of_volumes_belong_to_the_bot(spec: ImageSpec) -> None:
    found = entries(spec)
    for folder in ("bot", "state", "var/the0", "query", "run/the0"):
        assert (found[folder].uid, found[folder].gid, found[folder].mode) == (1000, 1000, 0o755)


def test_everything_else_is_roots_and_runs_if_it_ran(spec: ImageSpec) -> None:
    found = entries(spec)
    assert (found["app/runtime"].mode, found["app/runtime"].uid) == (0o755, 0)
    assert found["usr/bin/tool"].mode == 0o755
    assert found["opt/the0/lib/sub/module.py"].mode == 0o644
    assert found["usr/bin/other"].linkname == "tool"
    assert not [name for name in found if "__pycache__" in name]


def test_no_folder_replaces_a_link_of_the_base(spec: ImageSpec) -> None:
    # In Debian /lib, /bin and /sbin are links; an entry for them would make folders of them.
    assert not {"usr", "opt", "var", "run", "lib"} & set(entries(spec))


def test_the_same_input_makes_the_same_bytes(spec: ImageSpec, tmp_path: Path) -> None:
    before = rootfs(spec)
    (tmp_path / "tool").touch()
    assert rootfs(spec) == before


def test_the_context_is_the_dockerfile_and_the_files(tmp_path: Path) -> None:
    (tmp_path / "rootfs.tar").write_bytes(b"content")
    target = io.BytesIO()
    write_context(target, "FROM x\n", tmp_path / "rootfs.tar")
    assert target.tell() == 0
    with tarfile.open(fileobj=target) as tar:
        assert tar.getnames() == ["Dockerfile", "rootfs.tar"]


def test_the_dockerfile_labels_first_and_compiles_what_is_asked(spec: ImageSpec) -> None:
    lines = dockerfile("base:1", spec, image_labels("d1", "a1")).splitlines()
    assert lines[:2] == ["FROM base:1", 'LABEL the0.agent="a1" the0.digest="d1"']
    assert any("unchecked-hash" in line and "/opt/the0/lib" in line for line in lines)
    assert lines[-1] == 'ENTRYPOINT ["/app/runtime"]'
    assert not any("RUN" in line for line in dockerfile("b", ImageSpec(()), {}).splitlines())


def test_packages_always_include_the_agents() -> None:
    assert package_list(("zlib1g", "python3")) == ["ca-certificates", "python3", "tzdata", "zlib1g"]


def test_a_base_is_known_by_what_it_is_made_of() -> None:
    digest = base_digest(("a", "b"), "mmdebstrap")
    assert digest == base_digest(("b", "a", "python3"), "mmdebstrap")
    assert digest != base_digest(("a",), "mmdebstrap")
    assert digest != base_digest(("a", "b"), "registry")
    assert len(digest) == 12


def test_both_ways_make_the_user_and_take_the_same_away() -> None:
    by_registry = registry_dockerfile(("nodejs",), "debian:x", "d")
    assert "FROM debian:x\nLABEL the0.base=d\n" in by_registry
    assert "nodejs" in by_registry
    assert finish_commands() in by_registry
    command = mmdebstrap_command(("nodejs",), Path("/t.tar"), "")
    assert "--include=usr-is-merged,ca-certificates,nodejs,python3,tzdata" in command
    assert command[-2:] == ["bookworm", "/t.tar"]
    assert mmdebstrap_command((), Path("/t"), "http://mirror")[-1] == "http://mirror"


def test_a_builds_steps_are_told() -> None:
    told = Told()
    follow([{"stream": "Step 1/2 : FROM x\n ---> abc\n"}, {"aux": {"ID": "x"}}], "t", told)
    assert told.lines == ["  Step 1/2 : FROM x"]


def test_a_builds_error_comes_with_its_last_lines() -> None:
    messages = [{"stream": "E: Unable to locate package x\n"}, {"error": "returned 100"}]
    with pytest.raises(Unavailable) as raised:
        follow(messages, "the0/x:1", Told())
    assert "the0/x:1" in raised.value.message
    assert "Unable to locate package x" in raised.value.message
    assert "returned 100" in raised.value.message


def image(created: int, *tags: str) -> dict[str, object]:
    return {"Id": f"id{created}", "Created": created, "RepoTags": list(tags) or None}


def test_the_newest_of_each_repository_stay() -> None:
    found = [
        image(1, "the0/a:1"),
        image(3, "the0/a:3"),
        image(2, "the0/a:2", "host:5000/the0/a:2"),
        image(4, "the0/b:1"),
        image(1, "mine/on-top:1"),
        image(2, "mine/on-top:2"),
        image(5),
        image(6, "<none>:<none>"),
    ]
    assert surplus(found, kept=2, before=10) == ["the0/a:1", "id5", "id6"]
    assert surplus(found, kept=1, before=10) == ["the0/a:2", "the0/a:1", "id5", "id6"]
    assert surplus(found, kept=1, before=2) == ["the0/a:1"]
    assert surplus([], kept=2, before=10) == []
