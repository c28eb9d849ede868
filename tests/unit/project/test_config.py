"""bot-config.yaml: every fault by file and key, nothing that a stranger's file can break."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.project.builders import CONFIG, FILES, SCHEMA, reader
from the0.errors import InvalidInput
from the0.models import BotType
from the0.project import read_config

pytestmark = pytest.mark.usefixtures("schemas_here")


def faults_of(**changed: str) -> tuple[str, ...]:
    files = {**FILES, **{name.replace("__", "."): text for name, text in changed.items()}}
    with pytest.raises(InvalidInput) as caught:
        read_config(reader(files))
    return caught.value.faults


def config_with(**keys: str) -> dict[str, str]:
    lines = [line for line in CONFIG.splitlines() if line.partition(":")[0] not in keys]
    return {**FILES, "bot-config.yaml": "\n".join([*lines, *keys.values()])}


def test_a_sound_project() -> None:
    config = read_config(reader(FILES))
    assert (config.name, config.version, config.type) == ("my-bot", "1.2.3", BotType.REALTIME)
    assert config.entrypoints == {"bot": "main.py", "query": "query.py"}
    assert config.document["schema"] == {"bot": SCHEMA}
    assert config.document["readme"] == "# My bot\n"
    assert config.document["metadata"] == {"tags": ["a"], "since": "2024-01-01"}
    assert set(config.files) == set(FILES)
    json.dumps(config.document)


def test_the_runtime_has_a_default() -> None:
    files = config_with(runtime="")
    assert read_config(reader(files)).runtime == "python3.11"


@pytest.mark.parametrize(
    ("key", "line", "expected"),
    [
        ("name", "name: a/b", "bot-config.yaml: name: must be 1 to 63"),
        ("name", "", "bot-config.yaml: name: must be 1 to 63"),
        ("name", "name: 123", "bot-config.yaml: name: must be text; put 123 in quotes"),
        ("metadata", "metadata: {x: .nan}", "bot-config.yaml: metadata.x is nan, which JSON cann"),
        ("metadata", f"metadata: {'[' * 70}{']' * 70}", "bot-config.yaml: metadata[0][0]"),
        ("version", "version: 1.0", "bot-config.yaml: version: 1.0 is not a version"),
        ("version", "version: v1.0.0", "bot-config.yaml: version: 'v1.0.0' is not a version"),
        ("type", "type: hourly", "bot-config.yaml: type: must be realtime or scheduled"),
        ("type", "type: [1]", "bot-config.yaml: type: must be realtime or scheduled"),
        ("runtime", "runtime: 3.11", "bot-config.yaml: runtime: must be the name"),
        ("author", "author: [me]", "bot-config.yaml: author: must be text"),
        ("readme", "readme: GONE.md", "bot-config.yaml: readme: there is no file GONE.md"),
        ("readme", "readme: ../x", "bot-config.yaml: readme: '../x' is not a path inside"),
        ("readme", "readme: 7", "bot-config.yaml: readme: 7 is not a path inside"),
    ],
)
def test_each_fault_names_file_and_key(key: str, line: str, expected: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_config(reader(config_with(**{key: line})))
    (fault,) = caught.value.faults
    assert fault.startswith(expected)


def test_all_faults_come_at_once() -> None:
    faults = faults_of(**{"bot-config__yaml": "name: '!'\nentrypoints: {query: q.py}\n"})
    keys = {fault.split(": ")[1] for fault in faults}
    assert keys == {"name", "version", "type", "entrypoints.bot", "schema.bot"}


def test_entrypoints_must_exist_and_be_known() -> None:
    text = CONFIG.replace("query: query.py", "query: gone.py\n  cron: main.py")
    faults = faults_of(**{"bot-config__yaml": text})
    assert faults == (
        "bot-config.yaml: entrypoints.query: there is no file gone.py",
        "bot-config.yaml: entrypoints.cron: is not one of bot, query, backtest",
    )


def test_paths_are_taken_as_the_archive_has_them() -> None:
    files = {**FILES, "bot-config.yaml": CONFIG.replace("main.py", "./main.py")}
    config = read_config(reader(files))
    assert config.entrypoints["bot"] == "./main.py"
    assert set(config.files) == set(FILES)


def test_what_mongodb_cannot_hold_is_refused_in_a_schema_too() -> None:
    faults = faults_of(**{"bot-schema__json": '{"default": NaN}'})
    assert faults == ("bot-config.yaml: schema.bot.default is nan, which JSON cannot say",)


def test_what_no_document_of_mongodb_could_hold_is_refused() -> None:
    large = json.dumps({"examples": [1] * 300_000})
    more = CONFIG.replace("bot: bot-schema.json", "bot: bot-schema.json\n  b: l.json\n  c: l.json")
    faults = faults_of(**{"bot-config__yaml": more, "l__json": large, "README__md": large})
    assert faults == (
        "bot-config.yaml: readme: README.md makes readme and schemas over 2097152 bytes together",
    )
    many = "".join(f"\n  s{number}: bot-schema.json" for number in range(10))
    faults = faults_of(**{"bot-config__yaml": CONFIG.replace("bot-schema.json", f"x{many}")})
    assert faults == ("bot-config.yaml: schema: names 11 files; 10 are the most",)


def test_the_class_of_a_jar_is_no_part_of_its_name() -> None:
    files = {**FILES, "app.jar": ""}
    files["bot-config.yaml"] = CONFIG.replace("bot: main.py", "bot: app.jar:Main")
    assert "app.jar" in read_config(reader(files)).files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nonsense", "bot-schema.json: not JSON"),
        ("[]", "bot-schema.json: $: a schema is a JSON object"),
        ('{"type": "strng"}', "bot-schema.json: $.type: "),
        (
            '{"properties": {"a": {"minimum": "1"}}}',
            "bot-schema.json: $.properties.a.minimum: is not of type 'number'",
        ),
        ('{"$ref": "http://127.0.0.1/x"}', "bot-schema.json: $.$ref: 'http://127.0.0.1/x' is out"),
        ('{"$ref": "#/definitions/x"}', "bot-schema.json: $: the schema has a $ref that leads"),
        ('{"$ref": "#"}', "bot-schema.json: $: the schema refers to itself without end"),
        (
            '{"$ref": "#/properties/a/minimum", "properties": {"a": {"minimum": 3}}}',
            "bot-schema.json: $: the schema has a $ref to something that is no schema",
        ),
        (
            '{"properties": {"a": {"pattern": "["}}}',
            "bot-schema.json: $.properties.a.pattern: '[' is no regular expression in Python's",
        ),
        (
            '{"definitions": {"a": {"pattern": "^(?<x>a)"}}}',
            "bot-schema.json: $.definitions.a.pattern: '^(?<x>a)' is no regular expression in Pyt",
        ),
        (
            r'{"patternProperties": {"\\p{L}": {}}}',
            r"bot-schema.json: $.patternProperties: '\\p{L}' is no regular expression in Python's",
        ),
        (
            '{"pattern": "a{99999999999999999999}"}',
            "bot-schema.json: $.pattern: 'a{99999999999999999999}' is no regular expression in Py",
        ),
    ],
)
def test_schemas_are_checked_by_path(text: str, expected: str) -> None:
    (fault,) = faults_of(**{"bot-schema__json": text})
    assert fault.startswith(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "not usable YAML"),
        ("- a", "must be a mapping"),
        ("", "must be a mapping"),
        ("a: &x [1]\nb: [*x, *x]", "aliases"),
        ("a: !!python/object/apply:os.system [id]", "not usable YAML"),
        ("a: 1\nb: {c: 1, c: 2}", "line 2: the key 'c' stands twice"),
        ("a: 1\n2024-01-01: x", "line 1: the key '2024-01-01' is a date; put it in quotes"),
        ("? !!binary aGk=\n: x", "is a bytes; put it in quotes"),
        ("a: !!binary aGk=", "a value of the type bytes"),
        ("a: !!int ''", "line 1: this is no int of YAML"),
        ("a: !!timestamp foo", "line 1: this is no timestamp of YAML"),
        ("a: !!bool foo", "line 1: this is no bool of YAML"),
        ("a: 2024-13-45", "line 1: this is no timestamp of YAML"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("a: b\n" + "# long\n" * 10_000, "over 65536 bytes"),
    ],
)
def test_what_is_no_plain_yaml_mapping_is_refused(text: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        read_config(reader({**FILES, "bot-config.yaml": text}))


def test_a_missing_configuration_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"no bot-config\.yaml"):
        read_config(reader({}))


@given(st.text(max_size=200) | st.dictionaries(st.text(), st.text()).map(json.dumps))
def test_any_text_is_either_a_project_or_a_clear_error(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_config(reader({**FILES, "bot-config.yaml": text}))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_clear_error(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_config(lambda _: content)
