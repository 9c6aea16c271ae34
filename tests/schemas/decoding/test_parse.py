"""From objects to records: what is taken, what is refused, and what the refusal says."""

import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.decode import decode, plain_json
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.schemas.decoding.shown import shown
from beam_talonone.schemas.kinds import rank
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import MODELS
from beam_talonone.schemas.valid import VALID

T = "2026-05-01T12:00:00Z"
ITEM = {"sku": "tea", "quantity": 1}
GOOD = {
    "orders": {"order_id": "o", "customer_id": "c", "status": "completed", "event_time": T, "items": []},
    "returns": {"return_id": "r", "order_id": "o", "event_time": T, "items": [ITEM]},
    "profiles": {"customer_id": "c", "event_time": T},
    "events": {"event_id": "e", "type": "view", "customer_id": "c", "event_time": T},
    "calls": {"call_id": "k", "operation": "delete_customer_data", "event_time": T},
}


@pytest.mark.parametrize("kind", GOOD)
def test_the_least_of_each_kind(kind):
    parsed = parse(kind, GOOD[kind])
    assert type(parsed.record) is VALID.get(kind, MODELS[kind])
    assert parsed.record.event_time == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert parsed.unknown_fields == 0


def test_unknown_fields_are_counted_and_ignored():
    parsed = parse("profiles", {**GOOD["profiles"], "shoe": 1, "hat": None})
    assert parsed.unknown_fields == 2
    assert parsed.record == parse("profiles", GOOD["profiles"]).record


@pytest.mark.parametrize("kind", GOOD)
def test_null_is_absent(kind):
    nulls = {name: None for name in MODELS[kind].model_fields if name not in GOOD[kind]}
    assert parse(kind, {**GOOD[kind], **nulls}).record == parse(kind, GOOD[kind]).record
    for name in GOOD[kind]:
        if name == "customer_id" and kind == "orders":
            continue
        for broken in ({**GOOD[kind], name: None}, {k: v for k, v in GOOD[kind].items() if k != name}):
            with pytest.raises(InvalidRecord) as caught:
                parse(kind, broken)
            assert (caught.value.reason, caught.value.pointer) == (Reason.MISSING_FIELD, f"/{name}")


def test_an_order_without_customer_says_so_with_null():
    assert parse("orders", {**GOOD["orders"], "customer_id": None}).record.customer_id is None
    absent = {name: value for name, value in GOOD["orders"].items() if name != "customer_id"}
    with pytest.raises(InvalidRecord) as caught:
        parse("orders", absent)
    assert caught.value.reason is Reason.MISSING_FIELD


def test_null_within_a_record():
    order = {**GOOD["orders"], "items": [{**ITEM, "name": None, "unit_price": None, "additional_costs": {"x": None}}]}
    assert parse("orders", order).record.items[0].name is None
    assert parse("profiles", {**GOOD["profiles"], "attributes": {"a": None}}).record.attributes == {"a": None}


def order(**fields):
    return "orders", {**GOOD["orders"], **fields}


def items(*entries):
    return order(items=list(entries))


