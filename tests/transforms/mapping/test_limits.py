"""No expression does I/O, sees the environment, runs code, or works without bound."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.errors import EvaluationError, ExpressionError, MappingFileError
from beam_talonone.transforms.mapping.expressions.compiler import compiled
from beam_talonone.transforms.mapping.expressions.environment import Environment
from beam_talonone.transforms.mapping.files.loader import load
from beam_talonone.transforms.mapping.functions.table import FUNCTIONS
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.resolve import presets, resolve_mapping

NO_SUCH = (
    "env",
    "getenv",
    "input",
    "open",
    "read",
    "exec",
    "eval",
    "import",
    "now",
    "today",
    "random",
    "http",
    "regex",
)


@pytest.mark.parametrize("name", NO_SUCH)
def test_there_is_no_function_that_reaches_outside(name):
    with pytest.raises(ExpressionError, match="unknown function"):
        compiled(f"{name}(@)", {""}, FUNCTIONS)


def test_the_environment_cannot_be_read(monkeypatch):
    monkeypatch.setenv("TALONONE_API_KEY", "secret-key-1")
    for text in (
        "env",
        "$.env",
        "$ENV",
        "environ",
        "TALONONE_API_KEY",
        "__class__",
        "@.__class__.__init__",
        "keys(@)",
    ):
        try:
            found = compiled(text, {""}, FUNCTIONS)({"a": 1}, Environment({"a": 1}, {}))
        except (ExpressionError, EvaluationError):
            continue
        assert "secret-key-1" not in str(found)
        assert found in (None, ["a"])


def test_a_long_chain_of_variables_is_over_limit():
    chain = "".join(f"  v{number}: concat($v{number - 1}, 'x')\n" for number in range(1, 2000))
    text = f"version: 1\nlet:\n  v0: id\n{chain}profiles:\n  fields: {{customer_id: $v1999, event_time: at}}\n"
    failure = FileMapping("m.yaml", text)({"id": "1", "at": "t"}).failure
    assert (failure.reason, failure.detail) == (
        Reason.OVER_LIMIT, "m.yaml: too many variables that build on one another",
    )  # fmt: skip


def test_attributes_of_python_objects_are_no_fields():
    for value in ("text", 5, Decimal("1.1"), [1], True):
        assert (
            compiled("real || __class__ || upper || append", {""}, FUNCTIONS)(value, Environment(value, {})) is None
        )


WATCHED: list[str] | None = None
"""What the interpreter reports while a test watches: opened files, sockets, processes, imports, compiled code."""


def _watch(event, _):
    if WATCHED is not None and event.split(".")[0] in (
        "open",
        "socket",
        "subprocess",
        "os",
        "import",
        "compile",
        "exec",
    ):
        WATCHED.append(event)


sys.addaudithook(_watch)

EVERYTHING = """
version: 1
profiles:
  fields:
    customer_id: guest(a, mail)
    event_time: time(b, '%d.%m.%Y %H:%M', 'Europe/Berlin', 'later')
    attributes:
      rfc: rfc2822('Fri, 01 May 2026 12:00:00 +0200')
      epoch: epoch(`1`, 's')
      money: minor_units(`1999`, 'EUR')
      digest: sha256(a)
