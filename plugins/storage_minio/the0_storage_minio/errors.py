"""What minio-py and urllib3 raise, as errors of the platform. Nothing else here translates.

The one certain negative is the server's own XML answer `NoSuchKey` with status 404. A missing
bucket, a refusal, a time-out, an error page of some proxy: all mean that the truth is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from minio.error import InvalidResponseError, S3Error
from urllib3.exceptions import MaxRetryError

from the0.errors import InvalidInput, NotFound, The0Error, Unavailable

_SHOWN = 300
_WRONG_CREDENTIALS = ("InvalidAccessKeyId", "SignatureDoesNotMatch")
_REFUSED = (*_WRONG_CREDENTIALS, "AccessDenied")


class UnsureNotFound(NotFound):
    """A 404 without a body, as HEAD gets it: object or bucket, or somebody's error page."""


@contextmanager
def translated(endpoint: str, action: str, bucket: str, key: str = "") -> Iterator[None]:
    """Let only :mod:`the0.errors` out. `action` says in the message what was being done."""
    try:
        yield
    except The0Error:
        raise
    except S3Error as error:
        raise _from_answer(error, f"storage {endpoint}: {action}", bucket, key) from error
    except Exception as error:
        raise Unavailable(f"storage {endpoint}: {action} failed: {_shown(error)}") from error


def credentials_error(error: BaseException | None, endpoint: str) -> InvalidInput | None:
    """The error that says that the server does not know these keys, if `error` means that."""
    if not isinstance(error, S3Error) or error.code not in _WRONG_CREDENTIALS:
        return None
    return InvalidInput(
        f"storage {endpoint} does not accept the credentials ({error.code}): "
        "check MINIO_ACCESS_KEY and MINIO_SECRET_KEY"
    )


def _from_answer(error: S3Error, what: str, bucket: str, key: str) -> The0Error:
    status = error.response.status
    if error.code == "NoSuchKey" and status == 404 and key:
        certain = bool(error.response.data)
        return (NotFound if certain else UnsureNotFound)(f"no object {key!r} in bucket {bucket!r}")
    if error.code == "NoSuchBucket":
        return Unavailable(
            f"{what} failed: bucket {bucket!r} is missing on the server; "
            "restart the host to have it created, or check the settings of storage"
        )
    if error.code in _REFUSED:
        return Unavailable(
            f"{what} was refused ({error.code}): "
            "check MINIO_ACCESS_KEY, MINIO_SECRET_KEY and their rights"
        )
    return Unavailable(f"{what} failed with status {status}: {error.code}: {error.message}")


def _shown(error: Exception) -> str:
    if isinstance(error, InvalidResponseError):
        return f"the server answered with something that is not S3: {str(error)[:_SHOWN]}"
    if isinstance(error, MaxRetryError) and error.reason:
        error = error.reason
    # urllib3 begins with the Python object that failed.
    text = re.sub(r"^HTTPS?Connection(Pool)?\([^)]*\): ", "", str(error))
    return (text or type(error).__name__)[:_SHOWN]
