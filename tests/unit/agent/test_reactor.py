"""What a reactor must not do: call back for a descriptor that is another's by now."""

from __future__ import annotations

import os

from the0.agent.reactor import Reactor


def test_a_number_that_was_closed_and_reused_is_not_called_back_for_the_old_one() -> None:
    reactor = Reactor()
    first, second, fresh = os.pipe(), os.pipe(), os.pipe()
    called: list[str] = []

    def replace_second() -> None:
        called.append("first")
        reactor.forget(second[0])
        os.dup2(fresh[0], second[0])
        reactor.watch(second[0], lambda: called.append("fresh"))

    reactor.watch(first[0], replace_second)
    reactor.watch(second[0], lambda: called.append("second"))
    os.write(first[1], b"x")
    os.write(second[1], b"x")
    reactor.turn()
    assert called == ["first"]

    os.read(first[0], 1)
    os.write(fresh[1], b"x")
    reactor.turn()
    assert called == ["first", "fresh"]
    for fd in (*first, *second, *fresh):
        os.close(fd)
