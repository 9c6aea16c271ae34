"""What each Parquet and Avro type becomes in each place of a record that uses a value: one table, from real files."""

import io
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.transforms.decoding.wire import decode as received
from beam_talonone.transforms.decoding.worker import encoded
from beam_talonone.transforms.formats import avro, parquet

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LOCAL = NOON.replace(tzinfo=None)
NANOS = int(NOON.timestamp()) * 10**9
NAN, INF = float("nan"), float("inf")
GONE = object()
D = Decimal

# place -> kind, pointer, how the value is found in the record
PLACES = {
    "id": ("events", "/event_id", lambda r: r.event_id),
    "quantity": ("orders", "/items/0/quantity", lambda r: r.items[0].quantity),
    "amount": ("orders", "/items/0/unit_price", lambda r: r.items[0].unit_price),
    "time": ("events", "/event_time", lambda r: r.event_time),
    "flag": ("profiles", "/erase", lambda r: r.erase),
    "attribute": ("profiles", "/attributes/a", lambda r: r.attributes.get("a", GONE)),
}


def number(value):
    return {"id": str(value), "quantity": value, "amount": D(value), "attribute": value}


def text(value):
    return {"id": value, "attribute": value}


def fraction(value):
    return {"amount": D(value), "attribute": D(value)}


INSTANT = {**text("2026-05-01T12:00:00Z"), "time": NOON}
NAIVE = {**text("2026-05-01T12:00:00"), "time": "naive_time"}
ABSENT = {
    **dict.fromkeys(("id", "quantity", "time"), "missing_field"),
    "amount": None,
    "flag": False,
    "attribute": GONE,
}
CLOCK, DAY = text("12:00:00"), text("2026-05-01")


def only(value):
    return {"attribute": value}


# value, type, what comes out where; every other place is a dead letter invalid_field
PARQUET = [
    *[(3, kind(), number(3))
    for kind in (pa.int8, pa.int16, pa.int32, pa.int64, pa.uint8, pa.uint16, pa.uint32, pa.uint64)],
    *[(3.0, kind(), number(3)) for kind in (pa.float16, pa.float32, pa.float64)],
    (2.5, pa.float16(), fraction("2.5")), (19.99, pa.float32(), fraction("19.99")),
    (19.99, pa.float64(), fraction("19.99")),
    (NAN, pa.float16(), ABSENT), (NAN, pa.float32(), ABSENT), (NAN, pa.float64(), ABSENT),
    (INF, pa.float64(), {}), (-INF, pa.float32(), {}),
    *[(D("3.00"), kind(7, 2), number(3)) for kind in (pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256)],
    *[(D("3.50"), kind(7, 2), fraction("3.5"))
    for kind in (pa.decimal32, pa.decimal64, pa.decimal128, pa.decimal256)],
    (date(2026, 5, 1), pa.date32(), DAY), (date(2026, 5, 1), pa.date64(), DAY),
    *[(NOON, pa.timestamp(unit, zone), INSTANT) for unit in ("s", "ms", "us", "ns")
    for zone in ("UTC", "Europe/Berlin")],
    *[(LOCAL, pa.timestamp(unit), NAIVE) for unit in ("s", "ms", "us", "ns")],
    (time(12), pa.time32("s"), CLOCK), (time(12), pa.time32("ms"), CLOCK), (time(12), pa.time64("us"), CLOCK),
    (time(12), pa.time64("ns"), CLOCK),
    *[(timedelta(1), pa.duration(unit), {}) for unit in ("s", "ms", "us", "ns")],
    (3, pa.dictionary(pa.int32(), pa.int64()), number(3)), ("a", pa.dictionary(pa.int32(), pa.string()), text("a")),
    *[("a", kind(), text("a")) for kind in (pa.string, pa.large_string, pa.string_view)],
    *[(b"a", kind(), {}) for kind in (pa.binary, pa.large_binary, pa.binary_view)], (b"ab", pa.binary(2), {}),
    *[([1.5, None], kind(pa.float32()), only([D("1.5"), None])) for kind in (pa.list_, pa.large_list, pa.list_view)],
    ([1, 2], pa.list_(pa.int8(), 2), only([1, 2])),
    ([("a", NAN), ("b", 1.5)], pa.map_(pa.string(), pa.float32()), only({"b": D("1.5")})),
    ([(date(2026, 5, 1), 1)], pa.map_(pa.date32(), pa.int8()), only({"2026-05-01": 1})),
    *[([(key, 1)], pa.map_(type_, pa.int8()), only({text: 1}))
    for key, type_, text in (
        (True, pa.bool_(), "true"), (7, pa.int64(), "7"), (D("3.00"), pa.decimal128(7, 2), "3"),
        (D("3.50"), pa.decimal128(7, 2), "3.5"), (NOON, pa.timestamp("ms", "UTC"), "2026-05-01T12:00:00Z"),
        (LOCAL, pa.timestamp("us"), "2026-05-01T12:00:00"), (time(12), pa.time32("s"), "12:00:00"),
        ("a", pa.large_string(), "a"), (b"a", pa.binary(), "a"),
    )],
    ({"a": NAN, "b": 1}, pa.struct({"a": pa.float64(), "b": pa.int8()}), only({"b": 1})),
    (None, pa.null(), ABSENT), (True, pa.bool_(), {"flag": True, "attribute": True}),
]  # fmt: skip


def logical(kind, logical_type, /, **more):
    return {"type": kind, "logicalType": logical_type, **more}


