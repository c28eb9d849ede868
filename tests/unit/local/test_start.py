"""What `the0 local start` refuses before it writes anything down."""

from __future__ import annotations

from pathlib import Path

import pytest

from the0.cli.output import Steps
from the0.errors import PluginError
from the0.local.paths import LocalPaths
from the0.local.start import start
from the0.local.stop import stop


@pytest.mark.parametrize("kind", ["executor", "storage"])
def test_a_plugin_that_nobody_has_is_refused_and_a_stop_does_not_miss_it(
    kind: str, tmp_path: Path
) -> None:
    environ = {"THE0_LOCAL_DIR": str(tmp_path), f"THE0_{kind.upper()}__PLUGIN": "typo"}
    with pytest.raises(PluginError, match=f"the {kind} 'typo'"):
        start(Steps(), environ)
    paths = LocalPaths.of(environ)
    assert not paths.config.exists()
    assert not paths.settings.exists()
    assert stop(Steps(), environ).bots == 0
