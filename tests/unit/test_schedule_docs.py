"""What the guide says of schedules is what the platform takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from the0.builtin.cron import CronScheduler
from the0.cli.run_show import EXIT_CODES
from the0.errors import InvalidInput
from the0.models import Outcome
from the0.plugin import PluginArgs
from the0.project.instance import PLATFORM_FIELDS
from the0.settings import SchedulerSettings, section_fields

GUIDE = (Path(__file__).parents[2] / "docs" / "bots.md").read_text()
SECTION = GUIDE[GUIDE.index("## Schedules") : GUIDE.index("## Trying it without the platform")]
CRON = CronScheduler(PluginArgs("test", "", Path("/nowhere")))
CODE = re.compile(r"`([^`]+)`")


def rows(head: str) -> Iterator[list[str]]:
    """The rows of the table whose head begins with `head`."""
    table = SECTION[SECTION.index(f"| {head} |") :].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


FORMS = [form for row in rows("form") for form in CODE.findall(row[0])]


def is_understood(form: str) -> bool:
    fields = [" ".join([*["*"] * n, form, *["*"] * (4 - n)]) for n in range(5)]
    for expression in (form, *fields):
        try:
            CRON.validate(expression, "UTC")
        except InvalidInput:
            continue
        return True
    return False


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_the_guide_is_understood(form: str) -> None:
    assert is_understood(form)


def test_the_guide_names_the_fields_with_the_defaults_of_the_site() -> None:
    declared = section_fields(SchedulerSettings)
    for field, default, _ in rows("field of the instance"):
        name = field.strip("`")
        assert name in PLATFORM_FIELDS
        assert name in declared
        actual = getattr(SchedulerSettings(), name)
        shown = "a day" if actual == 86400 else str(actual).removesuffix(".0")
        assert default.strip("`") == shown


def test_the_guide_names_every_outcome() -> None:
    named = {word for row in rows("outcome") for word in CODE.findall(row[0])}
    assert named == set(Outcome) == set(EXIT_CODES)


def test_the_instance_of_the_guide_has_a_schedule() -> None:
    block = SECTION[SECTION.index("{") : SECTION.index("```\n", SECTION.index("{"))]
    instance = json.loads(block)
    CRON.validate(instance["schedule"], instance["timezone"])
