from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from the0.config import StateDir, bootstrap, load_settings
from the0.errors import InvalidSettings, PluginError
from the0.settings import (
    CORE_SECTIONS,
    IGNORED_ENV,
    MongoSettings,
    section,
    section_fields,
    setting,
)
from the0.settings_parsers import addresses, seconds
from the0.state_dir import default_root


@section("example")
class ExampleSettings:
    """A plugin's own section."""

    key: str = setting("", "A key.", env=("EXAMPLE_KEY",), secret=True, required=True)
    size: int = setting(3, "A size.", minimum=1)


@dataclass
class Site:
    """A folder with settings files."""

    folder: Path

    def file(self, text: str, name: str = "a.toml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def faults(self, text: str = "", **environ: str) -> list[str]:
        with pytest.raises(InvalidSettings) as refused:
            load_settings([*CORE_SECTIONS, ExampleSettings], [self.file(text)], environ)
        return list(refused.value.faults)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_later_sources_win(site: Site) -> None:
    first = site.file("[limits]\npids = 100\nopen_files = 100\ntmp_mb = 100\n", "1.toml")
    second = site.file("[limits]\nopen_files = 200\ntmp_mb = 200\n", "2.toml")
    environ = {"THE0_LIMITS__TMP_MB": "300", "HOME": "/nowhere"}
    limits = load_settings(CORE_SECTIONS, [first, second], environ).limits
    assert (limits.pids, limits.open_files, limits.tmp_mb) == (100, 200, 300)
    assert limits.memory_mb == 512


def test_lists_replace_each_other(site: Site) -> None:
    first = site.file('[plugins]\nblock = ["a", "b"]\n', "1.toml")
    second = site.file('[plugins]\nblock = ["c"]\n', "2.toml")
    assert load_settings(CORE_SECTIONS, [first, second], {}).plugins.block == ("c",)
    from_text = {"THE0_PLUGINS__BLOCK": '["x", "y"]'}
    assert load_settings(CORE_SECTIONS, [first], from_text).plugins.block == ("x", "y")


def test_the_contract_s_variable_wins_over_the_prefixed_one() -> None:
    environ = {"RECONCILE_INTERVAL": "45s", "THE0_RUNNER__RECONCILE_INTERVAL_SEC": "50"}
    assert load_settings(CORE_SECTIONS, [], environ).runner.reconcile_interval_sec == 45.0


def test_text_of_the_environment_is_never_guessed_at() -> None:
    environ = {"THE0_API__TOKEN": "1_000", "MONGO_URI": "mongodb://u:@int 3@h"}
    settings = load_settings(CORE_SECTIONS, [], environ)
    assert settings.api.token == "1_000"
    assert settings.mongo.uri == "mongodb://u:@int 3@h"


def test_blanks_around_a_token_are_no_part_of_it() -> None:
    settings = load_settings(CORE_SECTIONS, [], {"THE0_API__TOKEN": " secret\n"})
    assert settings.api.token == "secret"


@pytest.mark.parametrize("token", [" ", "\n", "hun\nter2", "hünter2"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(site: Site, token: str) -> None:
    (fault,) = site.faults("", THE0_API__TOKEN=token)
    assert fault.startswith("api.token = *** (environment variable THE0_API__TOKEN): must be")
    assert "ter2" not in fault


@pytest.mark.parametrize("text", ["@int abc", "@format {env[HOME]}", "@none", "@json {", "@del"])
def test_text_of_a_file_is_never_a_command(site: Site, text: str) -> None:
    file = site.file(f'[api]\ntoken = "{text}"\n')
    assert load_settings(CORE_SECTIONS, [file], {}).api.token == text


def test_an_empty_variable_of_the_contract_is_not_set(site: Site) -> None:
    sections = [*CORE_SECTIONS, ExampleSettings]
    names = {v for cls in sections for one in section_fields(cls).values() for v in one.env}
    empty = dict.fromkeys(names, "")
    assert load_settings(sections, [], empty).sections == load_settings(sections, [], {}).sections
    file = site.file('[limits]\nmemory_mb = 256\n[nats]\nurl = "nats://h"\n')
    settings = load_settings(sections, [file], {**empty, "THE0_NATS__URL": ""})
    assert (settings.limits.memory_mb, settings.nats.url) == (256, "")


def test_all_faults_are_told_at_once_with_their_source(site: Site) -> None:
    text = '[limits]\nmemory_mb = "much"\n[runner]\nstarts_at_once = 0\n[mongo]\ntimout_sec = 3\n'
    faults = site.faults(text, BOT_CPU_SHARES="1", THE0_LOG_LEVEL="loud", THE0_NO_SUCH="1")
    file = str(site.folder / "a.toml")
    told = "\n".join(faults)
    assert f"limits.memory_mb = 'much' ({file}): must be a whole number of at least 32" in told
    assert f"runner.starts_at_once = 0 ({file}): must be a whole number from 1 to 64" in told
    assert f"mongo.timout_sec ({file}): there is no such setting; did you mean" in told
    assert "mongo.timeout_sec?" in told
    assert "limits.cpu_shares = '1' (environment variable BOT_CPU_SHARES)" in told
    assert "must be one of debug, info, warning, error" in told
    assert "no_such (environment variable THE0_NO_SUCH)" in told
    assert len(faults) == 6


def test_secrets_are_masked_also_inside_addresses(site: Site) -> None:
    text = '[api]\nhost = "https://user:hunter2@proxy/x"\n[example]\nkey = 123456\n'
    told = "\n".join(site.faults(text, MONGO_URI="postgres://u:hunter2@h", NATS_URL="hunter2"))
    assert "hunter2" not in told
    assert "123456" not in told
    assert "mongo.uri = ***" in told
    assert "'https://***@proxy/x'" in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('instance = "-x"', "letters, digits and dashes"),
        ('instance = "a b"', "letters, digits and dashes"),
        (f'instance = "{"x" * 25}"', "1 to 24"),
        ('state_dir = "relative"', "an absolute path"),
        ('state_dir = "~nobody-of-this-name/x"', "an absolute path"),
        ('state_dir = "/a\\u0000b"', "an absolute path"),
        (f'state_dir = "/{"x" * 90}"', "too long a path"),
        ("[runner]\nstop_bots_on_exit = 3", "true or false"),
        ('[runner]\nreconcile_interval_sec = "often"', "a duration"),
        ("[runner]\nreconcile_interval_sec = 0.5", "from 1 to 3600"),
        ("[runner]\nreconcile_interval_sec = nan", "a duration"),
        ("[limits]\ncpus = inf", "a number"),
        ("[limits]\npids = true", "a whole number"),
        ("[limits]\npids = 100.0", "a whole number"),
        ("[plugins]\nallow = [1]", "a list of texts"),
        ('[plugins]\nallow = {a = "b"}', "a list of texts"),
        ("[mongo]\nplatform_database = 3", "name of a database"),
        ('[mongo]\nplatform_database = "bot_runner"', "nothing else uses"),
        ('[nats]\nurl = "http://x"', "nats://"),
        ('[storage]\ncode_bucket = "No_Bucket"', "bucket name"),
        ('[egress]\nallow = ["10.0.0.0/8", "example.org"]', "'example.org'"),
        ('[egress]\nallow = ["10.0.0.1:99999"]', "no such port"),
        ("mongo = 3", "there is no such setting"),
        ("[limits]\nmemory_mb = 600\nmax_memory_mb = 500", "at most limits.max_memory_mb"),
        ("[limits]\ncpus = 3.5", "at most limits.max_cpus, which is 2"),
        ("[runner]\nbackoff_initial_sec = 20\nbackoff_max_sec = 10", "runner.backoff_max_sec"),
        ("[sync]\nmin_interval_sec = 90", "sync.interval_sec"),
        ("[runner\n", "cannot be read"),
    ],
)
def test_what_is_refused(site: Site, text: str, words: str) -> None:
    faults = site.faults(text)
    assert len(faults) == 1
    assert words in faults[0]


def test_a_named_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="refused") as refused:
        load_settings(CORE_SECTIONS, [tmp_path / "none.toml"], {})
    assert "none.toml: cannot be read: No such file" in refused.value.message


