"""What the caller gets of what a bot's query program said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from the0.errors import NotFound
from the0.queries.models import Answer, QueryFailed
from the0.queries.reply import MAX_TOLD, reply

AT = datetime(2026, 1, 31, 9, 0, 0, 123456, tzinfo=UTC)
STAMP = b',"duration":42,"timestamp":"2026-01-31T09:00:00.123Z"}'

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def told(body: bytes, status: int = 200) -> bytes:
    return reply(Answer(status, body), 42, AT)


@pytest.mark.parametrize(
    ("body", "begins"),
    [
        (b'{"status":"ok","data":[1.10, 1e5]}', b'{"status":"ok","data":[1.10, 1e5]'),
        (b' {"data": {"a":1}, "status": "ok" } \n', b' {"data": {"a":1}, "status": "ok" '),
        (b'{"status":"ok"}', b'{"status":"ok"'),
        (b'{"status":"ok","data":1,"duration":9}', b'{"status":"ok","data":1'),
        (b'{"positions": 1e400}', b'{"status":"ok","data":{"positions": 1e400}'),
        (b"[1]\n", b'{"status":"ok","data":[1]'),
        (b'"text"', b'{"status":"ok","data":"text"'),
        (b'{"status":"fine"}', b'{"status":"ok","data":{"status":"fine"}'),
    ],
)
def test_the_data_come_as_the_bot_wrote_them(body: bytes, begins: bytes) -> None:
    assert told(body) == begins + STAMP


def test_integers_are_exact() -> None:
    number = 10**400 + 1
    assert json.loads(told(b'{"status":"ok","data":%d}' % number))["data"] == number


@given(data=JSON, more=st.dictionaries(st.text(), JSON, max_size=2))
def test_every_good_answer_is_told_in_the_contracts_form(data: Any, more: dict[str, Any]) -> None:
    body = json.dumps({**more, "status": "ok", "data": data})
    found = json.loads(told(body.encode()))
    stamp = {"duration": 42, "timestamp": "2026-01-31T09:00:00.123Z"}
    assert found == {"status": "ok", "data": data, **stamp}


@given(body=st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_bot_answers_is_json_or_refused(body: bytes) -> None:
    try:
        found = json.loads(told(body))
    except QueryFailed as error:
        found = {"status": "ok" if error.message.isprintable() else error.message}
    assert found["status"] == "ok"


@pytest.mark.parametrize(
    ("body", "told_of_it"),
    [
        (b"", "not usable JSON"),
        (b"<html>", "not usable JSON"),
        (b'{"status":"ok","data":[1,', "not usable JSON"),
        (b'{"status":"ok","data":NaN}', "NaN is not a JSON number"),
        (b'\xff\xfe{\x00"\x00', "not usable JSON"),
        ('{"a":1}'.encode("utf-16"), "not usable JSON"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "nested too deeply"),
        (b'{"status":"error","error":"no market"}', "^no market$"),
        (b'{"status":"error"}', "answered 200 and did not say why"),
    ],
)
def test_a_200_that_is_no_good_answer_fails(body: bytes, told_of_it: str) -> None:
    with pytest.raises(QueryFailed, match=told_of_it):
        told(body)


def test_a_404_is_a_path_that_the_bot_does_not_know() -> None:
    body = {"status": "error", "error": "No handler for path: /x", "available": ["/a", "/b"]}
    with pytest.raises(NotFound, match=r"No handler for path: /x \(available: /a, /b\)"):
        told(json.dumps(body).encode(), 404)
    with pytest.raises(NotFound, match="answered 404 and did not say why"):
        told(b"<html>", 404)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with pytest.raises(QueryFailed, match=f"answered {status}; redirects are not followed"):
        told(b'{"status":"ok","data":1}', status)


@pytest.mark.parametrize("status", [400, 401, 413, 500, 503, 504])
def test_every_other_status_is_a_failed_query(status: int) -> None:
    with pytest.raises(QueryFailed, match=r"^broken$"):
        told(b'{"status":"error","error":"broken"}', status)
    with pytest.raises(QueryFailed, match=f"answered {status}"):
        told(b'{"status":"ok","data":1}', status)


def test_a_bots_words_are_made_harmless_and_short() -> None:
    words = "\x1b[2J\nERROR host down\u2028\u202e" + "x" * 10_000
    with pytest.raises(QueryFailed) as failed:
        told(json.dumps({"status": "error", "error": words}).encode(), 500)
    text = failed.value.message
    assert text.isprintable()
    assert text.startswith("\\x1b[2J\\nERROR host down\\u2028\\u202ex")
    assert len(text) <= MAX_TOLD + 1
    hostile = {"status": "error", "error": "x", "available": ["\x1b[2J", {"\n": 1}]}
    with pytest.raises(NotFound) as missing:
        told(json.dumps(hostile).encode(), 404)
    assert missing.value.message.isprintable()
