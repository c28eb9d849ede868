import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.builtin import docker_containers as containers
from the0.builtin.docker_containers import Placement
from the0.models import BotType, ContainerAction, ContainerState, Purpose
from the0.testing.containers import make_spec

PLACE = Placement(
    instance="the0",
    installation="i1",
    network="the0-the0-0",
    image="image:1",
    open_files=200,
    log_max_size="10m",
    log_max_files=2,
)
SPEC = make_spec("bot/1", "other:1", Path("/gateway"), "/app/runtime", "execute")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_the_request_shuts_every_door() -> None:
    request = containers.create_request(SPEC, PLACE)
    host = request["HostConfig"]
    assert request["User"] == "1000:1000"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Init"] is False
    assert host["RestartPolicy"] == {"Name": "no"}
    assert "Privileged" not in host
    assert "ExtraHosts" not in host
    assert "PidMode" not in host


def test_the_request_carries_the_limits() -> None:
    host = containers.create_request(SPEC, PLACE)["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == SPEC.limits.memory_bytes
    assert host["NanoCpus"] == 1_000_000_000
    assert (host["CpuShares"], host["PidsLimit"]) == (512, 32)
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "2"}
    assert all(f"size={SPEC.limits.tmp_bytes}" in options for options in host["Tmpfs"].values())


def test_open_files_never_exceed_what_the_engine_has() -> None:
    files = containers.create_request(SPEC, PLACE)["HostConfig"]["Ulimits"][0]
    assert files == {"Name": "nofile", "Soft": 200, "Hard": 200}


def test_a_part_of_a_second_is_not_taken_from_the_stop() -> None:
    spec = type(SPEC)(**{**vars(SPEC), "stop_timeout_sec": 50.2})
    assert containers.create_request(spec, PLACE)["StopTimeout"] == 51


def test_nothing_of_a_query_names_a_bot_or_outlives_it() -> None:
    spec = replace(SPEC, bot_id="", purpose=Purpose.QUERY, labels={})
    request = containers.create_request(spec, PLACE)
    volumes = [mount for mount in request["HostConfig"]["Mounts"] if mount["Type"] == "volume"]
    assert {mount["Target"] for mount in volumes} == {"/bot", "/state", "/var/the0"}
    assert not any("Source" in mount for mount in volumes)
    assert {"runtime.id", "runtime.type"}.isdisjoint(request["Labels"])
    listed = containers.from_list({"Id": "1", "State": "running", "Labels": request["Labels"]})
    assert (listed.purpose, listed.bot_id, listed.launch) == (Purpose.QUERY, "", spec.launch)


def test_a_query_has_a_name_of_its_own_for_each_launch() -> None:
    spec = replace(SPEC, bot_id="", purpose=Purpose.QUERY)
    names = {containers.name_of(replace(spec, launch=launch), "the0") for launch in ("a1", "b2")}
    assert len(names) == 2
    assert containers.name_of(SPEC, "the0") not in names


def test_only_the_code_is_in_an_anonymous_volume() -> None:
    mounts = containers.create_request(SPEC, PLACE)["HostConfig"]["Mounts"]
    sources = {mount["Target"]: mount.get("Source") for mount in mounts}
    assert sources["/bot"] is None
    assert sources["/run/the0"] == "/gateway"
    assert str(sources["/state"]).endswith("-state")
    assert str(sources["/var/the0"]).endswith("-logs")
    assert [mount["Target"] for mount in mounts if mount.get("ReadOnly")] == ["/run/the0"]


def test_the_labels_are_the_specs_and_the_installations() -> None:
    spec = type(SPEC)(**{**vars(SPEC), "labels": {**SPEC.labels, "the0.installation": "stolen"}})
    labels = containers.create_request(spec, PLACE)["Labels"]
    assert labels == {**SPEC.labels, "the0.installation": "i1", "the0.instance": "the0"}


LABELS = {**SPEC.labels, "runtime.id": "b", "runtime.type": "scheduled", "the0.installation": "i"}


def test_a_list_entry_is_read() -> None:
    found = containers.from_list(
        {
            "Id": "c1",
            "Names": ["/the0-the0-b"],
            "State": "running",
            "Created": 1_700_000_000,
            "Labels": LABELS,
            "NetworkSettings": {"Networks": {"the0-the0-0": {"IPAddress": "172.18.0.2"}}},
        }
    )
    assert (found.ref, found.name, found.bot_id) == ("c1", "the0-the0-b", "b")
    assert found.type is BotType.SCHEDULED
    assert found.state is ContainerState.RUNNING
    assert found.address == "172.18.0.2"
    assert (found.launch, found.spec_hash, found.platform_hash) == (
        "a" * 32,
        "v1:spec",
        "v1:platform",
    )
    assert found.created_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert (found.exit_code, found.finished_at) == (None, None)