def test_an_unknown_section_is_a_warning_while_a_plugin_is_set_aside(site: Site) -> None:
    file = site.file("[elsewhere]\nx = 1\n")
    with pytest.raises(InvalidSettings, match="refused"):
        load_settings(CORE_SECTIONS, [file], {})
    settings = load_settings(CORE_SECTIONS, [file], {}, all_declared=False)
    assert "elsewhere.x" in settings.warnings[0]


def test_variables_without_effect_get_one_warning_each() -> None:
    settings = load_settings(CORE_SECTIONS, [], dict.fromkeys(IGNORED_ENV, "x"))
    assert len(settings.warnings) == len(IGNORED_ENV)
    for name in IGNORED_ENV:
        assert [warning for warning in settings.warnings if name in warning]


def test_variables_of_containers_and_of_the_command_line_are_no_settings() -> None:
    environ = {"THE0_LAUNCH": "x", "THE0_TOKEN": "x", "THE0_API_URL": "http://x"}
    assert load_settings(CORE_SECTIONS, [], environ).warnings == ()


def test_standard_files_are_read_below_the_named_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.toml").write_text('log_level = "debug"\ninstance = "here"\n')
    named = tmp_path / "named.toml"
    named.write_text('instance = "named"\n')
    assert load_settings(environ={}).general.instance == "here"
    settings, plugins = bootstrap([named], {"MINIO_ENDPOINT": "s3:9000"})
    assert (settings.general.instance, settings.general.log_level) == ("named", "debug")
    assert "docker" in plugins.executors
    storage: Any = settings.section(plugins.storages.get("minio").settings or type(None))
    assert storage.endpoint == "s3:9000"


