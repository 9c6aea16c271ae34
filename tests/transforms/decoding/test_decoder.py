"""Files that crash, hang or bloat what decodes them: they cost themselves, and nothing else."""

import bz2
import io
import json
import lzma
import os
import signal
import subprocess
import sys
import time
import zlib
from decimal import Decimal
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_talonone.transforms.decoding import decoder, worker
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.shards import plan_shards, read_shard

SYNC = b"s" * 16


def read(path, kind="profiles"):
    return [
        raw
        for source in inputs_of(kind, match_files(str(path)))
        for s in plan_shards(source)
        for raw in read_shard(s)
    ]


def long(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def avro(path, schema, *blocks, codec="null"):
    """An Avro file of blocks (how many records they claim, their bytes), whatever is in them."""
    meta = {"avro.schema": json.dumps(schema).encode() if not isinstance(schema, bytes) else schema}
    head = io.BytesIO()
    fastavro.schemaless_writer(head, {"type": "map", "values": "bytes"}, {**meta, "avro.codec": codec.encode()})
    body = b"".join(long(count) + long(len(data)) + data + SYNC for count, data in blocks)
    path.write_bytes(b"Obj\x01" + head.getvalue() + SYNC + body)
    return path


def record(**fields):
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": t} for name, t in fields.items()]}


ID = long(3) + b"C-1"


def broken(raws):
    return [(raw.position, raw.broken, raw.whole_file) for raw in raws if raw.broken is not None]


def test_a_schema_nested_beyond_the_stack(tmp_path):
    deep = b'{"type":"array","items":' * 200_000 + b'"null"' + b"}" * 200_000
    [(position, why, whole)] = broken(read(avro(tmp_path / "a.avro", deep, (1, b"\0"))))
    assert (position, whole) == (1, True)
    assert "damage" in why or "nested" in why


def test_a_record_that_crashes_the_library_costs_the_rest_of_its_file(tmp_path):
    node = {"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "N"]}]}
    schema = record(customer_id="string", attributes=node)
    fine, deep = ID + long(0), ID + long(1) * 2_000_000 + long(0)
    raws = read(avro(tmp_path / "a.avro", schema, (3, fine * 2 + deep), (1, fine)))
    assert [raw.fields["customer_id"] for raw in raws[:2]] == ["C-1", "C-1"]
    [(position, why, whole)] = broken(raws)
    assert position == 3
    assert whole
    assert "SIGSEGV" in why or "nested" in why


def test_a_record_nested_deeper_than_json_may_be_costs_itself(tmp_path):
    node = {"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "N"]}]}
    schema = record(customer_id="string", attributes=node)
    raws = read(avro(tmp_path / "a.avro", schema, (2, ID + long(1) * 150 + long(0) + ID + long(0))))
    assert broken(raws) == [(1, "record nested deeper than 100 levels", False)]
    assert raws[1].fields["customer_id"] == "C-1"


@pytest.mark.parametrize("item", ["null", record()], ids=["null", "empty record"])
def test_a_block_that_claims_more_records_than_it_has_bytes(tmp_path, item):
    schema = item if isinstance(item, dict) else record(a=item)
    [(position, why, _)] = broken(read(avro(tmp_path / "a.avro", schema, (10**12, b""))))
    assert position == 1
    assert "claims 1,000,000,000,000 records in 0 bytes" in why


def test_an_array_of_nulls_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder, "MEMORY", 32 << 20)
    schema = record(customer_id="string", a={"type": "array", "items": "null"})
    [(position, why, _)] = broken(read(avro(tmp_path / "a.avro", schema, (1, ID + long(10**13)))))
    assert position == 1
    assert "more than fits into memory" in why


@pytest.mark.parametrize(("codec", "pack"), [
    ("deflate", lambda data: zlib.compress(data, 9)[2:-4]),
    ("bzip2", bz2.compress),
    ("xz", lzma.compress),
    ("zstandard", lambda data: pa.compress(data, codec="zstd", asbytes=True)),
])  # fmt: skip
def test_blocks_unpack_to_no_more_than_they_may(tmp_path, codec, pack, monkeypatch):
    from beam_talonone.transforms.formats import avro as avro_format

    monkeypatch.setattr(avro_format, "LONGEST_BLOCK", 1 << 20)
    with pytest.raises(Exception, match="unpacks to more than 1 MiB"):
        avro_format._CODECS[codec](pack(bytes(2 << 20)))


@pytest.mark.parametrize("scale", [10**9, -1, "2", True])
def test_a_decimal_whose_scale_is_none(tmp_path, scale):
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 2 * 10**9, "scale": scale}
    [raw] = read(avro(tmp_path / "a.avro", record(customer_id="string", a=kind), (1, ID + long(1) + b"\x05")))
    assert raw.fields == {"customer_id": "C-1", "a": b"\x05"}


def test_a_decimal_of_thousands_of_digits_costs_its_row_at_most(tmp_path):
    kind = {"type": "bytes", "logicalType": "decimal", "precision": 9000, "scale": 0}
    huge = ID + long(5000) + b"\x7f" * 5000
    raws = read(avro(tmp_path / "a.avro", record(customer_id="string", a=kind), (2, huge + ID + long(1) + b"\x05")))
    assert raws[0].fields["a"] == b"\x7f" * 5000
    assert raws[1].fields["a"] == Decimal(5)


def test_a_record_beyond_the_limit_costs_itself(tmp_path):
    big, size = "x" * (17 << 20), 17 << 20
    data = ID + long(size) + b"x" * size + ID + long(1) + b"y"
    pq.write_table(
        pa.table({"customer_id": ["C-1", "C-1"], "a": [big, "y"]}), tmp_path / "p.parquet", use_dictionary=False
    )
    for path in (
        avro(tmp_path / "a.avro", record(customer_id="string", a="string"), (2, data)),
        tmp_path / "p.parquet",
    ):
        raws = read(path)
        assert broken(raws) == [(1, "record larger than 16 MiB", False)]
        assert raws[1].fields == {"customer_id": "C-1", "a": "y"}


def test_empty_values_count_too():
    assert worker.encoded({"a": [[]] * (9 << 20)}) == worker.encode("record larger than 16 MiB")


def test_a_repeated_large_value_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder, "MEMORY", 64 << 20)
    table = pa.table({"customer_id": pa.array(["x" * (1 << 20)] * 200).dictionary_encode()})
    pq.write_table(table, tmp_path / "p.parquet")
    assert (tmp_path / "p.parquet").stat().st_size < 1 << 20
    assert sum(len(raw.fields["customer_id"]) == 1 << 20 for raw in read(tmp_path / "p.parquet")) == 200