INVALID = [
    (order(status="shipped"), Reason.INVALID_FIELD, "/status"),
    (order(order_id=""), Reason.INVALID_FIELD, "/order_id"),
    (order(order_id=True), Reason.INVALID_FIELD, "/order_id"),
    (order(order_id="x" * 1001), Reason.OVER_LIMIT, "/order_id"),
    (order(order_id="\ud800"), Reason.INVALID_FIELD, "/order_id"),
    (order(order_id=10**5000), Reason.INVALID_FIELD, "/order_id"),
    (order(event_time="2026-05-01T12:00:00"), Reason.NAIVE_TIME, "/event_time"),
    (order(event_time="yesterday"), Reason.INVALID_FIELD, "/event_time"),
    (order(event_time=5), Reason.INVALID_FIELD, "/event_time"),
    (order(version="1"), Reason.INVALID_FIELD, "/version"),
    (order(version=True), Reason.INVALID_FIELD, "/version"),
    (order(version=2**63), Reason.INVALID_FIELD, "/version"),
    (items(*[ITEM] * 1001), Reason.OVER_LIMIT, "/items"),
    (items({**ITEM, "quantity": 10_001}), Reason.OVER_LIMIT, "/items"),
    (items(ITEM, {**ITEM, "quantity": 10_000}), Reason.OVER_LIMIT, "/items"),
    (items(ITEM, {**ITEM, "quantity": 0}), Reason.INVALID_FIELD, "/items/1/quantity"),
    (items({**ITEM, "quantity": -1}), Reason.INVALID_FIELD, "/items/0/quantity"),
    (items({**ITEM, "quantity": True}), Reason.INVALID_FIELD, "/items/0/quantity"),
    (items({**ITEM, "quantity": Decimal("1.5")}), Reason.INVALID_FIELD, "/items/0/quantity"),
    (items({**ITEM, "quantity": "1"}), Reason.INVALID_FIELD, "/items/0/quantity"),
    (items({**ITEM, "quantity": None}), Reason.MISSING_FIELD, "/items/0/quantity"),
    (items({"quantity": 1}), Reason.MISSING_FIELD, "/items/0/sku"),
    (items({**ITEM, "sku": ""}), Reason.INVALID_FIELD, "/items/0/sku"),
    (items({**ITEM, "unit_price": "1,5"}), Reason.INVALID_FIELD, "/items/0/unit_price"),
    (items({**ITEM, "unit_price": float("nan")}), Reason.INVALID_FIELD, "/items/0/unit_price"),
    (items({**ITEM, "unit_price": "1" * 31}), Reason.OVER_LIMIT, "/items/0/unit_price"),
    (items({**ITEM, "unit_price": 10**5000}), Reason.OVER_LIMIT, "/items/0/unit_price"),
    (items({**ITEM, "additional_costs": {"a/b~c": "x"}}), Reason.INVALID_FIELD, "/items/0/additional_costs/a~1b~0c"),
    (items(None), Reason.INVALID_FIELD, "/items/0"),
    (order(items={}), Reason.INVALID_FIELD, "/items"),
    (order(coupon_codes=["c" * 101]), Reason.OVER_LIMIT, "/coupon_codes/0"),
    (order(coupon_codes=[None]), Reason.INVALID_FIELD, "/coupon_codes/0"),
    (order(referral_code="c" * 101), Reason.OVER_LIMIT, "/referral_code"),
    (order(identifiers=["a"] * 6), Reason.OVER_LIMIT, "/identifiers"),
    (order(attributes=[]), Reason.INVALID_FIELD, "/attributes"),
    (order(attributes={1: 2}), Reason.INVALID_FIELD, "/attributes/1"),
    (order(customer_id=""), Reason.INVALID_FIELD, "/customer_id"),
    (("returns", {**GOOD["returns"], "items": []}), Reason.INVALID_FIELD, "/items"),
    (("returns", {**GOOD["returns"], "items": [{"quantity": 1}]}), Reason.INVALID_FIELD, "/items/0"),
    (("returns", {**GOOD["returns"], "items": [{**ITEM, "position": 0}]}), Reason.INVALID_FIELD, "/items/0"),
    (
        ("returns", {**GOOD["returns"], "items": [{"position": -1, "quantity": 1}]}),
        Reason.INVALID_FIELD,
        "/items/0/position",
    ),
    (("profiles", {**GOOD["profiles"], "erase": "true"}), Reason.INVALID_FIELD, "/erase"),
    (("profiles", {**GOOD["profiles"], "audiences": {"add": ["1"]}}), Reason.INVALID_FIELD, "/audiences/add/0"),
    (
        ("profiles", {**GOOD["profiles"], "audiences": {"add": [1], "remove": [1]}}),
        Reason.INVALID_FIELD,
        "/audiences",
    ),
    (
        ("profiles", {**GOOD["profiles"], "audiences": {"add": list(range(1001))}}),
        Reason.OVER_LIMIT,
        "/audiences/add",
    ),
    (
        ("profiles", {**GOOD["profiles"], "audiences": {"add": list(range(600)), "remove": list(range(600, 1200))}}),
        Reason.OVER_LIMIT,
        "/audiences",
    ),
    (("events", {**GOOD["events"], "type": ""}), Reason.INVALID_FIELD, "/type"),
    (("calls", {**GOOD["calls"], "path": {"integrationId": None}}), Reason.MISSING_FIELD, "/path/integrationId"),
]


