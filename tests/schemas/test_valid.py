"""The usual form of records: what is read without the models is what the models make of it, and as refused."""

import json
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from beam_talonone.schemas import jsonio, records, valid
from beam_talonone.schemas.decoding import parse as parsing
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse, parse_line
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.schemas.records import MODELS
from beam_talonone.schemas.valid import VALID, usual_record
from beam_talonone.talonone.requests.build import BuildOptions, build

T = "2026-05-01T12:00:00Z"
RICH = {
    "orders": {
        "order_id": "o", "customer_id": "c", "status": "completed", "event_time": T, "version": 3, "store_id": "s",
        "items": [
            {
                "sku": "tea", "quantity": 2, "unit_price": "19.90", "name": "Tea", "category": "drinks",
                "product": {"name": "Teas"}, "weight": "0.5", "height": 1, "width": Decimal("2.50"), "length": "3",
                "attributes": {"a": None}, "additional_costs": {"wrap": "0.10", "none": None},
            },
            {"sku": 7, "quantity": 1},
        ],
        "coupon_codes": ["X"], "referral_code": "R", "loyalty_card": "L", "additional_costs": {"shipping": 5},
        "identifiers": ["i"], "attributes": {"note": None, "deep": {"x": [1, Decimal("1.50")]}},
        "experiment_variant_allocations": [{"experiment_id": 1, "variant_id": 2}],
        "evaluable_campaign_ids": [1, 2], "response_content": ["loyalty"],
    },
    "returns": {
        "return_id": "r", "order_id": "o", "customer_id": "c", "event_time": T,
        "items": [{"sku": "tea", "quantity": 2}, {"position": 0, "quantity": 1}],
        "run_rule_engine": True, "response_content": ["loyalty"],
    },
    "profiles": {
        "customer_id": "c", "event_time": T, "version": 1, "attributes": {"a": 1},
        "audiences": {"add": [1, 2], "remove": [3]}, "erase": True,
    },
    "events": {
        "event_id": "e", "type": "view", "customer_id": "c", "event_time": T, "attributes": {"a": 1},
        "loyalty_card": "L", "store_id": "s", "connected_session_id": "o", "evaluable_campaign_ids": [1],
        "response_content": ["loyalty"],
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", VALID)
def test_rich_records_are_usual(kind):
    assert usual_record(kind, RICH[kind], AS_USUAL) is not None
    numbers = {name: 3001 if name.endswith(("_id", "card")) else value for name, value in RICH[kind].items()}
    assert usual_record(kind, numbers, AS_USUAL) is not None
    nulls = {name: None for name, field in MODELS[kind].model_fields.items() if field.default is None}
    needed = {name: value for name, value in RICH[kind].items() if name not in nulls or name == "items"}
    assert usual_record(kind, {**nulls, **needed}, AS_USUAL) is not None


@pytest.mark.parametrize(
    ("struct", "model"),
    [
        *((struct, MODELS[kind]) for kind, struct in VALID.items()),
        (valid.ValidItem, records.OrderItem),
        (valid.ValidProduct, records.OrderProduct),
        (valid.ValidAllocation, records.ExperimentVariantAllocation),
        (valid.ValidReturnItem, records.ReturnItem),
        (valid.ValidAudiences, records.Audiences),
    ],
    ids=lambda kind: kind.__name__,
)
def test_a_struct_has_the_fields_of_its_model(struct: type[msgspec.Struct], model: type[BaseModel]):
    of_struct = {field.name: None if field.required else field.default for field in msgspec.structs.fields(struct)}
    of_model = {name: None if field.is_required() else field.default for name, field in model.model_fields.items()}
    assert of_struct == of_model
    assert {field.name for field in msgspec.structs.fields(struct) if field.required} == {
        name for name, field in model.model_fields.items() if field.is_required()
    }


WORDS = st.sampled_from(["open", "loyalty", "tea", "", "\ud800", "a" * 101, "a" * 1001, T, "2026-05-01T12:00:00"])
NUMBERS = st.integers(-2, 3) | st.sampled_from([2**63, -(2**63), 2**64, 10_001, 10**40, 10**5000])
PRICES = st.from_regex(r"-?(0|[1-9]\d{0,3})(\.\d{0,3})?([eE]-?\d\d?)?", fullmatch=True)
SCALARS = (
    st.none() | st.booleans() | NUMBERS | WORDS | PRICES | st.text(max_size=3)
    | st.decimals(allow_nan=True) | st.floats() | st.sampled_from([Decimal("3.0"), Decimal("1e-9"), -0.0, b"x"])
)  # fmt: skip
TIMES = st.datetimes(timezones=st.none() | st.just(ZoneInfo("Europe/Berlin"))) | st.from_regex(
    r"20[0-2]\d-[01]\d-[0-3]\d[Tt ][0-2]\d:[0-5]\d:(59|60)(\.\d{1,8})?([Zz]|[+-][0-2]\d:[0-5]\d)?", fullmatch=True
)


def values_like(value):
    """Values of the shape of `value`, sometimes with entries left out or added, and sometimes something else."""
    if isinstance(value, dict):
        return changed(value)
    if isinstance(value, list):
        entries = st.lists(st.one_of(*map(values_like, value)), max_size=3)
        return entries | entries.map(tuple) | SCALARS
    return st.just(value) | SCALARS


@st.composite
def changed(draw, fields):
    """A few fields changed, left out or added. Most stay, so that many records are valid."""
    result = dict(fields)
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True)):
        if draw(st.integers(0, 3)) == 0:
            del result[name]
        else:
            result[name] = draw(TIMES if name == "event_time" else values_like(fields[name]))
    if draw(st.integers(0, 4)) == 0:
        result[draw(st.sampled_from(["shoe", "price", "experimentID", "\ud800", 1]))] = draw(SCALARS)
    return result


