"""The gateway's own words for what went wrong, as docs/gateway.md lists them."""

from __future__ import annotations

from the0.errors import Conflict, Forbidden, InvalidInput, NotFound


class UnknownLaunch(Forbidden):
    """No such launch, or not its token; which of them is not said."""

    code = "unknown_launch"


class Superseded(Conflict):
    """A newer launch of the bot writes its state now."""

    code = "superseded"


class ReadOnly(Conflict):
    """A launch that was made without the right to store state."""

    code = "read_only"


class NoJob(Conflict):
    """The launch waits for its job: it has no bot to ask for yet."""

    code = "no_job"


class NoCode(NotFound):
    """The store is certain that there is no such archive."""

    code = "no_code"


class ChecksumMismatch(InvalidInput):
    """A body that is not what its headers say."""

    http_status = 422
    code = "checksum"
