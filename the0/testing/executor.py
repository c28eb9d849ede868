"""Conformance suite for executor plugins.

A plugin's own tests subclass it and say how to make the plugin against a real engine, and which
image its containers run (any with `sh`, `sleep` and the folders that volumes are mounted on)::

    class TestMyExecutor(ExecutorConformance):
        @pytest.fixture
        def executor(self, engine):
            executor = MyExecutor(PluginArgs("test", "installation", Path("/nowhere"), {…}))
            yield executor
            executor.close()

        def make_other(self):
            return MyExecutor(…)  # the same instance name, another installation's id

        def make_unreachable(self):
            return MyExecutor(…)  # pointed at an address where nobody answers

        @pytest.fixture
        def image(self, executor):
            return "the tag of an image"
"""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from the0.errors import Conflict, InvalidInput, NotFound, Unavailable
from the0.models import (
    ContainerAction,
    ContainerSpec,
    ContainerState,
    Purpose,
)
from the0.plugin.interfaces import Executor
from the0.testing.containers import (
    WAIT_SEC,
    actions,
    clean,
    listening,
    make_spec,
    only,
    output,
    run,
    together,
    until_ended,
    until_logged,
    wait_for,
)
from the0.testing.isolation import PlaceConformance

ODD_IDS: Sequence[str] = (
    "plain",
    "with space",
    "a/b",
    "..",
    "-",
    "line\nbreak",
    "Ünïcödé 🤖",
    "'\"$(reboot)`;",
    "zero\0byte",
    "x" * 10_000,
    "",
)
"""Ids that MongoDB may hold and a naive executor stumbles over."""

IDLE = ("sleep", "1000")
OBEDIENT = ("sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done")
DEAF = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")


