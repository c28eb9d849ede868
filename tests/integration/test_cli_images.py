"""`the0 images` against the real engine."""

from __future__ import annotations

import json

import docker
import pytest

from the0.cli.main import run


def test_each_runtime_has_an_image_of_a_certain_content(
    docker_engine: docker.DockerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["images", "list", "--json"]) == 0
    found = {one["runtime"]: one for one in json.loads(capsys.readouterr().out)["images"]}
    python = found["python3.11"]
    assert python["tag"] == f"the0/python3.11:{python['digest'][:12]}"
    there = [tag for image in docker_engine.images.list() for tag in image.tags]
    assert python["present"] is (python["tag"] in there)


def test_a_runtime_that_nobody_provides_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["images", "build", "cobol85"]) == 6
    assert "cobol85" in capsys.readouterr().err
