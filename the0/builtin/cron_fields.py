"""The language of cron expressions, in croniter's terms. Pure.

croniter is generous: to it `9-9` is every hour, `0 0 1 1 1#5` never fires, and a range, a step or
a `#` in the wrong place may mean something else than it says. So every expression is read here, by
one small grammar, and croniter gets nothing but lists of numbers::

    field = item {"," item}
    item  = ("*" | value ["-" value]) ["/" step]     a range may wrap: 22-2, fri-mon
    day of the month: also "?" and L, the last day
    day of the week:  also "?", fri#2, the second Friday, and friL or Lfri, the last one

With both days restricted, a date is due that fits either; `*`, `?` and `*/1` restrict nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from the0.errors import InvalidInput

DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EVERY = "@every"
MAX_CHARACTERS = 1000
_READ_EXPRESSIONS = 4096
"""How many expressions are kept as read: a scheduler asks for the same ones again and again."""

_ITEM = re.compile(r"(?P<low>\*|[0-9a-z]+)(?:-(?P<high>[0-9a-z]+))?(?:/(?P<step>[0-9]+))?")
_NTH = re.compile(r"(?P<day>[0-9a-z]+)#(?P<nth>[1-5])")
_LAST = re.compile(r"(?:l(?P<after>[0-9]|[a-z]{3})|(?P<before>[0-9]|[a-z]{3})l)")


@dataclass(frozen=True)
class Field:
    """One field: its numbers go from `first` to `last` and begin again; `names` are the first's.

    With `again`, one more than `last` may be written for `first`: 7 is Sunday as well.
    """

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    again: bool = False

    def value(self, text: str) -> int:
        """The number that `text` names. Raises ValueError saying what is wrong."""
        if text in self.names:
            return self.first + self.names.index(text)
        if not text.isascii() or not text.isdigit() or len(text) > 2:
            raise ValueError(f"{text!r} is no {self.name}")
        number, last = int(text), self.last + self.again
        if not self.first <= number <= last:
            raise ValueError(f"{text!r} is no {self.name} from {self.first} to {last}")
        return number

    def numbers(self, low: int, high: int, step: int) -> Iterator[int]:
        """Every `step`-th number from `low` to `high`, over the end where `high` is before."""
        end = high if low <= high else high + self.last - self.first + 1
        return map(self.folded, range(low, end + 1, step))

    def folded(self, number: int) -> int:
        """`number` counted from `first` again where it is beyond `last`."""
        return self.first + (number - self.first) % (self.last - self.first + 1)


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day of the month", 1, 31)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_WEEKDAYS = "sun mon tue wed thu fri sat"
MONTH = Field("month", 1, 12, tuple(_MONTHS.split()))
WEEKDAY = Field("day of the week", 0, 6, tuple(_WEEKDAYS.split()), again=True)


@dataclass(frozen=True)
class _Read:
    """What a field says: numbers, and what croniter has a word of its own for (`l`, `5#2`, `l5`).

    `free` is set where it restricts nothing: it has a `*`.
    """

    numbers: frozenset[int]
    words: tuple[str, ...] = ()
    free: bool = False

    def text(self) -> str:
        return "*" if self.free else ",".join([*map(str, sorted(self.numbers)), *self.words])


@lru_cache(maxsize=_READ_EXPRESSIONS)
def alternatives(expression: str) -> Sequence[str]:
    """croniter expressions, seconds first, of which any may match for `expression` to be due.

    Raises InvalidInput naming the expression and the field that is wrong.
    """
    fields = _described(expression).lower().split()
    if len(fields) not in (5, 6):
        raise InvalidInput(
            f"{expression!r} is no schedule: it has {len(fields)} fields, not five (minute hour "
            "day month weekday) or six (second first)."
        )
    kinds = (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)
    try:
        second, minute, hour, day, month, weekday = (
            _read(kind, text)
            for kind, text in zip(kinds, ["0", *fields][-len(kinds) :], strict=True)
        )
    except ValueError as error:
        raise InvalidInput(f"{expression!r} is no schedule: {error}.") from None
    time = f"{second.text()} {minute.text()} {hour.text()}"
    return tuple(
        f"{time} {days} {month.text()} {weekdays}" for days, weekdays in _dates(day, weekday)
    )


def _described(expression: str) -> str:
    if not expression.startswith("@"):
        return expression
    try:
        return DESCRIPTORS[expression.lower()]
    except KeyError:
        known = ", ".join([*DESCRIPTORS, f"{EVERY} <duration>"])
        raise InvalidInput(f"{expression!r} is no schedule; there are {known}.") from None


def _dates(day: _Read, weekday: _Read) -> Iterator[tuple[str, str]]:
    """The two day fields for croniter, apart: together it would read some as "both must fit"."""
    if day.free and weekday.free:
        yield "*", "*"
    if not day.free:
        yield day.text(), "*"
    if not weekday.free:
        if weekday.numbers:
            yield "*", _Read(weekday.numbers).text()
        if weekday.words:
            yield "*", ",".join(weekday.words)


def _read(kind: Field, text: str) -> _Read:
    """One field. Raises ValueError saying what is wrong with it."""
    if text == "?" and kind in (DAY, WEEKDAY):
        return _Read(frozenset(), free=True)
    numbers: set[int] = set()
    words: list[str] = []
    free = False
    for item in text.split(","):
        word = _word(kind, item)
        if word:
            words.append(word)
            continue
        found, all_of_it = _numbers(kind, item)
        numbers |= found
        free = free or all_of_it
    return _Read(frozenset(numbers), tuple(dict.fromkeys(words)), free)


def _word(kind: Field, item: str) -> str | None:
    """croniter's word for an item that is no list of numbers; None for one that is."""
    if kind is DAY and item == "l":
        return "l"
    if kind is not WEEKDAY:
        return None
    if found := _NTH.fullmatch(item):
        return f"{kind.folded(kind.value(found['day']))}#{found['nth']}"
    if found := _LAST.fullmatch(item):
        return f"l{kind.folded(kind.value(found['after'] or found['before']))}"
    return None


def _numbers(kind: Field, item: str) -> tuple[set[int], bool]:
    """The numbers of an item, and whether it is all of them by `*`."""
    found = _ITEM.fullmatch(item)
    step = int(found["step"] or 1) if found and len(found["step"] or "") < 5 else 0
    if found is None or not step or (found["low"] == "*" and found["high"]):
        raise ValueError(f"{item!r} cannot be understood as a {kind.name}")
    if found["low"] == "*":
        return set(kind.numbers(kind.first, kind.last, step)), step == 1
    low = kind.value(found["low"])
    high = kind.value(found["high"]) if found["high"] else kind.last if found["step"] else low
    return set(kind.numbers(low, high, step)), False