class ExecutorConformance(PlaceConformance, ABC):
    """What every executor has to do. Each test uses bots of its own. An executor that isolates bots
    shows it by :class:`the0.testing.isolation.IsolationConformance`."""

    @pytest.fixture
    @abstractmethod
    def executor(self) -> Executor:
        """The plugin under test, connected to a real engine."""

    @pytest.fixture
    @abstractmethod
    def image(self, executor: Executor) -> str:
        """The tag of an image whose containers can run `sh`."""

    @abstractmethod
    def make_other(self) -> Executor:
        """The plugin for another installation on the same engine."""

    @abstractmethod
    def make_unreachable(self) -> Executor:
        """The plugin pointed at an address where nobody answers."""

    @pytest.fixture
    def spec(self, executor: Executor, image: str, tmp_path: Path) -> Iterator[ContainerSpec]:
        """What to create a container of a new bot from; afterwards all containers and volumes of
        the installation are removed."""
        gateway = tmp_path / "gateway"
        gateway.mkdir()
        gateway.chmod(0o755)
        executor.prepare()
        yield make_spec(f"bot-{secrets.token_hex(4)}", image, gateway)
        clean(executor)

    # --- one container's life -------------------------------------------------------------------

    def test_a_created_container_is_what_was_asked_for(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        created = executor.create(spec)
        for seen in (created, executor.inspect(created.ref), only(executor)):
            assert seen.ref == created.ref
            assert seen.state is ContainerState.CREATED
            assert (seen.bot_id, seen.type, seen.launch) == (spec.bot_id, spec.type, spec.launch)
            assert (seen.spec_hash, seen.platform_hash) == ("v1:spec", "v1:platform")

    def test_a_started_container_runs_and_has_an_address(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        ref = run(executor, replace(spec, command=IDLE))
        seen = executor.inspect(ref)
        assert seen.state is ContainerState.RUNNING
        assert seen.started_at is not None
        assert only(executor).state is ContainerState.RUNNING
        assert executor.address(ref, 9476)[0]

    def test_starting_twice_is_starting_once(self, executor: Executor, spec: ContainerSpec) -> None:
        ref = run(executor, replace(spec, command=IDLE))
        executor.start(ref)
        assert executor.inspect(ref).state is ContainerState.RUNNING

    def test_a_bot_has_one_container(self, executor: Executor, spec: ContainerSpec) -> None:
        ref = executor.create(spec).ref
        with pytest.raises(Conflict):
            executor.create(replace(spec, launch="f" * 32))
        assert only(executor).ref == ref

    def test_racing_creators_make_one_container(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        made: list[str] = []

        def create() -> None:
            with suppress(Conflict):
                made.append(executor.create(spec).ref)

        together(create, 4)
        assert made == [only(executor).ref]

    @pytest.mark.parametrize("code", [0, 1, 7])
    def test_the_exit_code_is_known_after_the_end(
        self, executor: Executor, spec: ContainerSpec, code: int
    ) -> None:
        ref = run(executor, replace(spec, command=("sh", "-c", f"exit {code}")))
        ended = until_ended(executor, ref)
        assert ended.exit_code == code
        assert ended.finished_at is not None
        assert not ended.oom_killed

    def test_an_image_that_is_missing_is_named(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        with pytest.raises(NotFound, match="the0-no-such-image"):
            executor.create(replace(spec, image="the0-no-such-image:1"))

    # --- stopping and removing ------------------------------------------------------------------

    def test_stop_sends_term_and_returns_when_it_has_ended(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        ref = run(executor, replace(spec, command=OBEDIENT))
        until_logged(executor, ref, "ready")
        executor.stop(ref, WAIT_SEC)
        assert executor.inspect(ref).exit_code == 3

    def test_stop_kills_what_does_not_hear(self, executor: Executor, spec: ContainerSpec) -> None:
        ref = run(executor, replace(spec, command=DEAF))
        until_logged(executor, ref, "ready")
        executor.stop(ref, 0.5)
        assert executor.inspect(ref).exit_code == 128 + 9

    def test_kill_ends_it(self, executor: Executor, spec: ContainerSpec) -> None:
        ref = run(executor, replace(spec, command=DEAF))
        until_logged(executor, ref, "ready")
        executor.kill(ref)
        assert until_ended(executor, ref).exit_code == 128 + 9

    def test_ending_what_has_ended_is_no_error(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        ref = run(executor, replace(spec, command=("true",)))
        until_ended(executor, ref)
        executor.stop(ref, 1)
        executor.kill(ref)
        executor.unpause(ref)
        assert executor.inspect(ref).exit_code == 0

    def test_what_is_gone_is_no_error_but_to_those_who_ask(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        ref = executor.create(spec).ref
        executor.remove(ref)
        executor.remove(ref)
        executor.stop(ref, 1)
        executor.kill(ref)
        executor.unpause(ref)
        assert executor.log_tail(ref, 10) == []
        with pytest.raises(NotFound):
            executor.inspect(ref)
        with pytest.raises(NotFound):
            executor.start(ref)

    def test_a_running_container_is_not_removed(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        ref = run(executor, replace(spec, command=IDLE))
        with pytest.raises(Conflict):
            executor.remove(ref)
        assert executor.inspect(ref).state is ContainerState.RUNNING

    def test_its_name_is_free_once_it_is_removed(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        first = run(executor, replace(spec, command=IDLE))
        executor.kill(first)
        until_ended(executor, first)
        executor.remove(first)
        assert executor.create(spec).ref != first

    # --- what is seen ---------------------------------------------------------------------------

    def test_log_tail_has_the_last_lines_of_both_streams(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        script = "for i in 1 2 3 4 5; do echo out$i; done; sleep 0.3; echo err >&2"
        ref = run(executor, replace(spec, command=("sh", "-c", script)))
        until_ended(executor, ref)
        assert executor.log_tail(ref, 3) == ["out4", "out5", "err"]

    def test_peak_memory_grows_with_what_was_used(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        script = "head -c 20000000 /dev/zero > /tmp/filled; echo filled; exec sleep 1000"
        ref = run(executor, replace(spec, command=("sh", "-c", script)))
        until_logged(executor, ref, "filled")
        peak = executor.peak_memory(ref)
        assert peak is None or 20_000_000 < peak <= spec.limits.memory_bytes

    def test_events_tell_of_start_death_and_removal(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        with listening(executor) as heard:
            ref = run(executor, replace(spec, command=IDLE))
            executor.kill(ref)
            until_ended(executor, ref)
            executor.remove(ref)
            wait_for(lambda: ContainerAction.REMOVED in actions(heard, ref))
        wanted = [ContainerAction.STARTED, ContainerAction.DIED, ContainerAction.REMOVED]
        assert actions(heard, ref) == wanted
        assert {event.bot_id for event in heard} == {spec.bot_id}

    def test_events_end_soon_after_they_are_told_to(self, executor: Executor) -> None:
        with listening(executor):
            pass  # leaving it fails when the stream goes on

    @pytest.mark.parametrize("bot_id", ODD_IDS, ids=range(len(ODD_IDS)))
    def test_any_bot_id_is_kept_exactly(
        self, executor: Executor, spec: ContainerSpec, bot_id: str
    ) -> None:
        labels = {**spec.labels, "runtime.id": bot_id}
        ref = executor.create(replace(spec, bot_id=bot_id, labels=labels)).ref
        assert executor.inspect(ref).bot_id == bot_id
        assert only(executor).bot_id == bot_id
        assert set(executor.bot_volumes()) == {bot_id}

    # --- other installations --------------------------------------------------------------------

    def test_another_installation_sees_and_touches_nothing(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        ref = run(executor, replace(spec, command=IDLE))
        with closing(self.make_other()) as other:
            assert other.list() == []
            assert other.bot_volumes() == {}
            with pytest.raises(NotFound):
                other.inspect(ref)
            other.kill(ref)
            other.stop(ref, 0)
            other.remove(ref)
            other.remove_bot_volumes(spec.bot_id)
        assert executor.inspect(ref).state is ContainerState.RUNNING
        assert spec.bot_id in executor.bot_volumes()

    def test_our_own_are_not_foreign(self, executor: Executor, spec: ContainerSpec) -> None:
        name = executor.create(spec).name
        assert name not in executor.foreign()

    def test_no_container_without_an_installation(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        nameless = type(executor)(replace(executor.args, installation=""))
        with closing(nameless), pytest.raises(InvalidInput):
            nameless.create(spec)

    # --- volumes --------------------------------------------------------------------------------

    def test_state_and_logs_outlive_the_container_and_code_does_not(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        write = "for d in /state /var/the0 /bot; do echo kept > $d/file; done"
        assert output(executor, replace(spec, command=("sh", "-ec", write))) == []
        read = "cat /state/file /var/the0/file; test ! -e /bot/file && echo fresh"
        found = output(executor, replace(spec, command=("sh", "-ec", read)))
        assert found == ["kept", "kept", "fresh"]

    def test_volumes_in_use_are_kept(self, executor: Executor, spec: ContainerSpec) -> None:
        ref = executor.create(spec).ref
        with pytest.raises(Conflict):
            executor.remove_bot_volumes(spec.bot_id)
        executor.remove(ref)
        assert len(executor.bot_volumes()[spec.bot_id]) == 2
        executor.remove_bot_volumes(spec.bot_id)
        executor.remove_bot_volumes(spec.bot_id)
        assert spec.bot_id not in executor.bot_volumes()

    # --- queries --------------------------------------------------------------------------------

    def test_containers_of_queries_run_side_by_side_and_leave_nothing(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        write = "for d in /state /var/the0 /bot /query; do test ! -e $d/f; echo x > $d/f; done; cat"
        query = replace(spec, bot_id="", purpose=Purpose.QUERY, labels={})
        query = replace(query, command=("sh", "-ec", f"{write} /state/f; sleep 1000"))
        refs = [run(executor, replace(query, launch=launch * 32)) for launch in "bc"]
        for ref in refs:
            until_logged(executor, ref, "x")
        seen = {one.ref: one for one in executor.list()}
        assert set(seen) == set(refs)
        assert {(one.purpose, one.bot_id) for one in seen.values()} == {(Purpose.QUERY, "")}
        assert {one.launch for one in seen.values()} == {"b" * 32, "c" * 32}
        assert executor.bot_volumes() == {}
        clean(executor)
        assert not executor.list()
        assert output(executor, replace(spec, command=("sh", "-c", "ls /state"))) == []

    # --- the engine and its images --------------------------------------------------------------

    def test_the_engine_says_who_it_is(self, executor: Executor) -> None:
        info = executor.info()
        assert info.id
        assert info.version
        assert executor.info().id == info.id

    def test_preparing_twice_changes_nothing(self, executor: Executor) -> None:
        first = executor.prepare()
        assert [c.reason for c in executor.prepare()] == [c.reason for c in first]

    def test_an_image_is_known_by_the_digest_of_its_inputs(
        self, executor: Executor, image: str, tmp_path: Path
    ) -> None:
        assert not executor.has_image(image, "another digest")
        assert not executor.has_image("the0-no-such-image:1", "any")
        assert executor.image_identity(image) == executor.image_identity(image)
        with pytest.raises(NotFound):
            executor.image_identity("the0-no-such-image:1")

    def test_without_an_engine_everything_is_unknown(self) -> None:
        with closing(self.make_unreachable()) as executor:
            spec = make_spec("bot", "the0-no-such-image:1", Path("/nowhere"))
            calls: list[Callable[[], object]] = [
                executor.info,
                executor.foreign,
                executor.list,
                executor.bot_volumes,
                executor.prepare,
                lambda: executor.inspect("some"),
                lambda: executor.create(spec),
                lambda: executor.start("some"),
                lambda: executor.stop("some", 1),
                lambda: executor.kill("some"),
                lambda: executor.remove("some"),
                lambda: executor.log_tail("some", 1),
                lambda: executor.remove_bot_volumes("some"),
                lambda: executor.has_image("some:1", "digest"),
                lambda: executor.image_identity("some:1"),
                lambda: next(executor.events(threading.Event())),
            ]
            for call in calls:
                with pytest.raises(Unavailable):
                    call()
