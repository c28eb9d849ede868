"""The error tree: every error that a person is meant to read.

::

    The0Error                    exit code 1, HTTP 500
    ├── InvalidInput             2, 400   what was given is wrong; never retried
    │   ├── InvalidSettings      2, 400   settings, all faults at once
    │   ├── InvalidDocument      2, 422   a bot document that cannot be understood
    │   └── InvalidArchive       2, 422   a code or state archive out of bounds
    ├── NotFound                 3, 404   certain: it does not exist
    ├── Conflict                 4, 409   it exists already, or changed meanwhile
    ├── Forbidden                5, 401   no token, or not this one's business
    ├── PluginError              6, 500   a plugin is missing, broken, or blocked
    ├── Unavailable              7, 503   a dependency does not answer: unknown, ask again
    │   ├── ServerFault          7, 503   it answered that it failed: what it did is unknown
    │   └── DeadlineExceeded     8, 504   the caller's time is over
    └── TooManyRequests          9, 429   ask again after `retry_after` seconds

The message is one or two sentences that name the thing and the fix; whoever catches a
:class:`The0Error` at the edge (command line, HTTP, log) shows it without a traceback.
Errors of Docker, storage, MongoDB and NATS are translated into this tree in one module each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class The0Error(Exception):
    """Base of all errors whose text is meant for a person.

    `exit_code` is what a command ends with, `http_status` what the APIs answer, `code` the
    snake_case word in their JSON error body, `retryable` whether the same call may succeed later.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        return str(self)


class InvalidInput(The0Error):
    """What was given is wrong. `faults` lists each one, when there are several."""

    exit_code = 2
    http_status = 400
    code = "invalid"

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)

    @property
    def message(self) -> str:
        return "\n".join([str(self), *(f"  - {fault}" for fault in self.faults)])


class InvalidSettings(InvalidInput):
    """Settings that were refused; one fault a setting."""

    code = "invalid_settings"


class InvalidDocument(InvalidInput):
    """A document in MongoDB or an event that cannot be understood."""

    http_status = 422
    code = "invalid_document"


class InvalidArchive(InvalidInput):
    """An archive that is broken or out of bounds."""

    http_status = 422
    code = "invalid_archive"


class NotFound(The0Error):
    """It certainly does not exist. Never raised for a question that got no answer."""

    exit_code = 3
    http_status = 404
    code = "not_found"


class Conflict(The0Error):
    """It exists already, or it is not what the caller thought it was."""

    exit_code = 4
    http_status = 409
    code = "conflict"


class Forbidden(The0Error):
    """No token, a wrong one, or one that does not cover this."""

    exit_code = 5
    http_status = 401
    code = "forbidden"


class PluginError(The0Error):
    """A plugin is missing, broken, blocked, or chosen by a name that nobody registered."""

    exit_code = 6
    code = "plugin"


class Unavailable(The0Error):
    """A dependency gave no answer: the truth is unknown, so nothing may be concluded from it."""

    exit_code = 7
    http_status = 503
    code = "unavailable"
    retryable = True


class ServerFault(Unavailable):
    """A dependency answered that it failed. What it did is as unknown as after no answer, but the
    same question will likely be answered in the same way."""


class DeadlineExceeded(Unavailable):
    """The caller's deadline passed before an answer came."""

    exit_code = 8
    http_status = 504
    code = "deadline_exceeded"


class TooManyRequests(The0Error):
    """A limit on rate or concurrency. `retry_after` is in seconds."""

    exit_code = 9
    http_status = 429
    code = "too_many_requests"
    retryable = True

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
