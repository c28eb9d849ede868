"""Who may ask: everybody on this machine, and elsewhere whoever has the token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.api import api_host
from the0.testing.servers import S3Server, Server

ASKED = {"bot_id": "nobody", "query_path": "/x"}


@pytest.mark.parametrize(("address", "status"), [("127.0.0.1", 404), ("0.0.0.0", 401)])
async def test_beyond_loopback_a_query_needs_the_token(
    tmp_path: Path, mongod: Server, object_store: S3Server, address: str, status: int
) -> None:
    environ = {"THE0_API__HOST": address}
    async with api_host(tmp_path, mongod, object_store, environ) as host:
        with_token = await host.http.post("/query", json=ASKED)
        assert (with_token.status_code, with_token.json()["status"]) == (404, "error")
        page = (await host.http.get("/openapi.json")).json()
        del host.http.headers["authorization"]
        without = await host.http.post("/query", json=ASKED)
        assert (without.status_code, without.json()["status"]) == (status, "error")
        public = page["paths"]["/query"]["post"].get("security") == []
        assert public == (status == 404)
        assert (await host.http.get("/health")).json() == {"status": "ok"}
