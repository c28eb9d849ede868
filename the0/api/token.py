"""The API's token: from the settings, or from a file that only its owner can read."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Collection
from pathlib import Path

from sanic import Request

from the0.errors import Forbidden, InvalidSettings
from the0.files import write_atomic
from the0.http import Authorize
from the0.settings import ApiSettings
from the0.text import bearer_token


def api_token(settings: ApiSettings, token_file: Path) -> str:
    """The token to ask for, made at the first start where none is set.

    Raises InvalidSettings for an address that others can reach without a token of the settings,
    and for a file that holds no token.
    """
    if settings.token:
        return settings.token
    if not is_loopback(settings.host):
        raise InvalidSettings(
            "The control API is not started.",
            [
                f"api.host is {settings.host!r}, which other machines may reach: "
                "set api.token (THE0_API__TOKEN), or use 127.0.0.1"
            ],
        )
    if not token_file.exists():
        write_atomic(token_file, secrets.token_hex(32).encode() + b"\n")
    token_file.chmod(0o600)
    return _read(token_file)


def _read(token_file: Path) -> str:
    try:
        return bearer_token(token_file.read_text())
    except ValueError:
        raise InvalidSettings(
            "The control API is not started.",
            [
                f"{token_file} holds no token, which is one line of printable ASCII characters: "
                "remove the file, and the next start makes one"
            ],
        ) from None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a socket bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bearer(token: str, public: Collection[str]) -> Authorize:
    """Refuses requests without `Authorization: Bearer <token>`, but for the paths in `public`.

    Those are for the programs of this machine: what a web page has a browser send to them needs
    the token, too.
    """
    expected = token.encode()

    async def authorize(request: Request) -> None:
        if request.path in public and not _by_web_page(request):
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        sent = given.strip().encode("utf-8", "surrogateescape")
        if scheme.lower() != "bearer" or not sent or not hmac.compare_digest(sent, expected):
            raise Forbidden(
                "This needs `Authorization: Bearer <token>`: the setting api.token, or what stands "
                "in the file api.token of the state directory."
            )

    return authorize


def _by_web_page(request: Request) -> bool:
    """Browsers name the page in every POST, also to a host that they take for the page's own."""
    return request.method == "POST" and "origin" in request.headers
