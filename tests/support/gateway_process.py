"""A gateway in a process of its own, which a test may kill: `gateway_process.py ROOT ENDPOINT KEY
SECRET [NAME=VALUE…]`, the last being settings."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.gateway import make_site


async def main(root: str, endpoint: str, access_key: str, secret_key: str, *more: str) -> None:
    settings = dict(one.split("=", 1) for one in more)
    site = make_site(Path(root), endpoint, (access_key, secret_key), **settings)
    async with site.gateway():
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
