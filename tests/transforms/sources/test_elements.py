"""Rows and dicts of anybody's pipeline as records."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Optional, Union

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.coders.row_coder import RowCoder
from apache_beam.typehints import typehints
from apache_beam.typehints.decorators import TypeCheckError
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.typehints.schemas import typing_to_runner_api
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.reads.prepare import prepare_lookup
from beam_talonone.transforms.sources.elements import as_record, check_records, in_python, plain
from beam_talonone.transforms.sources.prepare import prepare


class Item(NamedTuple):
    sku: str
    quantity: int
    unit_price: Decimal | None = None


NOON = "2026-05-01T12:00:00Z"
DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        ({"a": None, "b": {"c": None}}, {"a": None, "b": {"c": None}}),
        (beam.Row(a=None, b=1), {"b": 1}),
        (beam.Row(a={"x": None}, b=[None]), {"a": {"x": None}, "b": [None]}),
        ({"a": beam.Row(b=None, c="x")}, {"a": {"c": "x"}}),
        ([Item("a", 1)], [{"sku": "a", "quantity": 1}]),
        ((Item("b", 2, Decimal("1.50")),), [{"sku": "b", "quantity": 2, "unit_price": Decimal("1.5")}]),
        (Timestamp.from_rfc3339("2026-05-01T12:00:00.25Z"), "2026-05-01T12:00:00.250000Z"),
        (Timestamp.from_rfc3339(NOON), NOON),
        (MAX_TIMESTAMP, MAX_TIMESTAMP),
        (np.int64(3), 3),
        (np.array([1.5, 2.5]), [1.5, 2.5]),
        (beam.Row(price=Decimal("19.990000000"), n=Decimal("100")), {"price": Decimal("19.99"), "n": Decimal(100)}),
        ({"price": Decimal("19.990")}, {"price": Decimal("19.990")}),
        (datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)),
        (b"x", b"x"),
        (Item, Item),
    ],
)
def test_plain(value: Any, becomes: Any) -> None:
    found = plain(value)
    assert found == becomes
    assert repr(found) == repr(becomes)


def test_what_is_nested_too_deep_is_left_to_who_validates() -> None:
    assert plain(DEEP) is DEEP
    row = beam.Row(a=DEEP)
    assert as_record("orders", row) is row
    assert in_python({"a": DEEP}).altered


@pytest.mark.parametrize(
    ("kind", "element", "becomes"),
    [
        ("orders", beam.Row(order_id="o", customer_id=None), {"order_id": "o", "customer_id": None}),
        ("orders", beam.Row(order_id="o"), {"order_id": "o"}),
        ("profiles", beam.Row(customer_id=None, erase=True), {"erase": True}),
        ("calls", beam.Row(call_id="c", body='{"a": null}'), {"call_id": "c", "body": {"a": None}}),
        ("calls", beam.Row(call_id="c", body="no JSON"), {"call_id": "c", "body": "no JSON"}),
        ("calls", {"call_id": "c", "body": '{"a": 1}'}, {"call_id": "c", "body": '{"a": 1}'}),
        ("orders", "text", "text"),
        ("orders", ["a"], ["a"]),
    ],
)
def test_as_record(kind: str, element: Any, becomes: Any) -> None:
    assert as_record(kind, element) == becomes


ROW = beam.Row(
    order_id="o1",
    customer_id="c1",
    status="completed",
    event_time=Timestamp.from_rfc3339(NOON),
    items=[beam.Row(sku="a", quantity=2, unit_price=Decimal("19.99"), attributes=beam.Row(color="red", size=None))],
    store_id=None,
    attributes={"note": None},
)
DICT = {
    "order_id": "o1",
    "customer_id": "c1",
    "status": "completed",
    "event_time": NOON,
    "items": [{"sku": "a", "quantity": 2, "unit_price": Decimal("19.99"), "attributes": {"color": "red"}}],
    "attributes": {"note": None},
}


def test_a_row_makes_the_request_that_its_dict_makes() -> None:
    works = []
    for element in (ROW, DICT):
        prepared = prepare(Raw("orders", "", 0, "dict", None, as_record("orders", element), None), BuildOptions())
        assert prepared.problem is None
        assert prepared.work is not None
        works.append(prepared.work)
    assert works[0] == works[1]


def test_a_row_that_went_through_its_coder_is_the_same() -> None:
    """After a shuffle, a row is of a class that Beam made of the schema."""
    item = RowTypeConstraint.from_fields([("sku", str), ("quantity", int), ("size", Optional[str])])  # noqa: UP045
    type_ = RowTypeConstraint.from_fields(
        [("order_id", str), ("event_time", Timestamp), ("items", list[item]), ("store_id", Optional[str])]  # noqa: UP045
    )
    row = beam.Row(
        order_id="o", event_time=Timestamp(0), items=[beam.Row(sku="a", quantity=1, size=None)], store_id=None
    )
    coder = RowCoder(typing_to_runner_api(type_).row_type.schema)
    decoded = coder.decode(coder.encode(row))
    assert type(decoded) is not beam.Row
    assert as_record("orders", decoded) == {
        "order_id": "o",
        "event_time": "1970-01-01T00:00:00Z",
        "items": [{"sku": "a", "quantity": 1}],
    }


@pytest.mark.parametrize(
    ("type_", "refused"),
    [
        (str, True),
        (bytes, True),
        (int, True),
        (tuple[str, dict[str, Any]], True),
        (list[dict[str, Any]], True),
        (Union[str, int], True),  # noqa: UP007
        (Union[dict[str, Any], str], False),  # noqa: UP007
        (dict[str, Any], False),
        (dict, False),
        (Any, False),
        (Item, False),
        (RowTypeConstraint.from_fields([("order_id", str)]), False),
        (object, False),
    ],
)
def test_check_records(type_: Any, refused: bool) -> None:
    element_type = typehints.normalize(type_)
    if refused:
        with pytest.raises(TypeCheckError, match="WriteIt takes records"):
            check_records(element_type, "WriteIt")
    else:
        check_records(element_type, "WriteIt")


@pytest.mark.parametrize(
    ("kind", "field", "id_", "kept"),
    [
        ("orders", "order_id", "o1", "o1"),
        ("orders", "order_id", 17, "17"),
        ("orders", "order_id", b"o1", None),
        ("orders", "order_id", True, None),
        ("orders", "order_id", "", None),
        pytest.param("orders", "order_id", 10**5000, None, id="many digits"),
        pytest.param("orders", "order_id", "\ud800", None, id="a surrogate"),
        ("returns", "return_id", "r1", "r1"),
        ("profiles", "customer_id", "c1", "c1"),
        ("events", "event_id", "e1", "e1"),
        ("calls", "call_id", "k1", "k1"),
    ],
)
@pytest.mark.parametrize(
    "value", [b"x", {1, 2}, object(), float("nan"), Decimal("Infinity"), [b"x"], pytest.param(DEEP, id="deep")]
)
def test_a_value_that_json_cannot_carry_costs_no_id(
    kind: str, field: str, id_: Any, kept: str | None, value: Any
) -> None:
    record = {"attributes": {"x": value}, field: id_, "event_time": NOON}
    prepared = prepare(Raw(kind, "", 0, "dict", None, record, None), BuildOptions())
    assert prepared.work is None
    assert prepared.problem is not None
    assert prepared.problem.reason in (Reason.INVALID_FIELD, Reason.BAD_ROW)
    assert prepared.id_or_none() == kept


def test_a_lookup_keeps_its_id_too() -> None:
    fields = {"lookup_id": "a", "path": {"customerSessionId": b"x"}}
    prepared = prepare_lookup(
        Raw("lookups", "", 0, "dict", None, fields, None), "get_customer_session", BuildOptions()
    )
    assert (prepared.work, prepared.id_or_none()) == (None, "a")


@pytest.mark.parametrize("depth", [90, 300, 450, 600, 900, 5000])
def test_a_deep_record_can_be_shown_whatever_its_depth(depth: int) -> None:
    record: dict[str, Any] = {}
    for _ in range(depth):
        record = {"a": record}
    found = in_python(plain(record))
    assert json.loads(json.dumps(found.record))
    assert found.altered or found.record == record


class Odd:
    """A value whose attributes cannot even be asked for."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def test_a_value_that_raises_when_it_is_looked_at_is_shown_in_words() -> None:
    found = in_python(plain({"a": Odd()}))
    assert found.altered
    assert json.dumps(found.record)
