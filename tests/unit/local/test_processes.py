from __future__ import annotations

from pathlib import Path

from the0.config import bootstrap
from the0.local.config import load_or_create, with_own_api
from the0.local.paths import LocalPaths
from the0.local.processes import HOST, process_spec
from the0.settings import ApiSettings


def test_the_host_listens_where_the_last_start_said_not_the_first(tmp_path: Path) -> None:
    paths = LocalPaths(tmp_path)
    paths.make()
    made = load_or_create(paths.config, "demo")
    config = with_own_api(paths.config, made, ApiSettings(port=9500, token="new"))
    of_first_start = {"THE0_API__PORT": "9400", "THE0_API__TOKEN": "old"}
    settings, _ = bootstrap([], {**of_first_start, **process_spec(HOST, paths, config).env})
    assert (settings.api.port, settings.api.token) == (9500, "new")
