"""Avro and Parquet: values, shards, and damaged files."""

import io
import os
import struct
import zlib
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.avro import avro_schema
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import shown
from beam_talonone.transforms.formats.values import float_of_single, plain_decimal
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.shards import plan_shards, read_shard

NOW = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
NAIVE = NOW.replace(tzinfo=None)


def shards(path, kind="orders", shard_bytes=1 << 30):
    return [shard for source in inputs_of(kind, match_files(str(path))) for shard in plan_shards(source, shard_bytes)]


def read(path, kind="orders", shard_bytes=1 << 30):
    return [raw for shard in shards(path, kind, shard_bytes) for raw in read_shard(shard)]


def write_avro(path, schema, records, **options):
    with path.open("wb") as file:
        fastavro.writer(file, schema, records, **options)
    return path


def record_schema(**fields):
    return {
        "type": "record",
        "name": "R",
        "fields": [{"name": name, "type": type_} for name, type_ in fields.items()],
    }


def events(count):
    return [
        {"event_id": f"e{n}", "type": "t", "customer_id": "é" * (n % 7), "event_time": NOW, "attributes": {"n": n}}
        for n in range(count)
    ]


# Values


def test_avro_values(tmp_path):
    long = {"type": "long"}
    schema = record_schema(
        millis={**long, "logicalType": "timestamp-millis"},
        micros={**long, "logicalType": "timestamp-micros"},
        local=["null", {**long, "logicalType": "local-timestamp-micros"}],
        day={"type": "int", "logicalType": "date"},
        amount={"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 9},
        fixed={"type": "fixed", "size": 8, "name": "F", "logicalType": "decimal", "precision": 18, "scale": 2},
        single="float",
        double="double",
        gone=["null", "string"],
        items={"type": "array", "items": ["null", {**record_schema(a=["null", "float"]), "name": "Item"}]},
        attributes={"type": "map", "values": ["null", "boolean", "long", "string"]},
        uuid={"type": "string", "logicalType": "uuid"},
        far=long,
    )
    record = {
        "millis": NOW, "micros": NOW, "local": NAIVE, "day": date(2026, 5, 1), "amount": Decimal("19.99"),
        "fixed": Decimal("100.00"), "single": 19.99, "double": 0.1, "gone": None,
        "items": [{"a": 2.5}, None, {"a": None}],
        "attributes": {"a": True, "b": None, "c": "é", "d": 7}, "uuid": "12345678-1234-5678-1234-567812345678",
        "far": 1 << 62,
    }  # fmt: skip
    [raw] = read(write_avro(tmp_path / "a.avro", schema, [record]))
    assert raw.fields == {
        "millis": NOW.replace(microsecond=123000), "micros": NOW, "local": NAIVE, "day": date(2026, 5, 1),
        "amount": Decimal("19.99"), "fixed": Decimal("100"), "single": 19.99, "double": 0.1,
        "items": [{"a": 2.5}, None, {}], "attributes": {"a": True, "c": "é", "d": 7},
        "uuid": "12345678-1234-5678-1234-567812345678", "far": 1 << 62,
    }  # fmt: skip
    assert raw.fields["millis"].tzinfo is UTC
    assert str(raw.fields["fixed"]) == "100"
    assert str(raw.fields["amount"]) == "19.99"
    assert (raw.position, raw.format, raw.line, raw.broken) == (1, "avro", None, None)


def test_avro_values_that_python_cannot_hold_harm_no_other_record(tmp_path):
    # Written without logical types, read with them: fastavro would not write such values.
    plain = record_schema(t="long", s="bytes", n="long")
    declared = record_schema(t={"type": "long", "logicalType": "timestamp-micros"}, s="string", n="long")
    buffer = io.BytesIO()
    rows = [{"t": 0, "s": b"a", "n": 1}, {"t": 1 << 62, "s": b"b", "n": 2}, {"t": 0, "s": b"\xff", "n": 3},
            {"t": 0, "s": b"d", "n": 4}]  # fmt: skip
    fastavro.writer(buffer, plain, rows)
    fastavro.writer(header := io.BytesIO(), declared, [], sync_marker=buffer.getvalue()[-16:])
    blocks = io.BytesIO(buffer.getvalue())
    start = next(iter(fastavro.block_reader(blocks))).offset
    path = tmp_path / "far.avro"
    path.write_bytes(header.getvalue() + buffer.getvalue()[start:])
    one, two, three, four = read(path)
    assert (one.fields["n"], two.fields, four.fields["n"]) == (1, {"t": 1 << 62, "s": "b", "n": 2}, 4)
    assert (three.position, three.broken, three.whole_file) == (3, "text that is not UTF-8", False)
    found = shown(three)
    assert found.altered
    assert found.data is not None
    assert found.data in path.read_bytes(), "the record's own bytes"
    assert "base64" in str(found.record)


def test_parquet_values(tmp_path):
    item = pa.struct([("sku", pa.string()), ("price", pa.decimal128(38, 9)), ("weight", pa.float32()),
                      ("at", pa.timestamp("ns", "UTC"))])  # fmt: skip
    schema = pa.schema({
        "utc": pa.timestamp("us", "UTC"), "berlin": pa.timestamp("ms", "Europe/Berlin"),
        "nanos": pa.timestamp("ns", "UTC"), "naive": pa.timestamp("ns"),
        "day": pa.date32(), "amount": pa.decimal128(12, 2), "single": pa.float32(),
        "half": pa.float16(), "word": pa.dictionary(pa.int32(), pa.string()), "gone": pa.string(),
        "items": pa.list_(item), "map": pa.map_(pa.string(), pa.float32()),
        "empty": pa.map_(pa.string(), pa.string()), "maps": pa.list_(pa.map_(pa.string(), pa.timestamp("ns"))),
        "attributes": pa.struct([("a", pa.bool_()), ("b", pa.string())]),
        "large": pa.large_list(pa.int64()), "pair": pa.list_(pa.int8(), 2),
    })  # fmt: skip
    row = {
        "utc": NOW, "berlin": NOW, "nanos": NOW, "naive": NAIVE, "day": date(2026, 5, 1), "amount": Decimal("100.00"),
        "single": 19.99, "half": 2.5, "word": "w", "gone": None,
        "items": [{"sku": "a", "price": Decimal("19.99"), "weight": 0.1, "at": NOW}, {"sku": "b"}, None],
        "map": {"x": 1.1, "y": None}, "empty": {}, "maps": [{"t": NAIVE}], "attributes": {"a": True, "b": None},
        "large": [1], "pair": [1, 2],
    }  # fmt: skip
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([row], schema=schema), path)
    [raw] = read(path)
    assert raw.fields == {
        "utc": NOW, "berlin": NOW.replace(microsecond=123000), "nanos": NOW, "naive": NAIVE, "day": date(2026, 5, 1),
        "amount": Decimal("100"), "single": 19.99, "half": 2.5, "word": "w",
        "items": [{"sku": "a", "price": Decimal("19.99"), "weight": 0.1, "at": NOW}, {"sku": "b"}, None],
        "map": {"x": 1.1}, "empty": {}, "maps": [{"t": NAIVE}], "attributes": {"a": True},
        "large": [1], "pair": [1, 2],
    }  # fmt: skip
    assert str(raw.fields["amount"]) == "100"
    assert [raw.fields[name].utcoffset() for name in ("utc", "berlin", "nanos")] == [timedelta(0)] * 3
    assert only_python(raw.fields)