def test_the_lists_of_plugins_decide_before_anything_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"THE0_PLUGINS__BLOCK": "the0-storage-minio", "THE0_MINIO__REGION": "x"}
    settings, plugins = bootstrap([], environ)
    assert "minio" not in plugins.storages
    assert [warning for warning in settings.warnings if "minio.region" in warning]


def test_faults_of_the_lists_of_plugins_are_told_with_the_others(tmp_path: Path) -> None:
    environ = {"THE0_PLUGINS__BLOCK": "[", "BOT_CPU_SHARES": "x"}
    with pytest.raises(InvalidSettings) as refused:
        bootstrap([], environ)
    assert "plugins.block" in refused.value.message
    assert "limits.cpu_shares" in refused.value.message


HOST_ENVIRON = {
    "MONGO_URI": "mongodb://db",
    "MINIO_ENDPOINT": "s3:9000",
    "MINIO_ACCESS_KEY": "a",
    "MINIO_SECRET_KEY": "s",
}


def test_what_the_host_needs_is_told_at_once_and_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"BOT_CPU_SHARES": "x", "MINIO_ENDPOINT": "http://s3:9000"}
    with pytest.raises(InvalidSettings) as refused:
        bootstrap([], environ, for_host=True)
    faults = " ".join(refused.value.faults)
    for name in ("MONGO_URI", "MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        assert faults.count(name) == 1
    assert "limits.cpu_shares" in faults
    with pytest.raises(InvalidSettings) as refused:
        bootstrap([], dict.fromkeys(HOST_ENVIRON, ""), for_host=True)
    assert len(refused.value.faults) == len(HOST_ENVIRON)
    settings, _ = bootstrap([], HOST_ENVIRON, for_host=True)
    assert settings.mongo.uri == "mongodb://db"


def test_a_host_needs_the_plugins_that_are_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {**HOST_ENVIRON, "THE0_STORAGE__PLUGIN": "tape"}
    assert bootstrap([], environ)[0].storage.plugin == "tape"
    with pytest.raises(PluginError, match="'tape'"):
        bootstrap([], environ, for_host=True)


@pytest.mark.parametrize(
    ("given", "read"),
    [(3, 3.0), (0.5, 0.5), ("30", 30.0), ("500ms", 0.5), ("1h30m", 5400.0), (" 1d ", 86400.0)],
)
def test_durations(given: Any, read: float) -> None:
    assert seconds(given) == read


@pytest.mark.parametrize("given", ["", "s", "-5s", "1 m", "5x", "1e3", "nan", True, None, []])
def test_what_is_no_duration(given: Any) -> None:
    with pytest.raises(ValueError, match="duration"):
        seconds(given)


def test_addresses_may_be_text() -> None:
    assert addresses("10.0.0.0/8, 10.1.2.3:443") == ("10.0.0.0/8", "10.1.2.3:443")


def test_the_state_directory(tmp_path: Path) -> None:
    old_mask = os.umask(0o077)
    try:
        state = StateDir(tmp_path / "root")
        state.make()
        state.make()
    finally:
        os.umask(old_mask)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in [state.root, *state.root.iterdir()]}
    assert modes == {
        "root": 0o700,
        "launches": 0o700,
        "run": 0o700,
        "spool": 0o700,
        "code": 0o700,
        "state-cache": 0o700,
        "gateway": 0o755,
    }
    assert state.role_socket("runner") == tmp_path / "root/run/runner.sock"


def test_where_it_is_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_root("x") == Path("/var/lib/the0/x")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/someone")
    assert default_root("x") == Path("/home/someone/.the0/x")
    settings = load_settings(CORE_SECTIONS, [], {"THE0_STATE_DIR": "~/here"})
    assert settings.state_dir.root == Path("/home/someone/here")
    assert isinstance(settings.section(MongoSettings), MongoSettings)
