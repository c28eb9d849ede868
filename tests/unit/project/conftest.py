"""Schemas are tried in this process here; test_schema_process.py tries those of its own."""

from collections.abc import Iterator

import pytest

from the0.models import JSON
from the0.project import schema, schema_process


def _ask(tried: JSON, *values: JSON) -> list[str]:
    return schema.value_faults(tried, values[0]) if values else schema.schema_faults(tried)


@pytest.fixture(scope="module")
def schemas_here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema_process, "_ask", _ask)
        yield