def only_python(value):
    if isinstance(value, dict):
        return all(only_python(item) for item in value.values())
    if isinstance(value, list):
        return all(only_python(item) for item in value)
    return type(value) in (str, int, float, bool, Decimal, datetime, date, type(None))


def test_parquet_values_that_python_cannot_hold_harm_no_other_row(tmp_path):
    table = pa.table({"t": pa.array([0, 1 << 62, 0], pa.timestamp("us", "UTC")), "n": [1, 2, 3]})
    pq.write_table(table, tmp_path / "far.parquet")
    one, two, three = read(tmp_path / "far.parquet")
    assert (one.fields["n"], three.fields["n"], three.position) == (1, 3, 3)
    assert two.broken.startswith("a value that cannot be read: ")
    assert shown(two).altered
    assert shown(two).record
    assert (two.position, two.whole_file) == (2, False)


@pytest.mark.parametrize("kind", ["orders", "events"])
def test_only_an_order_keeps_a_null_customer(tmp_path, kind):
    type_ = ["null", "string"]
    write_avro(tmp_path / "with.avro", record_schema(customer_id=type_, a=type_), [{"customer_id": None, "a": None}])
    write_avro(tmp_path / "without.avro", record_schema(a=type_), [{"a": None}])
    pq.write_table(pa.table({"customer_id": pa.array([None], pa.string()), "a": ["x"]}), tmp_path / "with.parquet")
    kept = {"customer_id": None} if kind == "orders" else {}
    assert read(tmp_path / "with.avro", kind)[0].fields == kept
    assert read(tmp_path / "without.avro", kind)[0].fields == {}
    assert read(tmp_path / "with.parquet", kind)[0].fields == {**kept, "a": "x"}


