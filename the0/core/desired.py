"""Which bots are wanted, as the reads of MongoDB tell. Pure.

A document is parsed only when its bytes changed. A bot whose document is gone is missing at once,
unless the read shrank by more than half: then it must be seen twice before anything is concluded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from the0.core.plan import Absence, Invalid, Wanted
from the0.documents import document_id, is_enabled
from the0.errors import InvalidDocument
from the0.models import Bot
from the0.repository import RawDocument

Document = Mapping[str, Any]


@dataclass(frozen=True)
class ReadReport:
    """What a read of all documents brought: the ids that changed or went, how many documents
    have no usable id (`nameless`), and how many bots are missing from a read that shrank so much
    that it must be seen twice (`doubted`)."""

    changed: Collection[str]
    nameless: int
    doubted: int


class Desired:
    """The bots that are wanted, by id. `parse` raises InvalidDocument."""

    def __init__(self, parse: Callable[[Document], Bot]) -> None:
        self._parse = parse
        self._digests: dict[str, bytes] = {}
        self._wanted: dict[str, Bot | Invalid] = {}
        self._suspects: frozenset[str] = frozenset()
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
        if not self.known or bot_id in self._suspects:
            return Absence.UNKNOWN
        return Absence.MISSING

    def begin_read(self) -> None:
        """Call before the documents are read: what :meth:`put` and :meth:`remove` take in from
        here on is newer than the read."""
        self._touched.clear()

    def read(self, documents: Iterable[RawDocument], expected: Collection[str]) -> ReadReport:
        """Take in a complete read. `expected` are the ids that have containers: with those known
        before, they tell by how much the read shrank."""
        present, changed, nameless = self._take_in(documents)
        before = self._wanted.keys() | set(expected)
        missing = before - present - self._touched
        doubted = missing - self._suspects if 2 * len(missing) > len(before) else set()
        gone = {bot_id for bot_id in missing - doubted if self._drop(bot_id)}
        self._suspects = frozenset(doubted)
        self.known = True
        return ReadReport(changed | gone, nameless, len(doubted))

    def put(self, bot_id: str, document: Document) -> None:
        """Take in one document as it is now."""
        self._touched.add(bot_id)
        self._suspects -= {bot_id}
        self._digests.pop(bot_id, None)
        self._wanted[bot_id] = self._understand(bot_id, document)

    def remove(self, bot_id: str) -> None:
        """One document is certainly gone."""
        self._touched.add(bot_id)
        self._suspects -= {bot_id}
        self._drop(bot_id)

    def _drop(self, bot_id: str) -> bool:
        self._digests.pop(bot_id, None)
        return self._wanted.pop(bot_id, None) is not None

    def _take_in(self, documents: Iterable[RawDocument]) -> tuple[set[str], set[str], int]:
        """Ids that are there, ids of them whose document is new, and documents without one."""
        ids = {digest: bot_id for bot_id, digest in self._digests.items()}
        present, changed, nameless = set(), set(), 0
        for document in documents:
            digest = hashlib.blake2b(document.raw, digest_size=16).digest()
            bot_id = ids.get(digest)
            if bot_id is None:
                bot_id = self._take_in_one(document, digest)
                if bot_id is None:
                    nameless += 1
                    continue
                changed.add(bot_id)
            present.add(bot_id)
        return present, changed, nameless

    def _take_in_one(self, document: RawDocument, digest: bytes) -> str | None:
        try:
            decoded = document.decode()
        except InvalidDocument:
            return None
        bot_id = document_id(decoded)
        if bot_id is not None and bot_id not in self._touched:
            self._wanted[bot_id] = self._understand(bot_id, decoded)
            self._digests[bot_id] = digest
        return bot_id

    def _understand(self, bot_id: str, document: Document) -> Bot | Invalid:
        try:
            return self._parse(document)
        except InvalidDocument as error:
            return Invalid(bot_id, error.message, is_enabled(document))