"""


def test_a_loaded_mapping_opens_nothing():
    global WATCHED
    mappings = [*(resolve_mapping(name) for name in presets()), FileMapping("t", EVERYTHING)]
    document = {"a": "c", "b": "29.03.2026 02:30", "line_items": [{"id": 1, "quantity": 1}]}
    for mapping in mappings:
        mapping(document)  # what Python itself loads when a function is used for the first time
    WATCHED = []
    results = [mapping(document) for mapping in mappings]
    seen, WATCHED = WATCHED, None
    assert seen == []
    assert results[-1].records[0].fields["event_time"] == "2026-03-29T01:30:00Z"


def test_the_watch_sees_what_it_is_to_see():
    global WATCHED
    WATCHED = []
    Path(__file__).read_bytes()
    seen, WATCHED = WATCHED, None
    assert "open" in seen


def stopped(text, document, steps=10_000):
    environment = Environment(document, {}, steps)
    with pytest.raises(EvaluationError) as raised:
        compiled(text, {""}, FUNCTIONS)(document, environment)
    assert raised.value.reason is Reason.OVER_LIMIT
    assert environment.left > -steps * 100


ROWS = [{"id": number, "rows": [{"x": 1}] * 20} for number in range(200)]


@pytest.mark.parametrize(
    "text",
    [
        "[].rows[].[$[].rows[].x]",
        "[?$[?id == `1`]]" + "[?$[?id == `1`]]" * 10,
        "map(&map(&position_of($, &id, id), $), @)",
        "[].{a: sort_by($, &id)}",
        "group_rows($, &length($[].rows[]))",
        "[].contains($, @)",
    ],
)
def test_loops_within_loops_end(text):
    stopped(text, ROWS)


@pytest.mark.parametrize(
    "step", ["concat(@, @)", "join('xxxxxxxxxx', split(@, 'a'))", "replace(@, 'a', 'aaaa')", "to_string([@, @])"]
)
def test_texts_do_not_grow_without_bound(step):
    stopped(" | ".join(["'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'", *[step] * 50]), {})


def test_lists_that_double_are_cheap_until_they_are_used():
    doubling = " | ".join(["[`1`, `2`]", *["[@, @]"] * 50])
    for use in ("to_string(@)", "@ == [@, @][0]", "contains([@], @)"):
        twice = f"{{a: {doubling}, b: {doubling}}}"
        stopped(f"{twice} | a == b" if use.startswith("@") else f"{doubling} | {use}" if "to" in use
                else f"{twice} | contains([a], b)", {})  # fmt: skip
    mapping = FileMapping(
        "m",
        f"""
version: 1
profiles:
  fields: {{customer_id: a, event_time: a, attributes: "{{x: {doubling}}}"}}
""",
    )
    assert mapping({"a": "b"}).failure.reason is Reason.OVER_LIMIT


def test_nesting_is_bounded():
    fifty = "[" * 50 + "{}" + "]" * 50
    lets = "\n".join(f'  v{n}: "{fifty.format("@" if n == 0 else f"$v{n - 1}")}"' for n in range(3))
    for use in ("$v2", "to_string($v2)"):
        fields = f"{{customer_id: a, event_time: a, attributes: {{x: {use}}}}}"
        text = f"version: 1\nlet:\n{lets}\nprofiles:\n  fields: {fields}"
        failure = FileMapping("m", text)({"a": "b"}).failure
        assert (failure.reason, "nested deeper" in failure.detail) == (Reason.OVER_LIMIT, True)


@pytest.mark.parametrize(
    "text",
    [
        "multiply(a, a, a, a, a, a, a, a)", "floor(b)", "add(b, `1`)", "minor_units(b, 'EUR')", "sum([b, `1`])",
        "integer(b)", "round(c, `2`)", "decimal(d)",
    ],
)  # fmt: skip
def test_numbers_are_bounded(text):
    document = {
        "a": 10**40 + 1, "b": Decimal("1E+999999999"), "c": Decimal("1E-999999999"), "d": "9" * 5000,
    }  # fmt: skip
    with pytest.raises(EvaluationError):
        compiled(text, {""}, FUNCTIONS)(document, Environment(document, {}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\na: &x [1]\nb: *x", "anchors and aliases"),
        ("version: !!python/object/apply:os.system ['true']", "tags such as"),
        ("version: !!int '1'", "tags such as"),
        ("a: " + "[" * 30 + "]" * 30, "nested deeper"),
        ("#" * 300_000, "at most 256 KiB"),
        ("", "empty"),
        ("a: [", "not YAML"),
        ("a: \x00", "not YAML"),
    ],
)
def test_yaml_that_does_more_than_hold_text_is_refused(text, message):
    with pytest.raises(MappingFileError, match=message):
        load(text)


def test_json_in_texts_counts_as_text():
    """Parsing the same text for each of many elements comes to its end."""
    document = {"rows": [0] * 1000, "body": f"[{'1,' * 20_000}1]"}
    with pytest.raises(EvaluationError) as raised:
        compiled("map(&parse_json($.body), rows)", {""}, FUNCTIONS)(document, Environment(document, {}))
    assert raised.value.reason is Reason.OVER_LIMIT


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "9" * 5000, '"\\ud800"'])
def test_json_in_a_text_that_cannot_be_held_is_refused(text):
    document = {"body": text}
    with pytest.raises(EvaluationError, match="expected JSON in a text"):
        compiled("parse_json(body)", {""}, FUNCTIONS)(document, Environment(document, {}))