def test_the_body_of_a_call_is_parsed(tmp_path):
    call = {"call_id": "k", "operation": "o", "event_time": NOW, "body": '{"price": 19.99, "a": null}'}
    path = write_avro(tmp_path / "c.avro", avro_schema("calls"), [call, {**call, "body": "{"}])
    assert [raw.fields["body"] for raw in read(path, "calls")] == [{"price": Decimal("19.99"), "a": None}, "{"]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**28), max_value=10**28))
def test_plain_decimals_keep_their_value_and_have_no_exponent_and_no_trailing_zero(value):
    plain = plain_decimal(value)
    assert plain == value
    exponent = plain.as_tuple().exponent
    assert exponent == 0 or (exponent < 0 and plain.as_tuple().digits[-1] != 0)


@given(st.floats(width=32))
def test_a_single_float_comes_back_from_its_short_form(value):
    short = float_of_single(value)
    assert struct.pack("f", short) == struct.pack("f", value)
    assert len(repr(short)) <= len(repr(value))


# Shards


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_avro_shards_give_the_same_records(tmp_path, codec):
    path = write_avro(tmp_path / "e.avro", avro_schema("events"), events(500), codec=codec, sync_interval=300)
    whole = read(path, "events")
    assert [raw.fields for raw in whole] == events(500)
    assert [raw.position for raw in whole] == list(range(1, 501))
    for shard_bytes in (1, 500, 1500):
        found = shards(path, "events", shard_bytes)
        assert len(found) > 4
        assert [raw for shard in found for raw in read_shard(shard)] == whole


def repacked(path, codec, pack):
    """The Avro file of codec null as one of another codec, packed by `pack`."""
    sync = path.read_bytes()[-16:]
    schema = {"type": "record", "name": "h", "fields": [
        {"name": "magic", "type": {"type": "fixed", "name": "m", "size": 4}},
        {"name": "meta", "type": {"type": "map", "values": "bytes"}},
        {"name": "sync", "type": {"type": "fixed", "name": "s", "size": 16}}]}  # fmt: skip
    source, out = io.BytesIO(path.read_bytes()), io.BytesIO()
    header = fastavro.schemaless_reader(source, schema, None)
    header["meta"]["avro.codec"] = codec.encode()
    fastavro.schemaless_writer(out, schema, header)
    for block in fastavro.block_reader(io.BytesIO(path.read_bytes())):
        fastavro.schemaless_writer(out, "long", block.num_records)
        fastavro.schemaless_writer(out, "bytes", pack(block.bytes_.read()))
        out.write(sync)
    path.write_bytes(out.getvalue())
    return path


def snappy(data):
    return pa.compress(data, "snappy", asbytes=True) + zlib.crc32(data).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("codec", "pack"), [("snappy", snappy), ("zstandard", lambda data: pa.compress(data, "zstd", asbytes=True))]
)
def test_avro_codecs_that_fastavro_lacks(tmp_path, codec, pack):
    path = write_avro(tmp_path / "e.avro", avro_schema("events"), events(50), codec="null", sync_interval=300)
    whole = read(path, "events")
    assert read(repacked(path, codec, pack), "events") == whole
    if codec == "snappy":
        damaged = bytearray(path.read_bytes())
        damaged[-20] ^= 1
        path.write_bytes(damaged)
        assert read(path, "events")[-1].broken.startswith("damaged data: a block does not have the checksum")


def test_an_unknown_avro_codec_is_named(tmp_path):
    path = write_avro(tmp_path / "e.avro", avro_schema("events"), events(5), codec="null")
    [raw] = read(repacked(path, "lz4", bytes), "events", 1)
    assert (raw.position, raw.whole_file) == (1, True)
    assert raw.broken.startswith("the codec lz4 is not supported")


def test_parquet_shards_give_the_same_records(tmp_path):
    path = tmp_path / "e.parquet"
    table = pa.Table.from_pylist([{"event_id": f"e{n}", "n": n, "attributes": {"a": n}} for n in range(500)])
    pq.write_table(table, path, row_group_size=30)
    whole = read(path, "events")
    assert [(raw.position, raw.fields) for raw in whole] == list(enumerate(table.to_pylist(), 1))
    for shard_bytes in (1, 1000):
        found = shards(path, "events", shard_bytes)
        assert len(found) > 4
        assert [raw for shard in found for raw in read_shard(shard)] == whole


