from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from the0.config import bootstrap
from the0.local.config import load_or_create
from the0.local.host_settings import (
    Tables,
    differences,
    embedded,
    instance_of,
    tables,
    write_settings,
)
from the0.local.paths import LocalPaths
from the0.settings import (
    EgressSettings,
    LimitSettings,
    MongoSettings,
    PluginSettings,
    SyncSettings,
)


@pytest.fixture
def paths(tmp_path: Path) -> LocalPaths:
    paths = LocalPaths(tmp_path)
    paths.make()
    return paths


def wanted(paths: LocalPaths, servers: Sequence[str], **variables: str) -> Tables:
    given, _ = bootstrap(environ=variables)
    return tables(given, paths, load_or_create(paths.config, "demo"), servers)


def test_the_written_settings_are_what_the_host_reads(paths: LocalPaths) -> None:
    write_settings(paths, wanted(paths, ["mongo", "s3", "nats"]))
    config = load_or_create(paths.config, "demo")
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


def test_every_setting_reaches_the_host_whatever_its_own_environment(paths: LocalPaths) -> None:
    variables = {
        "MONGO_URI": "mongodb://u:p%22@db/?a=b",
        "RECONCILE_INTERVAL": "1m30s",
        "MAX_STATE_SIZE_MB": "100",
        "THE0_EGRESS__ALLOW": "10.1.2.0/24, 10.9.9.9:443",
        "THE0_PLUGINS__BLOCK": "a, b",
        "THE0_LIMITS__CPUS": "0.5",
    }
    given, _ = bootstrap(environ=variables)
    write_settings(paths, wanted(paths, ["s3"], **variables))
    read, _ = bootstrap([paths.settings], {})
    for section in (MongoSettings, SyncSettings, EgressSettings, PluginSettings, LimitSettings):
        assert read.section(section) == given.section(section)
    assert read.runner.reconcile_interval_sec == 90.0


def test_settings_that_are_otherwise_now_are_named(paths: LocalPaths) -> None:
    write_settings(paths, wanted(paths, ["mongo", "s3", "nats"]))
    assert differences(paths, wanted(paths, ["mongo", "s3", "nats"])) == []
    changed = wanted(paths, ["mongo", "s3"], BOT_MEMORY_LIMIT_MB="256", NATS_URL="nats://n")
    assert differences(paths, changed) == ["limits.memory_mb", "nats.url"]
    renamed = {**changed, "": {**changed[""], "log_level": "debug"}}
    assert "log_level" in differences(paths, renamed)


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
