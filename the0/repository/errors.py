"""Errors of pymongo and bson, told in the platform's own."""

from __future__ import annotations

from bson.errors import BSONError
from pymongo.errors import (
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from the0.errors import Conflict, InvalidDocument, The0Error, Unavailable

TRANSLATED = (PyMongoError, BSONError, OverflowError)
_CREDENTIALS = {8000, 18, 13}  # AtlasError, AuthenticationFailed, Unauthorized


def translate(error: Exception, timeout_sec: float) -> The0Error:
    """The error to raise for one of :data:`TRANSLATED`; its text holds nothing of a document."""
    if isinstance(error, DuplicateKeyError):
        return Conflict("MongoDB holds a document of this id already.")
    if isinstance(error, DocumentTooLarge):
        return InvalidDocument("The document is larger than MongoDB takes (16 MiB).")
    if isinstance(error, BSONError | OverflowError):
        return InvalidDocument(f"The document is no valid BSON ({type(error).__name__}).")
    if isinstance(error, OperationFailure) and error.code in _CREDENTIALS:
        return Unavailable("MongoDB refuses the credentials of the setting mongo.uri (MONGO_URI).")
    no_answer = ConnectionFailure | ExecutionTimeout | WTimeoutError
    if isinstance(error, no_answer) or getattr(error, "timeout", False):
        return Unavailable(f"MongoDB did not answer within {timeout_sec:g} s.")
    return Unavailable(f"MongoDB refused the call: {_reason(error)}.")


def _reason(error: Exception) -> str:
    details = getattr(error, "details", None) or {}
    name = details.get("codeName") if isinstance(details, dict) else None
    return str(name or type(error).__name__)
