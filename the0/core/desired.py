"""Which bots are wanted, as the reads of MongoDB tell. Pure.

A document is parsed only when its bytes changed. A bot whose document is gone is missing at once,
unless the read shrank by more than half: then a second read, made no sooner than
:data:`DOUBT_SEC` later, must say the same before anything is concluded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from the0.core.plan import Absence, Invalid, Wanted
from the0.documents import document_id, is_enabled
from the0.errors import InvalidDocument
from the0.models import Bot
from the0.repository import RawDocument

Document = Mapping[str, Any]

DOUBT_SEC = 10.0
"""Between the two reads that must agree. Several reads may follow each other within milliseconds,
at a start above all, and those tell no more than one."""


@dataclass(frozen=True)
class ReadReport:
    """What a read of all documents brought: the ids that changed or went, how many documents
    have no usable id (`nameless`), how many bots are missing from a read that shrank so much that
    it must be seen twice (`doubted`), and ids that more than one document has (`shared`)."""

    changed: Collection[str]
    nameless: int
    doubted: int
    shared: Collection[str] = ()


class Desired:
    """The bots that are wanted, by id. `parse` raises InvalidDocument."""

    def __init__(self, parse: Callable[[Document], Bot]) -> None:
        self._parse = parse
        self._digests: dict[str, bytes] = {}
        self._wanted: dict[str, Bot | Invalid] = {}
        self._doubts: dict[str, float] = {}
        self._gone: set[str] = set()
        self._touched: set[str] = set()
        self.known = False

    def __len__(self) -> int:
        return len(self._wanted)

    def ids(self) -> Collection[str]:
        return self._wanted.keys()

    def get(self, bot_id: str) -> Wanted:
        """UNKNOWN before the first read, and while a missing document is doubted."""
        found = self._wanted.get(bot_id)
        if found is not None:
            return found
        if not self.known or bot_id in self._doubts:
            return Absence.UNKNOWN
        return Absence.MISSING

    def begin_read(self) -> None:
        """Call before the documents are read: what :meth:`put` and :meth:`remove` take in from
        here on is newer than the read."""
        self._touched.clear()

    def read(
        self, documents: Collection[RawDocument], expected: Collection[str], now: float
    ) -> ReadReport:
        """Take in a complete read, begun at `now` (seconds of any clock that only goes forward).
        `expected` are the ids that have containers: with those known before, they tell by how
        much the read shrank."""
        present, changed, nameless, shared = self._take_in(documents)
        before = (self._wanted.keys() | set(expected)) - self._gone
        missing = before - present - self._touched
        shrank = 2 * len(missing) > len(before)
        since = {bot_id: self._doubts.get(bot_id, now) for bot_id in missing if shrank}
        self._doubts = {one: first for one, first in since.items() if now - first < DOUBT_SEC}
        believed = missing - self._doubts.keys()
        gone = {bot_id for bot_id in believed if self._drop(bot_id)}
        # What is known to be gone may have a container for a while: that is no other shrinking.
        self._gone = ((self._gone | believed) & set(expected)) - present
        self.known = True
        return ReadReport(changed | gone, nameless, len(self._doubts), shared)

    def put(self, bot_id: str, document: Document) -> None:
        """Take in one document as it is now."""
        self._touched.add(bot_id)
        self._doubts.pop(bot_id, None)
        self._gone.discard(bot_id)
        self._digests.pop(bot_id, None)
        self._wanted[bot_id] = self._understand(bot_id, document)

    def remove(self, bot_id: str) -> None:
        """One document is certainly gone."""
        self._touched.add(bot_id)
        self._doubts.pop(bot_id, None)
        self._gone.add(bot_id)
        self._drop(bot_id)

    def _drop(self, bot_id: str) -> bool:
        self._digests.pop(bot_id, None)
        return self._wanted.pop(bot_id, None) is not None

    def _take_in(
        self, documents: Collection[RawDocument]
    ) -> tuple[set[str], set[str], int, set[str]]:
        """Ids that are there, ids of them whose document is new, how many documents have none, and
        ids that several have: of those the one that was known before counts, else the first."""
        digests = [hashlib.blake2b(one.raw, digest_size=16).digest() for one in documents]
        there = set(digests)
        ids = {digest: one for one, digest in self._digests.items() if digest in there}
        present = set(ids.values())
        changed: set[str] = set()
        shared: set[str] = set()
        nameless = 0
        for document, digest in zip(documents, digests, strict=True):
            if digest in ids:
                continue
            bot_id, decoded = _decoded(document)
            if bot_id is None:
                nameless += 1
            elif bot_id in present:
                shared.add(bot_id)
            else:
                self._take_in_one(bot_id, decoded, digest)
                present.add(bot_id)
                changed.add(bot_id)
        return present, changed, nameless, shared

    def _take_in_one(self, bot_id: str, document: Document, digest: bytes) -> None:
        if bot_id not in self._touched:
            self._wanted[bot_id] = self._understand(bot_id, document)
            self._digests[bot_id] = digest

    def _understand(self, bot_id: str, document: Document) -> Bot | Invalid:
        try:
            return self._parse(document)
        except InvalidDocument as error:
            return Invalid(bot_id, error.message, is_enabled(document))


def _decoded(document: RawDocument) -> tuple[str | None, Document]:
    """The document and its id, None where it has no usable one."""
    try:
        decoded = document.decode()
    except InvalidDocument:
        return None, {}
    return document_id(decoded), decoded
