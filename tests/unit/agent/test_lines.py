from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from the0.agent.lines import Line, LineJoiner

PIECES = st.lists(st.binary(max_size=20) | st.just(b"\n"), max_size=30)


def joined(pieces: list[bytes], limit: int) -> list[Line]:
    joiner = LineJoiner(limit)
    lines = [line for piece in pieces for line in joiner.feed(piece)]
    return lines + joiner.end()


@given(PIECES, st.integers(1, 30))
def test_nothing_is_lost_or_invented(pieces: list[bytes], limit: int) -> None:
    content = b"".join(pieces)
    lines = joined(pieces, limit)
    again = b"".join(line.raw + (b"" if line.partial else b"\n") for line in lines)
    assert again.removesuffix(b"\n") == content.removesuffix(b"\n")


@given(PIECES, st.integers(1, 30))
def test_no_line_is_longer_than_the_limit(pieces: list[bytes], limit: int) -> None:
    assert all(len(line.raw) <= limit for line in joined(pieces, limit))


@given(PIECES, PIECES, st.integers(1, 30))
def test_how_the_writes_are_cut_does_not_matter(
    first: list[bytes], second: list[bytes], limit: int
) -> None:
    whole = b"".join(first + second)
    text = lambda lines: [(line.raw, line.partial) for line in lines]  # noqa: E731
    assert text(joined([whole], limit)) == text(joined(first + second, limit))


def test_a_print_in_two_writes_is_one_line() -> None:
    joiner = LineJoiner(100)
    assert joiner.feed(b"hello") == []
    assert joiner.feed(b"\n") == [Line(b"hello")]


def test_a_long_line_comes_in_parts() -> None:
    joiner = LineJoiner(4)
    assert joiner.feed(b"abcdefghij") == [Line(b"abcd", True), Line(b"efgh", True)]
    assert joiner.feed(b"\n") == [Line(b"ij")]