def test_a_parquet_file_that_claims_rows_without_bytes(tmp_path):
    pq.write_table(pa.table({"a": pa.nulls(3_000_000, pa.int32())}), tmp_path / "p.parquet")
    [(position, why, whole)] = broken(read(tmp_path / "p.parquet"))
    assert (position, whole) == (1, True)
    assert "claims 3,000,000 rows" in why


def many(path, count=5000):
    with path.open("wb") as file:
        fastavro.writer(file, record(customer_id="string"), [{"customer_id": f"C-{n}"} for n in range(count)])
    return path


def the_decoder():
    [one] = decoder.POOL._idle
    return one._process.pid


@pytest.fixture
def fresh_pool(monkeypatch):
    pool = decoder.Pool()
    monkeypatch.setattr(decoder, "POOL", pool)
    yield pool
    for one in pool._idle:
        one.kill()


def test_a_decoder_that_is_killed_once_is_replaced_and_nothing_comes_twice(tmp_path, fresh_pool):
    path, seen, killed = many(tmp_path / "a.avro"), [], False
    taken = []
    take = fresh_pool.take
    fresh_pool.take = lambda: taken.append(take()) or taken[-1]
    [source] = inputs_of("profiles", match_files(str(path)))
    [shard] = plan_shards(source)
    for raw in read_shard(shard):
        seen.append(raw)
        if not killed:
            os.kill(taken[0]._process.pid, signal.SIGKILL)
            killed = True
    assert [raw.fields["customer_id"] for raw in seen] == [f"C-{n}" for n in range(5000)]
    assert [raw.position for raw in seen] == list(range(1, 5001))


