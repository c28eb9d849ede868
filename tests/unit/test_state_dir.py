from __future__ import annotations

from pathlib import Path

import pytest

from the0.errors import InvalidSettings
from the0.state_dir import StateDir


def test_it_is_closed_to_others_but_for_what_containers_see(tmp_path: Path) -> None:
    made = StateDir(tmp_path / "state")
    made.make()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (made.root, *made.root.iterdir())}
    assert modes.pop("gateway") == 0o755
    assert set(modes.values()) == {0o700}


def test_one_that_cannot_be_made_is_named_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSettings, match=r"file/state cannot be made .*Set state_dir"):
        StateDir(tmp_path / "file" / "state").make()
