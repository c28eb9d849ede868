"""Errors of pymongo and bson, told in the platform's own."""

from __future__ import annotations

from bson.errors import BSONError
from pymongo.errors import (
    ConfigurationError,
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


def translate(error: Exception, where: str, timeout_sec: float) -> The0Error:
    """The error to raise for one of :data:`TRANSLATED`; `where` is the server's address, without
    credentials. The text holds nothing of a document."""
    if isinstance(error, DuplicateKeyError):
        return Conflict("MongoDB holds a document of this id already.")
    if isinstance(error, DocumentTooLarge):
        return InvalidDocument("The document is larger than MongoDB takes (16 MiB).")
    if isinstance(error, BSONError | OverflowError):
        return InvalidDocument(f"The document is no valid BSON ({type(error).__name__}).")
    return Unavailable(f"MongoDB at {where} (MONGO_URI) {_refusal(error, timeout_sec)}")


def _refusal(error: Exception, timeout_sec: float) -> str:
    no_answer = ConnectionFailure | ExecutionTimeout | WTimeoutError
    if isinstance(error, OperationFailure) and error.code in _CREDENTIALS:
        return "refuses the credentials."
    if isinstance(error, no_answer) or getattr(error, "timeout", False):
        return f"did not answer within {timeout_sec:g} s."
    if isinstance(error, ConfigurationError):
        return "cannot be asked: its host is not found, or an option is not right."
    return f"refused the call: {_reason(error)}."


def _reason(error: Exception) -> str:
    details = getattr(error, "details", None) or {}
    name = details.get("codeName") if isinstance(details, dict) else None
    return str(name or type(error).__name__)
