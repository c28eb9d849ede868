"""The systemd units fit the host that they run."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

from the0_host.main import BOTS_END_SEC, ROLES

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNITS = {name: FOLDER / name for name in ("the0-host.service", "the0-host@.service")}


def parsed(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign] # systemd tells case apart
    unit.read_string(path.read_text())
    return unit


def test_both_units_run_the_host_in_the_same_way() -> None:
    one, each = (dict(parsed(path)["Service"]) for path in UNITS.values())
    assert one.pop("ExecStart") == "/opt/the0/.venv/bin/the0-host --role all"
    assert each.pop("ExecStart") == "/opt/the0/.venv/bin/the0-host --role %i"
    assert one == each


def test_the_host_is_given_the_time_to_stop_its_bots() -> None:
    for path in UNITS.values():
        assert int(parsed(path)["Service"]["TimeoutStopSec"]) >= BOTS_END_SEC + 60


def test_the_roles_that_the_unit_names_are_the_hosts() -> None:
    first = UNITS["the0-host@.service"].read_text().splitlines()[0]
    named = re.search(r"\((.*)\)", first)
    assert named
    assert set(re.findall(r"\w+", named[1])) - {"or"} == set(ROLES) - {"all"}
