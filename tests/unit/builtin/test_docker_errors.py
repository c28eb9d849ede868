import pytest
import requests
import urllib3
from docker.errors import APIError, DockerException

from the0.builtin.docker_errors import NO_IMAGE, translated
from the0.errors import Conflict, InvalidInput, NotFound, ServerFault, Unavailable


def answer(status: int, said: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("text", response=response, explanation=said)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (404, "No such container: x", NotFound),
        (404, "network x not found", ServerFault),
        (404, "page not found", ServerFault),
        (400, "invalid mount", InvalidInput),
        (409, "name in use", Conflict),
        (403, "has active endpoints", Conflict),
        (500, "No such container: x", ServerFault),
        (502, "", ServerFault),
    ],
)
def test_answers_mean_what_is_certain(status: int, said: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="look at it") as raised, translated("look at it"):
        raise answer(status, said)
    assert type(raised.value) is kind
    assert isinstance(raised.value.__cause__, APIError)


def test_each_call_says_what_a_404_has_to_name() -> None:
    with pytest.raises(NotFound), translated("find it", NO_IMAGE):
        raise answer(404, "No such image: a:1")
    with pytest.raises(Unavailable), translated("find it", NO_IMAGE):
        raise answer(404, "No such container: a")


@pytest.mark.parametrize(
    "error",
    [
        DockerException("x"),
        requests.ConnectionError("x"),
        urllib3.exceptions.ProtocolError("x"),
        FileNotFoundError("x"),
        ConnectionRefusedError("x"),
    ],
)
def test_silence_is_unavailable(error: Exception) -> None:
    with pytest.raises(Unavailable, match="docker info"), translated("do it"):
        raise error


def test_a_time_out_is_told_as_one() -> None:
    with pytest.raises(Unavailable, match="in time"), translated("do it"):
        raise requests.ReadTimeout("x")
    with pytest.raises(Unavailable, match="in time"), translated("do it"):
        raise DockerException("x") from requests.ReadTimeout("y")


def test_errors_of_others_pass() -> None:
    with pytest.raises(ZeroDivisionError), translated("do it"):
        raise ZeroDivisionError