# Damage


def damage(data, how):
    match how:
        case "truncated":
            return data[: len(data) * 2 // 3]
        case "magic":
            return b"PK" + data[2:-2] + b"PK"
        case "empty":
            return b""
        case "head":
            return data[:20]
    raise KeyError(how)


@pytest.mark.parametrize("shard_bytes", [1, 1 << 30])
@pytest.mark.parametrize("how", ["truncated", "magic", "empty", "head"])
@pytest.mark.parametrize("format", ["avro", "parquet"])
def test_a_damaged_file_gives_what_came_before_and_one_reason(tmp_path, format, how, shard_bytes):
    path = tmp_path / f"e.{format}"
    if format == "avro":
        write_avro(path, avro_schema("events"), events(500), sync_interval=300)
    else:
        pq.write_table(pa.Table.from_pylist(events(500)), path, row_group_size=100)
    path.write_bytes(damage(path.read_bytes(), how))
    *before, last = read(path, "events", shard_bytes)
    assert (last.position, last.whole_file, last.line, last.fields) == (len(before) + 1, True, None, None)
    assert [raw.fields for raw in before] == events(500)[: len(before)]
    if format == "avro" and how == "truncated":
        assert len(before) > 200
        assert last.broken == "the file is cut off: its last block is incomplete"
    else:
        assert not before
        assert last.broken.startswith("not a" if format == "parquet" or how != "head" else "the Avro header")


def test_every_cut_of_an_avro_file_is_noticed_or_ends_a_block(tmp_path):
    data = write_avro(tmp_path / "e.avro", avro_schema("events"), events(20), sync_interval=150).read_bytes()
    ends = {block.offset for block in fastavro.block_reader(io.BytesIO(data))} | {len(data)}
    for cut in range(len(data)):
        (tmp_path / "e.avro").write_bytes(data[:cut])
        raws = read(tmp_path / "e.avro", "events")
        assert sum(raw.broken is not None for raw in raws) == (cut not in ends), cut


def test_damaged_bytes_never_raise(tmp_path):
    clean = write_avro(tmp_path / "e.avro", avro_schema("events"), events(60), sync_interval=500).read_bytes()
    pq.write_table(pa.Table.from_pylist(events(60)), tmp_path / "e.parquet", write_page_checksum=True)
    stored = (tmp_path / "e.parquet").read_bytes()
    for name, data in (("e.avro", clean), ("e.parquet", stored)):
        for at in range(0, len(data), 7):
            damaged = bytearray(data)
            damaged[at] ^= 0xFF
            (tmp_path / name).write_bytes(damaged)
            raws = read(tmp_path / name, "events", shard_bytes=700)
            assert all(isinstance(raw, Raw) and (raw.fields is not None or raw.broken is not None) for raw in raws)


def test_a_damaged_parquet_page_breaks_the_file_at_its_rows(tmp_path):
    path = tmp_path / "e.parquet"
    table = pa.table({"n": pa.array(range(5000)), "s": [os.urandom(20).hex() for _ in range(5000)]})
    pq.write_table(table, path, row_group_size=2500, write_page_checksum=True, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[pq.read_metadata(path).row_group(1).column(1).data_page_offset + 200] ^= 0xFF
    path.write_bytes(data)
    *before, last = read(path)
    assert len(before) == 2500
    assert (last.position, last.whole_file) == (2501, True)
    assert "CRC" in last.broken


def test_rows_that_damaged_metadata_hides_are_named(tmp_path):
    """Where a count in the metadata is too low, pyarrow reads fewer rows without an error."""
    path = tmp_path / "e.parquet"
    table = pa.table({"n": pa.array(range(6)), "s": ["x"] * 6})
    pq.write_table(table, path, row_group_size=2, use_dictionary=False)
    whole = path.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    hidden = 0
    for at in range(footer, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        raws = read(path)
        assert len(raws) >= 6 or (raws and raws[-1].broken and raws[-1].whole_file), at
        hidden += bool(raws[-1].broken) and "rows that its metadata claims" in raws[-1].broken
    assert hidden


def test_offsets_other_than_utc_are_brought_to_utc(tmp_path):
    plus_two = timezone(timedelta(hours=2))
    table = pa.table({"t": pa.array([NOW.astimezone(plus_two)], pa.timestamp("us", "+02:00"))})
    pq.write_table(table, tmp_path / "t.parquet")
    [raw] = read(tmp_path / "t.parquet")
    assert raw.fields["t"] == NOW
    assert raw.fields["t"].utcoffset() == timedelta(0)