@pytest.mark.parametrize("state", list(ContainerState))
def test_every_state_of_docker_is_known(state: ContainerState) -> None:
    assert containers.state_of(state.value) is state


@pytest.mark.parametrize("text", ["", "Running", "stopping", None, 3])
def test_a_state_that_nobody_knows_is_unknown(text: object) -> None:
    assert containers.state_of(text) is ContainerState.UNKNOWN


def inspected(**state: object) -> dict[str, object]:
    return {
        "Id": "c1",
        "Name": "/n",
        "Created": "2024-01-02T03:04:05.123456789Z",
        "State": state,
        "Config": {"Labels": LABELS},
        "NetworkSettings": {"Networks": {"n": {"IPAddress": ""}}},
    }


def test_an_end_is_read_with_its_reason() -> None:
    found = containers.from_inspect(
        inspected(
            Status="exited",
            ExitCode=137,
            OOMKilled=True,
            Error="why",
            StartedAt="2024-01-02T03:04:06Z",
            FinishedAt="2024-01-02T05:04:07.5+02:00",
        )
    )
    assert (found.exit_code, found.oom_killed, found.error) == (137, True, "why")
    assert found.started_at == datetime(2024, 1, 2, 3, 4, 6, tzinfo=UTC)
    assert found.finished_at == datetime(2024, 1, 2, 3, 4, 7, 500_000, tzinfo=UTC)
    assert found.address is None


@pytest.mark.parametrize("status", ["created", "running", "paused"])
def test_what_has_not_ended_has_no_exit_code(status: str) -> None:
    found = containers.from_inspect(
        inspected(Status=status, ExitCode=0, FinishedAt="2024-01-02T03:04:06Z")
    )
    assert (found.exit_code, found.finished_at) == (None, None)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))
def test_times_survive_to_the_microsecond(at: datetime) -> None:
    text = f"{at.isoformat(timespec='microseconds')}789Z"
    assert containers.parse_time(text) == at.replace(tzinfo=UTC)


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"))
def test_a_time_is_utc_or_none(text: str) -> None:
    found = containers.parse_time(text)
    assert found is None or found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "", None, 5])
def test_no_time_is_none(text: object) -> None:
    assert containers.parse_time(text) is None


def event(action: str, **labels: str) -> dict[str, object]:
    actor = {"ID": "c1", "Attributes": {"name": "n", **labels}}
    return {"Action": action, "Actor": actor, "timeNano": 1_700_000_000_500_000_000}


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("start", ContainerAction.STARTED),
        ("die", ContainerAction.DIED),
        ("destroy", ContainerAction.REMOVED),
        ("oom", ContainerAction.OOM),
    ],
)
def test_an_event_is_read(word: str, action: ContainerAction) -> None:
    found = containers.event_of(event(word, **{"runtime.id": "b"}))
    assert found is not None
    assert (found.action, found.bot_id, found.ref) == (action, "b", "c1")
    assert found.at == datetime.fromtimestamp(1_700_000_000.5, UTC)


def test_other_events_say_nothing() -> None:
    assert containers.event_of(event("exec_start: sh", **{"runtime.id": "b"})) is None
    assert containers.event_of(event("die")) is None
    assert containers.event_of({}) is None


@given(st.lists(st.text(st.characters(exclude_characters="\n"))), st.integers(1, 300))
def test_log_lines_are_the_last(lines: list[str], wanted: int) -> None:
    raw = "".join(line + "\n" for line in lines).encode("utf-8", "replace")
    found = containers.log_lines(raw, wanted)
    whole = raw.decode().split("\n")[:-1]
    assert found == whole[len(whole) - len(found) :]
    assert len(found) == min(wanted, len(whole)) or sum(map(len, whole)) > 60_000


def test_log_lines_are_bounded() -> None:
    assert [len(line) for line in containers.log_lines(b"x" * 100_000, 5)] == [4097]
    many = containers.log_lines((b"y" * 4000 + b"\n") * 200, 200)
    assert sum(map(len, many)) <= 65_536


@given(VALUES)
def test_the_request_is_json_whatever_the_labels(value: object) -> None:
    labels = {"runtime.entrypoint": json.dumps(value)}
    spec = type(SPEC)(**{**vars(SPEC), "labels": labels})
    request = containers.create_request(spec, PLACE)
    assert json.loads(json.dumps(request)) == request
