"""The operation table's own language: names, places of ids, types of paths, and what every row must say."""

import re
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from beam_talonone.schemas.operation import (
    OPERATIONS,
    Operation,
    SafeToRepeat,
    Says,
    api_name,
    operation,
    row_request,
    values_at,
)
from beam_talonone.schemas.operations import get_customer_session, get_loyalty_card_balances
from beam_talonone.schemas.request import Request

NAMES: Final = [
    ("dry", "dry"),
    ("customer_session_id", "customerSessionId"),
    ("run_rule_engine", "runRuleEngine"),
    ("skip", "skip"),
    ("subledger_id", "subledgerId"),
]


@pytest.mark.parametrize(("ours", "apis"), NAMES)
def test_api_names(ours: str, apis: str):
    assert api_name(ours) == apis


def test_names_spelt_oddly_are_those_of_the_api():
    names = {name for row in OPERATIONS.values() for name in (*row.path, *row.query)}
    assert {"customerSessionIDs", "transactionUUIDs"} <= names
    assert all(re.fullmatch(r"[a-z][A-Za-z]*", name) for name in names)


BODY: Final = {
    "one": "a",
    "number": 5,
    "nothing": None,
    "empty": "",
    "list": [{"id": "b"}, {"id": "c"}, {"other": "d"}, {"id": "b"}, "e", {"id": {"deep": "f"}}],
    "ids": ["g", "", 7, None, "g"],
    "in": {"ner": {"id": "h"}},
}

PLACES: Final = [
    (("body:one",), ["a"]),
    (("body:number",), ["5"]),
    (("body:nothing",), []),
    (("body:empty",), []),
    (("body:missing",), []),
    (("body:one/two",), []),
    (("body:list/id/deep",), ["f"]),
    (("body:ids",), ["g", "7"]),
    (("body:in/ner/id",), ["h"]),
    (("path:p",), ["x/y"]),
    (("path:q",), []),
    (("path:p", "body:one", "path:p"), ["x/y", "a"]),
    ((), []),
]


@pytest.mark.parametrize(("places", "found"), PLACES)
def test_values_at(places: tuple[str, ...], found: list[str]):
    assert values_at(places, {"p": "x/y"}, BODY) == found


@pytest.mark.parametrize("body", [None, 5, "text", [], [[]], {"list": "text"}, {"list": {"id": "b"}}])
def test_values_at_in_a_body_of_another_shape(body: Any):
    assert values_at(("body:list/id",), {}, body) in ([], ["b"])
    assert values_at(("body:list/id/more",), {}, body) == []


@given(st.lists(st.lists(st.text(min_size=1)) | st.text(min_size=1)))
def test_values_at_gives_each_once_in_order(values: list[Any]):
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    assert values_at(("body:ids",), {}, {"ids": values}) == list(dict.fromkeys(flat))


ROWS: Final = [pytest.param(row, id=name) for name, row in OPERATIONS.items()]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_whole(row: Operation):
    assert row.purpose.endswith(".")
    assert list(row.path) == re.findall(r"\{(\w+)\}", row.template)
    assert row.body is None or issubclass(row.body, BaseModel)
    assert row.paging is None or {"pageSize", "skip"} <= set(row.query)
    assert all(isinstance(says, Says) and 400 <= status < 500 for status, says in row.says.items())
    assert not (row.is_read and (row.sessions or row.profiles or row.others or row.says or row.bulk))


@pytest.mark.parametrize("row", ROWS)
def test_places_of_a_row_lead_to_ids(row: Operation):
    """A place that is misspelt would hold nothing, and two requests of one customer could pass each other."""
    for place in (*row.sessions, *row.profiles, *(place for _, place in row.others)):
        where, _, rest = place.partition(":")
        if where == "path":
            assert rest in row.path
            continue
        assert row.body is not None
        found: Any = row.body.model_json_schema(by_alias=True)
        defined = found.get("$defs", {})
        for name in rest.split("/"):
            found = field(found, name, defined)
        assert texts(found, defined), place


def resolved(schema: Any, defined: Any) -> list[Any]:
    """The schemas that a schema stands for: what it refers to, its choices but null, a list's entries."""
    if "$ref" in schema:
        return resolved(defined[schema["$ref"].rpartition("/")[2]], defined)
    if "anyOf" in schema:
        return [one for choice in schema["anyOf"] for one in resolved(choice, defined)]
    return resolved(schema["items"], defined) if schema.get("type") == "array" else [schema]