def test_a_decoder_that_ended_while_it_waited_is_replaced(tmp_path, fresh_pool):
    path = many(tmp_path / "a.avro", 3)
    assert len(read(path)) == 3
    os.kill(the_decoder(), signal.SIGKILL)
    assert len(read(path)) == 3


def test_the_signals_that_stop_a_run_are_not_taken_for_damage(tmp_path, fresh_pool):
    path = many(tmp_path / "a.avro", 3)
    assert len(read(path)) == 3
    first = the_decoder()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(first, number)
    assert len(read(path)) == 3
    assert the_decoder() == first


def test_one_that_is_not_read_to_its_end_is_ended(tmp_path, fresh_pool):
    taken = []
    take = fresh_pool.take
    fresh_pool.take = lambda: taken.append(take()) or taken[-1]
    [source] = inputs_of("profiles", match_files(str(many(tmp_path / "a.avro", 200_000))))
    raws = read_shard(next(plan_shards(source)))
    next(raws)
    raws.close()
    assert taken[0]._process.poll() is not None
    assert not fresh_pool._idle


def test_what_is_not_wanted_any_more_is_not_waited_for(tmp_path, fresh_pool):
    taken = []
    take = fresh_pool.take
    fresh_pool.take = lambda: taken.append(take()) or taken[-1]
    [source] = inputs_of("profiles", match_files(str(many(tmp_path / "a.avro", 200_000))))
    raws = read_shard(next(plan_shards(source)))
    next(raws)
    fresh_pool.unwanted = lambda: True
    with pytest.raises(CannotReadNow, match="not wanted any more"):
        list(raws)
    assert taken[0]._process.poll() is not None
    with pytest.raises(CannotReadNow):
        decoder.Decoder()


@pytest.mark.slow
def test_a_decoder_ends_with_the_process_that_started_it(tmp_path):
    code = (
        "from beam_talonone.transforms.decoding.decoder import Decoder; import time; one = Decoder();"
        " print(one._process.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    for _ in range(500):
        status = Path(f"/proc/{child}/status")
        if not status.exists() or "\tZ" in status.read_text():
            return
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    pytest.fail("it lives on")


def test_it_knows_no_secret(monkeypatch, fresh_pool, tmp_path):
    monkeypatch.setenv("TALONONE_API_KEY", "do-not-tell")
    read(many(tmp_path / "a.avro", 1))
    assert b"do-not-tell" not in Path(f"/proc/{the_decoder()}/environ").read_bytes()


def test_what_makes_no_progress_is_ended_by_the_kernel(monkeypatch):
    with subprocess.Popen([
        sys.executable, "-c",
        "import signal; from beam_talonone.transforms.decoding import worker; worker.NO_PROGRESS = 0.05;"
        "signal.signal(signal.SIGPROF, signal.SIG_DFL); worker.watch(); sum(range(10**12))",
    ]) as process:  # fmt: skip
        assert process.wait() == -signal.SIGPROF
    assert "does not come to an end" in decoder._in_words(signal.SIGPROF)
    assert worker.NO_PROGRESS == 30


def test_a_decoder_that_cannot_start_says_nothing_of_the_file(tmp_path, monkeypatch, fresh_pool):
    from beam_talonone.transforms.formats.errors import CannotReadNow

    path = many(tmp_path / "a.avro", 1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CannotReadNow, match="did not start"):
        read(path)
