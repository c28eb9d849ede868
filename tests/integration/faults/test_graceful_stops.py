"""What a bot writes right before it ends in order is what its next start sees."""

from __future__ import annotations

from tests.support.faults import in_phase, spooled_lines, started, stored_state
from tests.support.runner import Installation, eventually
from tests.support.soak import scaled

BOTS = [f"b{number}" for number in range(5)]
ROUNDS = scaled(2, 20)
"""Each stops every bot once: 100 stops in a full run."""


def test_nothing_is_lost_by_stops_with_a_write_just_before(site: Installation) -> None:
    started(site, *BOTS, pause=0.01)
    for bot_id in BOTS:
        eventually(lambda b=bot_id: listening(site, b), f"{bot_id} runs")
    for number in range(1, ROUNDS + 1):
        set_enabled(site, False)
        eventually(lambda: not site.containers(), "all are stopped")
        words = {bot_id: last_words(site, bot_id) for bot_id in BOTS}
        assert {bot_id: len(said) for bot_id, said in words.items()} == dict.fromkeys(BOTS, number)
        for bot_id, said in words.items():
            state = stored_state(site, bot_id)
            assert state["last"] == said[-1]
            assert int(state["count"]) >= highest_count(site, bot_id)
        if number % 2:  # the next start has only what the store has
            forget_volumes(site)
        set_enabled(site, True)
        for bot_id, said in words.items():
            eventually(
                lambda b=bot_id, n=number: len(listening(site, b)) > n, f"{bot_id} runs again"
            )
            assert found(site, bot_id) == ["", *said]
    eventually(lambda: in_phase(site, "running") == set(BOTS), "all run")
    assert {site.shown(bot_id)["crashes"] for bot_id in BOTS} == {0}


def set_enabled(site: Installation, enabled: bool) -> None:
    for bot_id in BOTS:
        site.enable(bot_id, enabled)
    site.wake(None)


def forget_volumes(site: Installation) -> None:
    with site.executor() as executor:
        for bot_id in BOTS:
            executor.remove_bot_volumes(bot_id)


def last_words(site: Installation, bot_id: str) -> list[str]:
    """What the bot wrote into its state at each SIGTERM."""
    lines = spooled_lines(site, bot_id)
    return [line.removeprefix("last ") for line in lines if line.startswith("last ")]


def listening(site: Installation, bot_id: str) -> list[str]:
    """One line of each launch that has come to hear a SIGTERM."""
    return [line for line in spooled_lines(site, bot_id) if line.startswith("runs ")]


def found(site: Installation, bot_id: str) -> list[str]:
    """The last word that each of its launches found, empty for the first one."""
    lines = spooled_lines(site, bot_id)
    return [line.split(" ")[2] for line in lines if line.startswith("found ")]


def highest_count(site: Installation, bot_id: str) -> int:
    lines = spooled_lines(site, bot_id)
    return max(int(line.removeprefix("wrote ")) for line in lines if line.startswith("wrote "))
