"""The HTTP surface, fuzzed by the OpenAPI document that it serves: nothing brings out an error of
ours, and each answer is what the document says of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.query_host import QueryHost, query_host
from tests.support.runner import Services
from tests.support.soak import scaled

ANSWERS = """
from the0 import query

@query.handler("/x")
def x(request):
    return request.params

query.run()
"""
CONFIG = """
[[operations]]
include-operation-id = ["query_bot", "query_bot_by_url"]
parameters = { "path.id" = "asked", "path.path" = "x" }
"""
QUERIES = ("query", "query_bot", "query_bot_by_url")
LEFT_OUT = ("doctor", "deploy_custom_bot", "bot_logs")
"""One is slow and takes nothing, one takes no JSON, and one has answers without an end."""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
EXAMPLES = scaled(3, 300)
"""Random requests for each operation, beside those that the document's own bounds ask for."""
SECONDS = scaled(120, 3600)


@pytest.fixture(scope="module")
def host(services: Services, runtime_image: str) -> Iterator[QueryHost]:
    with query_host(services, runtime_image) as found:
        found.bot("asked", ANSWERS)
        yield found


def _operations(flag: str, names: Sequence[str]) -> Sequence[str]:
    return [f"--{flag}-operation-id={name}" for name in names]


# Queries by themselves: the other operations find the bot in its list, and stop or delete it.
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize(
    "operations",
    [_operations("include", QUERIES), _operations("exclude", [*QUERIES, *LEFT_OUT])],
    ids=["queries", "the rest"],
)
def test_the_surface_is_what_its_document_says(
    host: QueryHost, tmp_path: Path, operations: Sequence[str]
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [
        Path(sys.executable).with_name("schemathesis"),
        f"--config-file={config}",
        "run",
        f"{host.http.base_url}/openapi.json",
        f"--header=Authorization: {host.token['Authorization']}",
        f"--checks={','.join(CHECKS)}",
        f"--max-examples={EXAMPLES}",
        "--phases=coverage,fuzzing",
        *operations,
        "--generation-database=none",
        "--request-timeout=60",
        "--suppress-health-check=all",
        "--continue-on-failure",
        "--no-color",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "request failed" not in host.site.log()
    assert host.http.get("/health").json() == {"status": "ok"}
