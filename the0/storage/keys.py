"""Names of objects and of files, made from bot ids that may be any text.

A plain id stands in a key as it is, as the services that read these objects expect. Any other
would be refused or changed on its way by some store or file system, so it is quoted as a whole
behind a leading `=`: every byte but letters, digits, `-` and `_` becomes `=XX`; where that is too
long, `=+` and its SHA-256. No plain id begins with `=`, so no two ids share a name.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

MAX_PLAIN_BYTES = 512
MAX_SEGMENT_BYTES = 255
MAX_QUOTED = 200

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_TRASH = "=trash"
_TRASH_TIME = "%Y%m%dT%H%M%S.%fZ"


def state_key(bot_id: str) -> str:
    return f"{object_name(bot_id)}/state.tar.gz"


def log_prefix(bot_id: str) -> str:
    """What all day objects of a bot begin with; others' objects may begin with it too."""
    return f"logs/{object_name(bot_id)}/"


def log_key(bot_id: str, day: str) -> str:
    """`day` is YYYYMMDD, in UTC."""
    return f"{log_prefix(bot_id)}{day}.log"


def day_of_log_key(bot_id: str, key: str) -> str | None:
    """The day whose log of this very bot `key` holds, None for any other object."""
    day = key.removeprefix(log_prefix(bot_id)).removesuffix(".log")
    return day if is_day(day) and log_key(bot_id, day) == key else None


def result_key(bot_id: str, unique: str) -> str:
    return f"{object_name(bot_id)}/{unique}/result.json"


def trash_key(bot_id: str, at: datetime) -> str:
    """Where state goes first when it is deleted; no bot's own key is like it."""
    return f"{_TRASH}/{_quoted(bot_id)}/{at.astimezone(UTC):{_TRASH_TIME}}/state.tar.gz"


def trash_prefix(bot_id: str | None = None) -> str:
    """What the trash of one bot, or of all, begins with."""
    return f"{_TRASH}/" if bot_id is None else f"{_TRASH}/{_quoted(bot_id)}/"


def trashed_at(key: str) -> datetime | None:
    """When the object at this trash key was deleted; None for a key of another kind."""
    parts = key.split("/")
    if len(parts) != 4 or parts[0] != _TRASH:
        return None
    try:
        return datetime.strptime(parts[2], _TRASH_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def object_name(bot_id: str) -> str:
    """The part of an object key that stands for the bot."""
    return bot_id if is_plain(bot_id) else _quoted(bot_id)


def file_name(bot_id: str) -> str:
    """A name for the bot in a folder on disk, where a slash is not allowed either."""
    return bot_id if _FILE_NAME.fullmatch(bot_id) else _quoted(bot_id)


def is_plain(bot_id: str) -> bool:
    """Whether stores of every kind take `bot_id` inside a key unchanged.

    A percent sign is not plain because some servers decode it once too often.
    """
    return (
        bot_id.isprintable()
        and not bot_id.startswith("=")
        and not set("\\%") & set(bot_id)
        and len(bot_id.encode()) <= MAX_PLAIN_BYTES
        and all(
            segment not in ("", ".", "..") and len(segment.encode()) <= MAX_SEGMENT_BYTES
            for segment in bot_id.split("/")
        )
    )


def is_day(text: str) -> bool:
    """Whether `text` is a date as YYYYMMDD."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return False
    try:
        datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _quoted(bot_id: str) -> str:
    raw = bot_id.encode("utf-8", "surrogatepass")
    quoted = "=" + "".join(chr(byte) if byte in _SAFE else f"={byte:02X}" for byte in raw)
    return quoted if len(quoted) <= MAX_QUOTED else f"=+{hashlib.sha256(raw).hexdigest()}"
