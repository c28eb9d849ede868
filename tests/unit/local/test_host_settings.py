from __future__ import annotations

from pathlib import Path

import pytest

from the0.config import bootstrap
from the0.local.config import load_or_create
from the0.local.host_settings import embedded, instance_of, write_settings
from the0.local.paths import LocalPaths


@pytest.fixture
def paths(tmp_path: Path) -> LocalPaths:
    paths = LocalPaths(tmp_path)
    paths.make()
    return paths


def test_the_written_settings_are_what_the_host_reads(paths: LocalPaths) -> None:
    config = load_or_create(paths.config, "demo")
    assert write_settings(paths, config, ["mongo", "s3", "nats"])
    settings, plugins = bootstrap([paths.settings], {})
    assert settings.mongo.uri == config.mongo_uri
    assert settings.nats.url == config.nats_url
    assert settings.api.port == config.api_port
    assert settings.general.instance == "demo"
    assert settings.runner.stop_bots_on_exit is True
    minio = plugins.storages.get("minio").settings
    assert minio is not None
    assert settings.section(minio).endpoint == config.s3_endpoint
    assert settings.api.token == config.api_token
    assert paths.settings.stat().st_mode & 0o777 == 0o600


def test_only_a_difference_counts_as_a_change(paths: LocalPaths) -> None:
    config = load_or_create(paths.config, "demo")
    assert write_settings(paths, config, ["mongo", "s3", "nats"])
    assert not write_settings(paths, config, ["mongo", "s3", "nats"])
    assert write_settings(paths, config, ["mongo", "s3"])


@pytest.mark.parametrize(
    ("variables", "needed"),
    [
        ({}, ["mongo", "s3", "nats"]),
        ({"MONGO_URI": "mongodb://db"}, ["s3", "nats"]),
        ({"MINIO_ENDPOINT": "s3:9000"}, ["mongo", "nats"]),
        ({"NATS_URL": "nats://n"}, ["mongo", "s3"]),
    ],
)
def test_a_server_that_is_named_is_not_brought_along(
    variables: dict[str, str], needed: list[str]
) -> None:
    assert list(embedded(*bootstrap(environ=variables))) == needed


def test_the_name_is_what_is_set_else_what_was_remembered() -> None:
    plain, _ = bootstrap(environ={})
    named, _ = bootstrap(environ={"THE0_INSTANCE": "mine"})
    assert instance_of(plain, None) == "local"
    assert instance_of(plain, "before") == "before"
    assert instance_of(named, "before") == "mine"
