"""The control API as the commands use it; its errors come back as the errors they were."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from the0.cli.url import parsed_url, shown_url
from the0.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidInput,
    NotFound,
    The0Error,
    TooManyRequests,
    Unavailable,
)
from the0.text import bearer_token, printable

API = "/api/v1"
TIMEOUT = httpx.Timeout(60.0, connect=5.0)
UPLOAD_TIMEOUT = httpx.Timeout(300.0, connect=5.0)
FOLLOW_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
LATE_SEC = 10.0
CHUNK = 256 * 1024


class ApiClient:
    """One control API. Used as a context manager."""

    def __init__(self, url: str, token: str) -> None:
        self.shown = shown_url(url)
        base = parsed_url(url)
        self._http = httpx.Client(
            base_url=base,
            headers={"Authorization": f"Bearer {_checked(token)}"},
            timeout=TIMEOUT,
            trust_env=False,
            # Certificates are loaded only where they are needed: it takes a while.
            verify=base.scheme != "http",
        )

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer to GET below `/api/v1`; query values of None are left out."""
        return self._json("GET", path, params=_given(query))

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self._json("POST", path, json=body, params=_given(query))

    def ask(self, path: str, body: Any, answer_sec: float) -> Any:
        """POST what may take the host as long as `answer_sec`."""
        timeout = httpx.Timeout(answer_sec + LATE_SEC, connect=5.0)
        return self._json("POST", path, json=body, timeout=timeout)

    def put(self, path: str, body: Any) -> Any:
        return self._json("PUT", path, json=body)

    def delete(self, path: str, **query: Any) -> Any:
        return self._json("DELETE", path, params=_given(query))

    def upload(self, path: str, archive: Path) -> Any:
        """POST a zip, in pieces."""
        with archive.open("rb") as body:
            return self._json(
                "POST",
                path,
                content=iter(lambda: body.read(CHUNK), b""),
                headers={
                    "Content-Type": "application/zip",
                    "Content-Length": str(archive.stat().st_size),
                },
                timeout=UPLOAD_TIMEOUT,
            )

    def lines(self, path: str, **query: Any) -> Iterator[str]:
        """The lines of an NDJSON answer as they come; the empty ones of silence left out."""
        with (
            self._translated(),
            self._http.stream(
                "GET", API + path, params=_given(query), timeout=FOLLOW_TIMEOUT
            ) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise error_of(answer)
            yield from (line for line in _lines(answer.iter_bytes()) if line)

    def _json(self, method: str, path: str, **options: Any) -> Any:
        with self._translated():
            answer = self._http.request(method, API + path, **options)
        if answer.is_error:
            raise error_of(answer)
        try:
            found = answer.json()
        except ValueError as error:
            raise self._stranger() from error
        if not isinstance(found, dict):
            raise self._stranger()
        return _Found(found, self._stranger)

    def _stranger(self) -> Unavailable:
        return Unavailable(
            f"{self.shown} answers, but it is no control API of the0. Name another with --url "
            "(THE0_API_URL)."
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            # Not the whole of it: a configuration may hold secrets.
            wrong = printable(error.object[error.start : error.end])
            raise InvalidInput(f"What was given holds {wrong}, which is no text.") from None
        except httpx.TimeoutException as error:
            raise DeadlineExceeded(f"The control API at {self.shown} did not answer.") from error
        except httpx.ConnectError as error:
            raise Unavailable(
                f"The control API at {self.shown} cannot be reached ({error}). Start it with "
                "`the0 local start`, or name another with --url (THE0_API_URL)."
            ) from error
        except httpx.DecodingError as error:
            raise self._stranger() from error
        except httpx.TransportError as error:
            raise Unavailable(f"The control API at {self.shown} broke off: {error}") from error


class _Found(dict[str, Any]):
    """An answer. What it lacks, every control API would have given."""

    def __init__(self, values: Mapping[str, Any], stranger: Callable[[], Unavailable]) -> None:
        super().__init__(values)
        self._stranger = stranger

    def __missing__(self, key: str) -> Any:
        raise self._stranger()


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines as NDJSON has them: str.splitlines would also cut at what JSON may hold raw."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    yield rest.decode(errors="replace")


def _checked(token: str) -> str:
    try:
        return bearer_token(token)
    except ValueError as error:
        raise InvalidInput(
            f"The token of the control API has to be {error}; give it with --token "
            "(THE0_API_TOKEN)."
        ) from None


def segment(text: str) -> str:
    """Any text as one segment of a path."""
    # What the shell gave is no UTF-8 perhaps; the API says so.
    quoted = quote(text, safe="", errors="surrogateescape")
    # A segment of dots would be taken as a step up by whatever handles the address.
    return quoted if text.strip(".") else quoted.replace(".", "%2E")


def error_of(answer: httpx.Response) -> The0Error:
    """The error that an answer carries, of its own class."""
    try:
        body = answer.json()["error"]
        code, message = body["code"], str(body["message"])
        faults = [str(fault) for fault in body.get("faults", ())]
    except (ValueError, KeyError, TypeError):
        return Unavailable(
            f"What was asked answered {answer.status_code}, and not as a control API of the0 does. "
            "Name another with --url (THE0_API_URL)."
        )
    match answer.status_code:
        case 400 | 413 | 422:
            return InvalidInput(message, faults)
        case 401:
            return Forbidden(f"{message} Give it with --token (THE0_API_TOKEN).")
        case 404:
            return NotFound(message)
        case 429:
            return TooManyRequests(message)
        case _:
            return _by_code(code)(message)


def _by_code(code: str) -> type[The0Error]:
    classes = [The0Error]
    for cls in classes:
        classes += cls.__subclasses__()
    return next((cls for cls in classes if cls.code == code), The0Error)


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
