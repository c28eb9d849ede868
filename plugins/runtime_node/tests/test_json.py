"""JSON of the SDK: whatever Python writes comes back the same, integers of any size included."""

import json
import subprocess
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from the0_runtime_node.manifest import SDK_FOLDER
from the0_runtime_node.tools import NODE

TEXTS = st.one_of(
    st.text(max_size=10),
    st.from_regex(r'["\\]{0,3}-?[0-9]{15,20}["\\]{0,3}', fullmatch=True),
    st.sampled_from(["NaN", "-Infinity", '"', "\\", "\\u0022", "__proto__"]),
)
INTEGERS = st.one_of(st.integers(-(10**40), 10**40), st.integers(2**53 - 2, 2**53 + 2))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(TEXTS, inner)),
    max_leaves=10,
)


def through_node(texts: list[str], program: str) -> list[Any]:
    """What `program` makes of each text `t`, with the functions of the SDK's json at hand."""
    script = f"""
const {{ parseExact, parseNumbers, stringify }} = require("{SDK_FOLDER}/json.js")
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
console.log(JSON.stringify(given.map((t) => {program})))
"""
    ran = subprocess.run(
        [NODE, "-e", script],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(text) for text in json.loads(ran.stdout)]


def same(given: Any, back: Any) -> bool:
    """Equal, where a float may have become the integer that JavaScript writes it as."""
    if isinstance(given, float):
        return float(back) == given
    if isinstance(given, list):
        return len(given) == len(back) and all(map(same, given, back))
    if isinstance(given, dict):
        return given.keys() == back.keys() and all(same(given[key], back[key]) for key in given)
    return bool(given == back)


@given(values=st.lists(VALUES, min_size=1, max_size=30), ascii=st.booleans())
@settings(max_examples=10, deadline=None)
def test_exact_values_come_back_as_they_were(values: list[Any], ascii: bool) -> None:
    texts = [json.dumps(value, ensure_ascii=ascii) for value in values]
    assert same(values, through_node(texts, "stringify(parseExact(t))"))


@given(values=st.lists(st.lists(INTEGERS), min_size=1, max_size=30))
@settings(max_examples=10, deadline=None)
def test_without_exactness_only_integers_that_no_number_holds_change(values: list[Any]) -> None:
    texts = [json.dumps(value) for value in values]
    rounded = through_node(texts, "stringify(parseNumbers(t, 'x', '').map(BigInt))")
    assert rounded == [[int(float(one)) for one in value] for value in values]


def test_a_string_may_have_many_mib() -> None:
    texts = [json.dumps({"blob": piece * 2**22, "id": 2**60}) for piece in ("a1", '"\\')]
    lengths = through_node(texts, "JSON.stringify(parseNumbers(t, 'x', '').blob.length)")
    assert lengths == [2**23, 2**23]


def test_what_javascript_wrote_itself_is_read_without_a_word() -> None:
    texts = [str(2**60), "66752584004515470", "1152921504606847000"]
    found = through_node(texts, "JSON.stringify(typeof parseExact(t))")
    assert found == ["bigint", "number", "number"]