READINGS = st.sampled_from(
    [
        AS_USUAL,
        Reading(unknown_fields="ignore"),
        Reading(unknown_fields="refuse"),
        Reading(ZoneInfo("Europe/Berlin")),
        Reading(ZoneInfo("Europe/Berlin"), ambiguous_time="later"),
    ]
)


def outcome(kind, fields, reading):
    """All that a caller sees of a record: the record with the types of its values and its work, or the problem."""
    try:
        parsed = parse(kind, fields, reading)
        work = build(kind, parsed.record, BuildOptions(events_api="v3"))
    except InvalidRecord as problem:
        return problem.reason, problem.detail, problem.pointer, problem.fields
    except TypeError as error:  # a name that is no text, within attributes: readers of files and messages yield none
        return str(error)
    return repr(parsed), work.to_bytes()


@settings(max_examples=400)
@given(st.sampled_from(sorted(VALID)), st.data(), READINGS)
def test_a_record_is_read_as_by_its_model(kind, data, reading):
    fields = dict(data.draw(changed(RICH[kind])))
    usual = outcome(kind, fields, reading)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "usual_record", lambda *_: None)
        assert usual == outcome(kind, fields, reading)


@pytest.mark.parametrize("kind", VALID)
def test_rich_records_are_usual_as_lines(kind):
    line = json.dumps(RICH[kind], default=float).encode()
    parsed = parse_line(kind, line)
    assert parsed is not None
    assert repr(parsed) == repr(parse(kind, jsonio.loads(line)))
    assert parse_line("calls", line) is None


DEEP = {**RICH["profiles"], "attributes": {"deep": json.loads("[" * 99 + "]" * 99)}}
FAR = {**RICH["profiles"], "attributes": {"n": 10**40, "x": 1e-300}}


@settings(max_examples=400)
@given(st.sampled_from(sorted(VALID)), st.data(), READINGS)
def test_a_line_is_read_as_its_fields_are(kind, data, reading):
    _check_line(kind, dict(data.draw(changed(RICH[kind]))), reading)


@pytest.mark.parametrize("ids", ["\ud800", "a\udc00\ud800", 2**63, 3.0, -0.0, True, ["c"], "\0"])
@pytest.mark.parametrize("time", [T, "2026-05-01 12:00:00z", "2026-05-01T12:00:60.1234567+02:00", 1, None])
@pytest.mark.parametrize("fields", [RICH["profiles"], DEEP, FAR])
def test_an_odd_line_is_read_as_its_fields_are(fields, ids, time):
    _check_line("profiles", {**fields, "event_time": time}, AS_USUAL)
    _check_line("profiles", {**fields, "customer_id": ids, "event_time": time}, AS_USUAL)
    _check_line("profiles", {**fields, "attributes": {"a": ids}}, AS_USUAL)
    _check_line("profiles", {**fields, "attributes": {str(ids): 1}}, AS_USUAL)


def _check_line(kind, fields, reading):
    try:
        line = json.dumps(fields, default=str).encode()
    except ValueError:  # an integer of thousands of digits
        return
    parsed = parse_line(kind, line, reading)
    if parsed is None:
        return
    assert repr(parsed) == repr(parse(kind, jsonio.loads(line), reading))
    work = build(kind, parsed.record, BuildOptions(events_api="v3"))
    assert work == build(kind, parse(kind, jsonio.loads(line), reading).record, BuildOptions(events_api="v3"))


@given(PRICES | NUMBERS | st.decimals() | st.floats())
@example("0.00000001")
@example(Decimal("1E+3"))
@example(-0.0)
def test_amounts_are_those_of_the_model(price):
    order = {**RICH["orders"], "items": [{"sku": "a", "quantity": 1, "unit_price": price}]}
    usual = outcome("orders", order, AS_USUAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "usual_record", lambda *_: None)
        assert usual == outcome("orders", order, AS_USUAL)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Decimal("1.5"), Decimal("1.5" + "0" * 40)),
        (1, True),
        (Decimal("1E+29"), Decimal(10**30)),
        ("1.5", "1.5" + "0" * 40),
    ],
)
def test_an_amount_is_judged_alike_whatever_came_before(first, second):
    """The prices of other records are remembered."""
    orders = [
        {**RICH["orders"], "items": [{"sku": "a", "quantity": 1, "unit_price": price}]} for price in (first, second)
    ]
    forwards = [outcome("orders", order, AS_USUAL) for order in orders]
    valid._remembered.cache_clear()
    backwards = [outcome("orders", order, AS_USUAL) for order in reversed(orders)]
    assert forwards == backwards[::-1]
