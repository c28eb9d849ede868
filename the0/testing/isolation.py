"""The part of the executors' conformance suite that looks at a container from inside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from the0.models import ContainerSpec
from the0.plugin.interfaces import Executor
from the0.testing.containers import output, run, until_ended


class PlaceConformance:
    """Where every container finds itself; the fixtures are those of
    :class:`the0.testing.executor.ExecutorConformance`, which this is a part of."""

    def test_its_own_environment_holds_what_the_spec_says(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        found = output(executor, replace(spec, command=("env",)))
        names = {line.partition("=")[0] for line in found}
        assert "THE0_LAUNCH=abc" in found
        assert names <= {"THE0_LAUNCH", "PATH", "HOSTNAME", "HOME", "THE0_QUERY_PORT"}

    def test_the_gateway_folder_is_there_and_read_only(
        self, executor: Executor, spec: ContainerSpec
    ) -> None:
        (Path(spec.gateway_dir) / "gateway.sock").write_text("hello")
        script = "cd /run/the0; cat gateway.sock; echo; (echo x > gateway.sock) 2>&- || echo shut"
        found = output(executor, replace(spec, command=("sh", "-c", script)))
        assert found == ["hello", "shut"]

    def test_temporary_space_is_bounded(self, executor: Executor, spec: ContainerSpec) -> None:
        script = "head -c 100m /dev/zero > /tmp/x; stat -c %s /tmp/x"
        found = output(executor, replace(spec, command=("sh", "-c", script)))
        assert int(found[-1]) <= spec.limits.tmp_bytes


class IsolationConformance:
    """What a container may and may not, where the executor keeps strangers' code from the machine
    and from each other. Such an executor's tests subclass this beside
    :class:`the0.testing.executor.ExecutorConformance`, whose fixtures it uses."""

    def test_it_runs_as_nobody_with_nothing(self, executor: Executor, spec: ContainerSpec) -> None:
        script = (
            "id -u; id -g; grep -E 'CapEff|NoNewPrivs|^Seccomp:' /proc/self/status | tr -d '\\t ';"
            "for d in / /etc /app /run/the0; do touch $d/x 2>/dev/null && echo writable $d; done;"
            "for d in /tmp /query /bot /state /var/the0; do touch $d/x || echo closed $d; done"
        )
        found = output(executor, replace(spec, command=("sh", "-c", script)))
        assert found[:2] == ["1000", "1000"]
        assert found[2:] == ["CapEff:0000000000000000", "NoNewPrivs:1", "Seccomp:2"]

    def test_memory_is_bounded(self, executor: Executor, spec: ContainerSpec) -> None:
        hungry = ("sh", "-c", "head -c 200m /dev/zero | tail -c 200m > /dev/null; exit $?")
        ref = run(executor, replace(spec, command=hungry))
        ended = until_ended(executor, ref)
        assert ended.exit_code != 0

    def test_processes_and_files_are_bounded(self, executor: Executor, spec: ContainerSpec) -> None:
        script = "ulimit -n; for i in $(seq 100); do sleep 20 & done; echo all of them"
        found = output(executor, replace(spec, command=("sh", "-c", script)))
        assert found[0] == str(spec.limits.open_files)
        assert "all of them" not in found
