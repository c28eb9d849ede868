"""Docker's errors in the platform's words; no other module looks at them.

The engine's 404 is believed only when it names the missing thing: a proxy in front of the
engine, or a container whose network went away, answers 404 as well, and NotFound is a certainty
on which callers act.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
import urllib3
from docker.errors import APIError, DockerException

from the0.errors import Conflict, InvalidInput, NotFound, ServerFault, The0Error, Unavailable

NO_CONTAINER = "no such container"
NO_IMAGE = "no such image"
NO_NETWORK = "network"
NO_VOLUME = "no such volume"

_NO_ANSWER = (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)


@contextmanager
def translated(doing: str, missing: str = NO_CONTAINER) -> Iterator[None]:
    """Raise Docker's errors within the block as the platform's.

    `doing` completes "Docker could not …"; `missing` is the (lower-case) text by which a 404 is
    taken for the certain answer that the thing does not exist.
    """
    try:
        yield
    except APIError as error:
        raise _from_answer(error, doing, missing) from error
    except _NO_ANSWER as error:
        raise _from_silence(error, doing) from error


def _from_answer(error: APIError, doing: str, missing: str) -> The0Error:
    said = str(error.explanation or error)
    message = f"Docker could not {doing}: {said}"
    match error.status_code:
        case 404 if missing in said.lower():
            return NotFound(message)
        case 400:
            return InvalidInput(message)
        case 403 | 409:  # 403 is Docker's answer for a network in use
            return Conflict(message)
    return ServerFault(message)


def _from_silence(error: Exception, doing: str) -> Unavailable:
    if isinstance(error, requests.Timeout) or isinstance(error.__cause__, requests.Timeout):
        return Unavailable(f"Docker did not answer in time when it was to {doing}.")
    return Unavailable(
        f"Docker does not answer, so it could not {doing}: {_reason(error)}. "
        "Is the engine running (`docker info`), and may this user use it?"
    )


def _reason(error: BaseException) -> str:
    """The operating system's own word where there is one: the libraries in between wrap it in
    words of theirs that name objects of Python."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            return link.strerror
        link = link.__cause__ or link.__context__
    return str(error)[:300]