@pytest.mark.parametrize(("given_record", "reason", "pointer"), INVALID)
def test_invalid_records_say_what_and_where(given_record, reason, pointer):
    with pytest.raises(InvalidRecord) as caught:
        parse(*given_record)
    assert (caught.value.reason, caught.value.pointer) == (reason, pointer)
    assert pointer.lstrip("/") in caught.value.detail
    assert len(caught.value.detail) < 400


def test_at_the_limits():
    entries = [{**ITEM, "quantity": 10}] * 1000
    given_order = {
        **GOOD["orders"],
        "items": entries,
        "identifiers": ["a"] * 5,
        "coupon_codes": ["c" * 100],
        "order_id": "x" * 1000,
        "version": 2**63 - 1,
    }
    assert len(parse("orders", given_order).record.items) == 1000


TOKYO = Reading(ZoneInfo("Asia/Tokyo"))


def test_a_zone_may_be_assumed():
    record = parse("events", {**GOOD["events"], "event_time": "2026-05-01T12:00:00"}, TOKYO).record
    assert record.event_time == datetime(2026, 5, 1, 3, tzinfo=UTC)


def test_the_order_of_kinds_at_one_time():
    records = {kind: parse(kind, GOOD[kind]).record for kind in GOOD}
    erasure = parse("profiles", {**GOOD["profiles"], "erase": True}).record
    ranks = [rank(kind, records[kind]) for kind in ("profiles", "orders", "events", "returns", "calls")]
    assert [*ranks, rank("profiles", erasure)] == sorted({*ranks, rank("profiles", erasure)})


NAMES = sorted({name for model in MODELS.values() for name in model.model_fields} | {"sku", "quantity", "add", "zzz"})
TEXT = st.text(max_size=8) | st.sampled_from([T, "open", "1.5", "a"]) | st.text(st.characters(), max_size=4)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**4000, -(10**40)])
    | st.decimals()
    | st.floats()
    | TEXT
)
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_parse_never_raises_anything_else(kind, data):
    keep = data.draw(st.booleans())
    fields = {
        **(GOOD[kind] if keep else {}),
        **data.draw(st.dictionaries(st.sampled_from(NAMES) | TEXT, VALUE, max_size=5)),
    }
    problem = problem_of(parse, kind, fields)
    assert problem is None or (problem.reason in Reason and problem.detail)


def problem_of(function, *args):
    try:
        function(*args)
    except InvalidRecord as problem:
        return problem
    return None


def raw(line):
    return Raw("events", "f", 1, "jsonl", line, None, None)


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_line_is_an_object_or_a_reason(line):
    problem = problem_of(decode, raw(line))
    assert problem is None or problem.reason in (Reason.NOT_JSON, Reason.NOT_AN_OBJECT)
    jsonio.dumps(shown(raw(line)).record)


def test_decode_of_rows():
    row = Raw("events", "f", 1, "parquet", None, {"a": 1.5, "b": datetime(2026, 5, 1, tzinfo=UTC), "c": [None]}, None)
    assert decode(row) == {"a": Decimal("1.5"), "b": "2026-05-01T00:00:00Z", "c": [None]}
    for value in (float("nan"), b"x", Decimal("NaN"), object()):
        with pytest.raises(InvalidRecord):
            plain_json({"a": [value]})
    for name in (b"x", None, 1.5, True):
        with pytest.raises(InvalidRecord):
            plain_json({name: 1})
    with pytest.raises(InvalidRecord):
        plain_json({1: 1, "1": 2})
    assert plain_json({1: 1}) == {"1": 1}
    assert decode_reason(Raw("events", "f", 1, "avro", None, None, "cut off")) is Reason.UNREADABLE_FILE
    assert decode_reason(Raw("events", "f", 1, "csv", None, None, "bad quotes", False)) is Reason.BAD_ROW
    assert (
        decode_reason(Raw("events", "f", 1, "jsonl", None, None, "line longer than", False)) is Reason.LINE_TOO_LONG
    )
    endless: list = []
    for _ in range(5000):
        endless = [endless]
    assert decode_reason(Raw("events", "f", 1, "avro", None, {"a": endless}, None)) is Reason.BAD_ROW


def decode_reason(row):
    with pytest.raises(InvalidRecord) as caught:
        decode(row)
    return caught.value.reason


