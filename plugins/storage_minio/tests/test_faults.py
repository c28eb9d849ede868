"""What the plugin says when the server answers badly, or not at all."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest

from the0.errors import InvalidInput, InvalidSettings, NotFound, Unavailable
from the0.plugin import Storage
from the0.testing.faults import FaultProxy, fault_proxy
from the0.testing.servers import S3Server
from the0.testing.storage import get, put

BUCKET = "faults"

NO_SUCH_KEY = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"
NO_SUCH_BUCKET = NO_SUCH_KEY.replace(b"NoSuchKey", b"NoSuchBucket")


@pytest.fixture
def proxy(server: S3Server) -> Iterator[FaultProxy]:
    with fault_proxy("127.0.0.1", server.port) as found:
        yield found


@pytest.fixture
def storage(make_storage: Callable[..., Storage], proxy: FaultProxy) -> Storage:
    """Behind the proxy, holding one object."""
    found = make_storage(endpoint=proxy.endpoint, timeout_sec=0.5)
    found.ensure_bucket(BUCKET)
    put(found, BUCKET, "object", b"good" * 100_000)
    return found


def answer(status: int, content_type: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n"
    return (
        head.encode() + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
    )


def test_a_hung_server_is_unavailable(storage: Storage, proxy: FaultProxy) -> None:
    proxy.hang()
    with pytest.raises(Unavailable, match=r"looking up faults/object"):
        storage.head(BUCKET, "object")
    with pytest.raises(Unavailable, match=r"storing faults/object"):
        put(storage, BUCKET, "object", b"bad")


@pytest.mark.parametrize(
    "raw",
    [
        answer(500, "text/html", b"<html>oops</html>"),
        answer(503, "application/xml", b"<Error><Code>SlowDown</Code></Error>"),
        answer(404, "text/html", b"<html>no such page</html>"),
        answer(404, "application/xml", b"<torn"),
        answer(404, "application/xml", b""),
        answer(404, "text/plain", b"\xff\xfe\x00"),
        answer(404, "application/xml", NO_SUCH_BUCKET),
        answer(403, "application/xml", NO_SUCH_KEY),
        b"not http at all\r\n\r\n",
    ],
)
def test_a_strange_answer_is_no_certain_one(
    storage: Storage, proxy: FaultProxy, raw: bytes
) -> None:
    proxy.answer(raw)
    with pytest.raises(Unavailable):
        storage.head(BUCKET, "object")
    with pytest.raises(Unavailable):
        storage.open(BUCKET, "object")
    with pytest.raises(Unavailable):
        list(storage.list(BUCKET, ""))


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml", "text/xml; charset=utf-8"])
def test_the_certain_answer_is_understood_in_both_xml_types(
    storage: Storage, proxy: FaultProxy, content_type: str
) -> None:
    proxy.answer(answer(404, content_type, NO_SUCH_KEY))
    with pytest.raises(NotFound):
        storage.open(BUCKET, "object")


def test_a_body_that_breaks_off_is_unavailable(storage: Storage, proxy: FaultProxy) -> None:
    proxy.cut_answers(after=200_000)
    with pytest.raises(Unavailable):
        get(storage, BUCKET, "object")


def test_a_put_that_breaks_off_replaces_nothing(storage: Storage, proxy: FaultProxy) -> None:
    proxy.cut_requests(after=200_000)
    with pytest.raises(Unavailable):
        put(storage, BUCKET, "object", b"bad!" * 100_000)
    proxy.heal()
    assert get(storage, BUCKET, "object") == b"good" * 100_000


def test_a_short_outage_is_survived_without_an_error(
    make_storage: Callable[..., Storage], server: S3Server
) -> None:
    storage = make_storage()
    storage.ensure_bucket(BUCKET)
    put(storage, BUCKET, "kept", b"x")
    server.kill()
    with pytest.raises(Unavailable):
        storage.head(BUCKET, "kept")
    server.start()
    assert storage.head(BUCKET, "kept").size == 1


@pytest.mark.parametrize("wrong", [{"access_key": "somebody"}, {"secret_key": "guess"}])
def test_wrong_credentials_are_the_users_fault(
    make_storage: Callable[..., Storage], wrong: dict[str, str]
) -> None:
    storage = make_storage(**wrong)
    with pytest.raises(InvalidInput, match="MINIO_SECRET_KEY") as caught:
        storage.ping()
    assert "guess" not in str(caught.value)
    with pytest.raises(Unavailable, match="MINIO_SECRET_KEY"):
        storage.put(BUCKET, "object", io.BytesIO(b"x"), 1)


def test_missing_settings_are_all_named(make_storage: Callable[..., Storage]) -> None:
    with pytest.raises(InvalidSettings) as caught:
        make_storage(endpoint="", secret_key="")
    assert caught.value.faults == ("MINIO_ENDPOINT is not set", "MINIO_SECRET_KEY is not set")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000/path", "host:port"])
def test_an_endpoint_that_is_none_is_refused(
    make_storage: Callable[..., Storage], endpoint: str
) -> None:
    with pytest.raises(InvalidSettings, match="MINIO_ENDPOINT"):
        make_storage(endpoint=endpoint)
