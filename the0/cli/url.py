"""The address of a control API, as a person gives it."""

from __future__ import annotations

import re

import httpx

from the0.errors import InvalidInput
from the0.text import printable


def parsed_url(url: str) -> httpx.URL:
    """`url`, if it leads to a host by HTTP or HTTPS. Raises InvalidInput."""
    try:
        found = httpx.URL(url.rstrip("/"))
        found.host.encode("idna")  # else it fails only once its address is looked up
        usable = found.scheme in ("http", "https") and found.host != ""
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        # httpx's own words would hold parts of the address, perhaps of a password.
        raise InvalidInput(
            f"'{shown_url(url)}' is no address of a control API. One looks like "
            "http://127.0.0.1:9477; give it with --url (THE0_API_URL)."
        ) from None
    return found


def shown_url(url: str) -> str:
    """`url` on one line, without what stands before an @: it may be a password."""
    return printable(re.sub(r"(?s)^(\w+://)?.*@", r"\1***@", url))
