"""A scheduler of the test's own, with bots that end as they are told."""

from __future__ import annotations

import pytest

from tests.support.runner import Installation
from tests.support.schedules import Schedules


@pytest.fixture
def schedules(site: Installation) -> Schedules:
    site.settings |= {"THE0_SCHEDULER__REREAD_INTERVAL_SEC": "1", "THE0_SCHEDULER__LEASE_SEC": "3"}
    return Schedules(site)