FIXED = {"name": "F", "size": 12}
AVRO = [
    (3, "int", number(3)), (3, "long", number(3)), (3.0, "float", number(3)), (19.99, "float", fraction("19.99")),
    (19.99, "double", fraction("19.99")), (NAN, "float", ABSENT), (NAN, "double", ABSENT), (INF, "double", {}),
    (b"a", "bytes", {}), (b"a" * 12, {"type": "fixed", **FIXED}, {}), ("a", "string", text("a")),
    ("A", {"type": "enum", "name": "E", "symbols": ["A"]}, text("A")),
    (True, "boolean", {"flag": True, "attribute": True}),
    ([1.5, None], {"type": "array", "items": ["null", "double"]}, only([D("1.5"), None])),
    ({"a": NAN, "b": None, "c": 1.5}, {"type": "map", "values": ["null", "double"]}, only({"c": D("1.5")})),
    (None, ["null", "string"], ABSENT), (3, ["null", "string", "long"], number(3)),
    ("a", ["null", "string", "long"], text("a")),
    (D("3.00"), logical("bytes", "decimal", precision=9, scale=2), number(3)),
    (D("3.50"), logical("fixed", "decimal", precision=9, scale=2, **FIXED), fraction("3.5")),
    ("12345678-1234-5678-1234-567812345678", logical("string", "uuid"), text("12345678-1234-5678-1234-567812345678")),
    (date(2026, 5, 1), logical("int", "date"), DAY), (time(12), logical("int", "time-millis"), CLOCK),
    (time(12), logical("long", "time-micros"), CLOCK),
    (NOON, logical("long", "timestamp-millis"), INSTANT), (NOON, logical("long", "timestamp-micros"), INSTANT),
    (NANOS, logical("long", "timestamp-nanos"), INSTANT), (LOCAL, logical("long", "local-timestamp-millis"), NAIVE),
    (LOCAL, logical("long", "local-timestamp-micros"), NAIVE),
    (NANOS, logical("long", "local-timestamp-nanos"), NAIVE),
    (b"\0" * 12, logical("fixed", "duration", **FIXED), {}),
]  # fmt: skip


def from_parquet(value, type_, **options):
    pq.write_table(pa.table({"v": pa.array([value], type_)}), file := io.BytesIO(), **options)
    return only_row(parquet, file)


def from_avro(value, type_):
    schema = {"type": "record", "name": "R", "fields": [{"name": "v", "type": type_}]}
    fastavro.writer(file := io.BytesIO(), schema, [{"v": value}])
    return only_row(avro, file)


def only_row(reader, file):
    file.seek(0)
    [row] = reader.read(file, "events", 0, None)
    return received(encoded(row))


def outcome(place, row, reading=AS_USUAL):
    """The value in the record, or the reason and pointer of the dead letter."""
    kind, pointer, get = PLACES[place]
    item = {"sku": "s", "quantity": 1}
    base = {"event_time": "2026-05-01T12:00:00Z", "customer_id": "c", "attributes": {}}
    fields = {
        "events": {**base, "event_id": "e", "type": "t"},
        "orders": {**base, "order_id": "o", "status": "open", "items": [item]},
        "profiles": base,
    }[kind]
    holder = item if "/items" in pointer else fields["attributes"] if place == "attribute" else fields
    name = pointer.rpartition("/")[2]
    holder.pop(name, None)
    holder.update({name: row["v"]} if "v" in row else {})
    try:
        return get(parse(kind, decode(Raw(kind, "f", 1, "avro", None, fields, None)), reading).record)
    except InvalidRecord as error:
        return error.reason.value, error.pointer


def outcomes(row):
    return {place: outcome(place, row) for place in PLACES}


def expected(taken):
    reasons = ("naive_time", "missing_field")
    by_place = {place: taken.get(place, "invalid_field") for place in PLACES}
    return {
        place: (value, PLACES[place][1]) if isinstance(value, str) and value in (*reasons, "invalid_field") else value
        for place, value in by_place.items()
    }


@pytest.mark.parametrize(("value", "type_", "taken"), PARQUET, ids=lambda part: str(part)[:40])
def test_parquet_types(value, type_, taken):
    assert outcomes(from_parquet(value, type_)) == expected(taken)


@pytest.mark.parametrize(("value", "type_", "taken"), AVRO, ids=lambda part: str(part)[:40])
def test_avro_types(value, type_, taken):
    assert outcomes(from_avro(value, type_)) == expected(taken)


def test_int96_times_have_no_offset():
    row = from_parquet(LOCAL, pa.timestamp("ns"), use_deprecated_int96_timestamps=True)
    assert outcomes(row) == expected(NAIVE)


@pytest.mark.parametrize("unit", ["millis", "micros", "nanos"])
def test_local_times_are_taken_in_the_assumed_zone(unit):
    row = from_avro(NANOS if unit == "nanos" else LOCAL, logical("long", f"local-timestamp-{unit}"))
    berlin = Reading(assume_timezone=ZoneInfo("Europe/Berlin"))
    assert outcome("time", row, berlin) == NOON - timedelta(hours=2)


def test_nan_in_a_list_is_pointed_at():
    row = from_avro([1.5, NAN], {"type": "array", "items": "double"})
    assert outcome("attribute", row) == ("invalid_field", "/attributes/a/1")


def test_a_decimal_of_900_places_is_over_the_limit_of_its_field():
    row = from_avro(D("1E-900"), logical("bytes", "decimal", precision=1000, scale=1000))
    assert outcome("amount", row) == ("over_limit", "/items/0/unit_price")
