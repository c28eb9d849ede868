from __future__ import annotations

from pathlib import Path

import pytest

from the0.errors import InvalidInput
from the0.local.paths import LocalPaths


def test_a_folder_that_cannot_be_made_is_named_with_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"file/local cannot be made .*Set THE0_LOCAL_DIR"):
        LocalPaths(tmp_path / "file" / "local").make()
