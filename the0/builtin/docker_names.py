"""Names and labels of everything that the executor makes in the engine.

A bot id is any string that MongoDB may hold, so a name carries a readable remnant of it for
people, and a hash of (instance, id) that keeps two ids, and two instances, apart. Names depend on
nothing else: the engine itself then refuses a second container of one bot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import count

MANAGED = "runtime.managed"
BOT_ID = "runtime.id"
BOT_TYPE = "runtime.type"
INSTALLATION = "the0.installation"
INSTANCE = "the0.instance"
LAUNCH = "the0.launch"
RUN = "the0.run"
PURPOSE = "the0.purpose"
SPEC = "the0.spec"
PLATFORM = "the0.platform"
VOLUME = "the0.volume"
DIGEST = "the0.digest"
AGENT = "the0.agent"

CHAIN_PREFIX = "THE0-"
"""What the firewall chains of all instances begin with."""

VOLUME_KINDS: Sequence[str] = ("state", "logs")

_READABLE = 40
_HASH = 32  # hex digits: 128 bits, so a collision cannot be found by choosing ids


def container_name(instance: str, bot_id: str) -> str:
    """The name of a bot's only container."""
    return f"the0-{_readable(instance)}-{_readable(bot_id)}-{_key(instance, bot_id)}"


def query_name(instance: str, launch: str) -> str:
    """The name of a container that answers one query; no bot's container has one like it."""
    return f"the0-{_readable(instance)}-query-{launch}"


def volume_name(instance: str, bot_id: str, kind: str) -> str:
    """The name of a bot's volume; `kind` is one of :data:`VOLUME_KINDS`."""
    return f"{container_name(instance, bot_id)}-{kind}"


def network_name(instance: str, number: int) -> str:
    """The name of an instance's network, counted from 0."""
    return f"the0-{instance}-{number}"


def bridge_name(instance: str, number: int) -> str:
    """The network's interface on the host; the kernel allows 15 characters."""
    return f"{bridge_prefix(instance)}{number}"


def bridge_prefix(instance: str) -> str:
    """What the bridges of an instance begin with, and no other interface."""
    return f"t0-{_key(instance)[:7]}-"


def chain_name(instance: str, direction: str) -> str:
    """An instance's firewall chain; iptables allows 28 characters."""
    return f"{CHAIN_PREFIX}{direction}-{_key(instance)[:12]}"


def free_number(taken: set[int]) -> int:
    """The lowest network number that is not taken."""
    return next(number for number in count() if number not in taken)


def _readable(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text[: 4 * _READABLE])[:_READABLE].strip("-") or "x"


def _key(*parts: str) -> str:
    # The length before each part keeps ("a", "bc") and ("ab", "c") apart.
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    framed = b"".join(b"%d:%b" % (len(part), part) for part in encoded)
    return hashlib.sha256(framed).hexdigest()[:_HASH]
