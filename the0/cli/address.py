"""Where the control API is: options, environment, the local set-up, or the settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import click

from the0.cli.client import ApiClient
from the0.cli.url import shown_url
from the0.errors import Forbidden

URL_VARIABLE = "THE0_API_URL"
TOKEN_VARIABLE = "THE0_API_TOKEN"  # noqa: S105 - the name of a variable

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Address:
    url: str
    token: str


def with_api(command: F) -> F:
    """Gives a command the options --url and --token and, as first argument, an ApiClient."""

    @click.option("--url", envvar=URL_VARIABLE, help="Address of the control API.")
    @click.option("--token", envvar=TOKEN_VARIABLE, help="Token of the control API.")
    @wraps(command)
    def wrapped(*args: Any, url: str | None, token: str | None, **options: Any) -> Any:
        address = find_address(url, token)
        with ApiClient(address.url, address.token) as api:
            return command(api, *args, **options)

    return cast(F, wrapped)


def find_address(
    url: str | None, token: str | None, environ: Mapping[str, str] = os.environ
) -> Address:
    """The first of: what was given; the `the0 local` of this user, where it runs; what the
    settings say; the local one that does not run. What was given only in part is completed.

    Raises Forbidden where there is no token, and what loading the settings raises.
    """
    if url and token:
        return Address(url, token)
    found = _discovered(environ)
    address = Address(url or found.url, token or found.token)
    if not address.token:
        raise Forbidden(
            f"There is no token for the control API at {shown_url(address.url)}. If nothing is set "
            f"up yet, run `the0 local start`; else give it with --token ({TOKEN_VARIABLE})."
        )
    return address


def _discovered(environ: Mapping[str, str]) -> Address:
    local = _local(environ)
    if local and _listens(local.url):
        return local
    from_settings = _from_settings(environ)
    if from_settings.token or local is None:
        return from_settings
    return local


def _local(environ: Mapping[str, str]) -> Address | None:
    from the0.local.client import find_client  # noqa: PLC0415 - only where it is needed

    found = find_client(environ)
    return Address(found.url, found.token) if found else None


def _from_settings(environ: Mapping[str, str]) -> Address:
    from the0.config import bootstrap  # noqa: PLC0415 - loads all plugins

    settings, _ = bootstrap(environ=environ)
    api = settings.api
    host = f"[{api.host}]" if ":" in api.host else api.host
    token = api.token or _file_text(settings.state_dir.token_file)
    return Address(f"http://{host}:{api.port}", token)


def _file_text(path: Any) -> str:
    try:
        return str(path.read_text()).strip()
    except (OSError, ValueError):
        return ""


def _listens(url: str) -> bool:
    try:
        where = urlsplit(url)
        with closing(socket.create_connection((where.hostname, where.port or 80), timeout=1)):
            return True
    except (OSError, ValueError):
        return False