def field(schema: Any, name: str, defined: Any) -> Any:
    (found,) = [one["properties"][name] for one in resolved(schema, defined) if name in one.get("properties", {})]
    return found


def texts(schema: Any, defined: Any) -> bool:
    return any(one.get("type") == "string" for one in resolved(schema, defined))


@pytest.mark.parametrize("row", [row for row in ROWS if row.values[0].bulk is not None])
def test_a_bulks_places_are_in_its_body(row: Operation):
    assert row.bulk is not None
    assert row.body is not None
    assert row.bulk.field in row.body.model_fields


def test_what_is_packed_differs_in_its_list_only():
    """So nothing else may stand in the body of an operation that packs."""
    packs = {name: row for name, row in OPERATIONS.items() if row.bulk is not None and row.bulk.packs}
    assert len(packs) == 3
    for row in packs.values():
        assert row.bulk is not None
        assert row.body is not None
        assert list(row.body.model_fields) == [row.bulk.field]


def test_39_operations_of_which_14_read_and_2_never_go_twice():
    rows = OPERATIONS.values()
    assert len(rows) == 39
    assert sum(row.is_read for row in rows) == 14
    assert [row.name for row in rows if row.repeat is SafeToRepeat.NO] == [
        "create_referral", "create_referrals_for_multiple_advocates",
    ]  # fmt: skip


NAMED: Final = [
    ("generate_loyalty_card", b"{}", SafeToRepeat.NO),
    ("generate_loyalty_card", b'{"cardIdentifier":"card"}', SafeToRepeat.BY_NATURE),
    ("create_audience_v2", b'{"name":"n"}', SafeToRepeat.NO),
    ("create_audience_v2", b'{"name":"n","integrationId":"a"}', SafeToRepeat.BY_NATURE),
    ("delete_customer_data", None, SafeToRepeat.BY_NATURE),
    ("track_event_v2", b"{}", SafeToRepeat.BY_KEY),
]


@pytest.mark.parametrize(("name", "body", "repeat"), NAMED)
def test_a_name_makes_a_repeat_safe(name: str, body: bytes | None, repeat: SafeToRepeat):
    row = OPERATIONS[name]
    assert row.repeats(Request(name, row.method, row.template, {}, {}, body)) is repeat


NUMBERS: Final = [
    ("0", True), ("5", True), ("9" * 18, True), ("9" * 19, False), ("05", False), ("-5", False), ("5.0", False),
    ("", False), (" 5", False), ("5\n", False), ("٥", False), ("²", False), ("x", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "right"), NUMBERS)
def test_numbers_in_a_path_are_texts_of_digits(text: str, right: bool):
    kind: TypeAdapter[Any] = OPERATIONS["delete_audience_v2"].path["audienceId"]
    if right:
        assert kind.validate_python(text) == text
        return
    with pytest.raises(ValidationError):
        kind.validate_python(text)


def test_a_row_called_gives_its_request():
    assert get_customer_session("s/1 ü").target() == "/v2/customer_sessions/s%2F1%20%C3%BC"
    request = get_loyalty_card_balances(5, "card", subledger_id=["a,b", "c"])
    assert (request.path, request.query) == (
        {"loyaltyProgramId": "5", "loyaltyCardId": "card"},
        {"subledgerId": ["a,b", "c"]},
    )
    assert request.target().endswith("/cards/card/balances?subledgerId=a,b&subledgerId=c")
    assert get_loyalty_card_balances(5, "card", subledger_id=None).query == {}


def test_a_function_becomes_a_row(monkeypatch: pytest.MonkeyPatch):
    table = dict(OPERATIONS)

    @operation("GET /v9/things/{thingId}", names={"odd_ids": "oddIDs"})
    def read_thing_for_a_test(thing_id: int, *, odd_ids: bool | None = None, page_size: int | None = None) -> Request:
        """Read a thing."""
        raise NotImplementedError

    row = OPERATIONS.pop("read_thing_for_a_test")
    assert table == OPERATIONS
    assert (row.method, row.template, row.path_names) == ("GET", "/v9/things/{thingId}", ("thingId",))
    assert (list(row.query), row.is_read, row.purpose) == (["oddIDs", "pageSize"], True, "Read a thing.")
    assert read_thing_for_a_test(7, odd_ids=False) == row_request(row, {"thingId": 7, "oddIDs": False})
    assert read_thing_for_a_test(7, odd_ids=False).target() == "/v9/things/7?oddIDs=false"
    with pytest.raises(TypeError):
        read_thing_for_a_test()