def test_what_is_wrong_with_a_record_crosses_from_one_worker_to_another():
    problem = InvalidRecord(Reason.NAIVE_TIME, "no offset", "/event_time")
    again = pickle.loads(pickle.dumps(problem))
    assert (again.reason, again.detail, again.pointer) == (Reason.NAIVE_TIME, "no offset", "/event_time")


def test_all_missing_fields_are_named():
    wrong = problem_of(parse, "orders", {"customer_id": "c", "status": "completed"})
    assert (wrong.reason, wrong.pointer) == (Reason.MISSING_FIELD, "/event_time")
    assert wrong.detail == "missing: event_time, order_id, items"
    wrong = problem_of(parse, "events", {"event_id": "e", "shoe": 1})
    assert wrong.detail == "missing: event_time, type, customer_id (and not known: shoe)"
    wrong = problem_of(parse, "orders", {**GOOD["orders"], "event_time": None, "status": "gone", "version": "x"})
    assert wrong.detail == "missing: event_time (and invalid: version, status)"
    cart = [{"quantity": 1}] * 1000
    wrong = problem_of(parse, "orders", {**GOOD["orders"], "items": cart})
    assert wrong.detail.endswith("items/19/sku and 980 more")


@pytest.mark.parametrize("absent", [{}, {"items": None}])
def test_a_completed_order_names_its_items(absent):
    bare = {name: value for name, value in GOOD["orders"].items() if name != "items"}
    wrong = problem_of(parse, "orders", {**bare, **absent})
    assert (wrong.reason, wrong.pointer, wrong.detail) == (Reason.MISSING_FIELD, "/items", "missing: items")
    assert parse("orders", {**bare, "items": []}).record.items == []
    for status in ("open", "cancelled"):
        assert parse("orders", {**bare, **absent, "status": status}).record.items is None


NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(now, **settings_given):
    return Reading(now=lambda: now, **settings_given)


@pytest.mark.parametrize("kind", GOOD)
def test_a_time_too_far_ahead_is_refused(kind):
    day = timedelta(days=1)
    parse(kind, GOOD[kind], at(NOW - day))
    wrong = problem_of(parse, kind, GOOD[kind], at(NOW - day - timedelta(microseconds=1)))
    assert (wrong.reason, wrong.pointer) == (Reason.TIME_IN_FUTURE, "/event_time")
    assert "2026-05-01T12:00:00+00:00" in wrong.detail
    assert "--max-future" in wrong.detail
    parse(kind, GOOD[kind], at(NOW - 7 * day, max_future=7 * day))
    assert problem_of(parse, kind, GOOD[kind], at(NOW - timedelta(seconds=1), max_future=timedelta())) is not None
    assert problem_of(parse, kind, {**GOOD[kind], "event_time": "9999-12-31T23:59:59Z"}).reason is wrong.reason


def test_an_ambiguous_time_is_refused_or_resolved():
    twice = {**GOOD["events"], "event_time": "2026-10-25T02:30:00"}
    berlin = ZoneInfo("Europe/Berlin")
    wrong = problem_of(parse, "events", twice, at(NOW, assume_timezone=berlin))
    assert (wrong.reason, wrong.pointer) == (Reason.AMBIGUOUS_TIME, "/event_time")
    assert "2026-10-25T02:30:00 occurs twice in Europe/Berlin" in wrong.detail
    assert "--ambiguous-time" in wrong.detail
    year = timedelta(days=365)
    for choice, hour in (("earlier", 0), ("later", 1)):
        record = parse(
            "events", twice, at(NOW, assume_timezone=berlin, ambiguous_time=choice, max_future=year)
        ).record
        assert record.event_time == datetime(2026, 10, 25, hour, 30, tzinfo=UTC)
    in_code = problem_of(parse, "events", twice, at(NOW, assume_timezone=berlin, in_code=True))
    assert "--" not in in_code.detail
    naive = problem_of(parse, "events", twice, at(NOW, in_code=True))
    assert naive.reason is Reason.NAIVE_TIME
    assert naive.detail.startswith("event_time: a time without an offset: give one, or set assume_timezone")


def test_a_number_is_shown_as_people_write_it():
    with pytest.raises(InvalidRecord) as caught:
        parse(*order(items=[{"sku": "a", "quantity": Decimal("3.5")}]))
    assert caught.value.detail == "items/0/quantity: Input should be a valid integer, found 3.5"
