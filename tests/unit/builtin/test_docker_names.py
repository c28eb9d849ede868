import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from the0.builtin import docker_names as names

# What MongoDB may hold: any text but lone surrogates.
IDS = st.text(st.characters(exclude_categories=["Cs"]))
INSTANCES = st.from_regex(r"[A-Za-z0-9-]{1,24}", fullmatch=True)
DOCKER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+", re.ASCII)


@given(INSTANCES, IDS)
@example("the0", "")
@example("the0", "/../\n")
@example("the0", "x" * 10_000)
def test_names_are_safe_whatever_the_id(instance: str, bot_id: str) -> None:
    for name in (
        names.container_name(instance, bot_id),
        *(names.volume_name(instance, bot_id, kind) for kind in names.VOLUME_KINDS),
    ):
        assert DOCKER_NAME.fullmatch(name)
        assert len(name) <= 200


@given(IDS, IDS)
@example("a/b", "a-b")
@example("A", "a")
@example("é", "e\u0301")
@example("x" * 10_000, "x" * 10_001)
def test_two_ids_have_two_names(first: str, second: str) -> None:
    assume(first != second)
    assert names.container_name("the0", first) != names.container_name("the0", second)


@given(INSTANCES, IDS, INSTANCES, IDS)
@example("a", "b-c", "a-b", "c")
@example("a", "1:b", "a1", ":b")
def test_two_instances_have_two_names(one: str, first: str, other: str, second: str) -> None:
    assume((one, first) != (other, second))
    assert names.container_name(one, first) != names.container_name(other, second)


def test_the_name_of_a_bot_never_changes() -> None:
    # Containers and volumes of running installations carry it: an upgrade must find them.
    found = names.container_name("the0", "my bot/1")
    assert found == "the0-the0-my-bot-1-8edffc6830ed7104ebb9fa8cb70bb4a4"
    assert names.volume_name("the0", "my bot/1", "state") == found + "-state"


@given(INSTANCES, st.integers(0, 9999))
def test_kernel_names_fit(instance: str, number: int) -> None:
    assert len(names.bridge_name(instance, number)) <= 15
    assert len(names.chain_name(instance, "OUT")) <= 28
    assert names.bridge_name(instance, number).startswith(names.bridge_prefix(instance))


@given(st.sets(st.integers(0, 50)))
def test_a_free_number_is_the_lowest(taken: set[int]) -> None:
    found = names.free_number(taken)
    assert found not in taken
    assert set(range(found)) <= taken
