"""Files of each format, damaged: each record ends, and those beside the bad one still come out."""

import os
import tempfile
from collections.abc import Iterator

from fuzz.corpus import FILES, ID_OF, KINDS, MANY, RECORDS, avro_file, parquet_file, records
from fuzz.damage import Digits, changed, damaged, flipped, json_lines, json_text
from fuzz.endings import OPTIONS, check_end
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.prepare import Prepared, prepare
from beam_talonone.transforms.sources.shards import plan_shards, read_shard

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
_PACKED = {"avro": [avro_file("null"), avro_file("deflate")], "parquet": [parquet_file("none")]}


def read(data: bytes, format_name: str, kind: str, shard_bytes: int = 1 << 30) -> list[Raw]:
    """What the sources make of a file with this content."""
    path = os.path.join(_FOLDER.name, f"{os.getpid()}.{format_name}")
    with open(path, "wb") as file:
        file.write(data)
    found = match_files(path)
    return list(_raws(found, kind, shard_bytes))


def _raws(found: object, kind: str, shard_bytes: int) -> Iterator[Raw]:
    for source in inputs_of(kind, found):  # type: ignore[arg-type]
        for shard in plan_shards(source, shard_bytes):
            yield from read_shard(shard)


def ended(raws: list[Raw]) -> list[Prepared]:
    """The records, each of which has an end."""
    prepared = [prepare(raw, OPTIONS) for raw in raws]
    for record in prepared:
        check_end(record)
    return prepared


def sent(prepared: list[Prepared]) -> list[str]:
    """The ids of the records that are sent."""
    return [record.work.id for record in prepared if record.work is not None]


_SHARD_BYTES = st.sampled_from([1 << 30, 1, 100, 1_000])


@fuzzed(examples=20, data=st.data(), format_name=st.sampled_from(["jsonl", "json", "csv"]), shard_bytes=_SHARD_BYTES)
def test_damaged_text_files(data: st.DataObject, format_name: str, shard_bytes: int) -> None:
    kind, seeds = FILES[format_name]
    ended(read(data.draw(damaged(seeds)), format_name, kind, shard_bytes))


@fuzzed(examples=30, data=st.data(), format_name=st.sampled_from(["avro", "parquet"]), shard_bytes=_SHARD_BYTES)
def test_damaged_typed_files(data: st.DataObject, format_name: str, shard_bytes: int) -> None:
    kind, seeds = FILES[format_name]
    ended(read(data.draw(damaged(seeds)), format_name, kind, shard_bytes))


@fuzzed(examples=30, data=st.data(), format_name=st.sampled_from(["avro", "parquet"]))
def test_flipped_bytes_of_typed_files_lose_nothing_silently(data: st.DataObject, format_name: str) -> None:
    raws = read(data.draw(flipped(data.draw(st.sampled_from(_PACKED[format_name])))), format_name, "profiles")
    prepared = ended(raws)
    told = any(raw.broken is not None and raw.whole_file for raw in raws)
    assert told or len(prepared) >= MANY, f"{len(prepared)} of {MANY} records, and no word of the others"


@fuzzed(examples=20, data=st.data(), kind=st.sampled_from(KINDS), at=st.integers(0, MANY - 1))
def test_a_damaged_line_costs_no_other(data: st.DataObject, kind: str, at: int) -> None:
    lines = [json_text(record) for record in records(kind)]
    lines[at] = data.draw(json_lines(records(kind)[at]))
    prepared = ended(read(b"\n".join(lines) + b"\n", "jsonl", kind))
    assert len(prepared) == MANY - (not lines[at].removeprefix(b"\xef\xbb\xbf").strip())
    others = [f"id-{number}" for number in range(MANY) if number != at]
    assert [name for name in sent(prepared) if name in others] == others


@fuzzed(examples=20, data=st.data(), kind=st.sampled_from(KINDS), at=st.integers(0, MANY - 1))
def test_an_odd_record_of_an_array_costs_no_other(data: st.DataObject, kind: str, at: int) -> None:
    values = records(kind)
    values[at] = data.draw(changed(values[at]))
    prepared = ended(read(json_text(values), "json", kind))
    assert len(prepared) == MANY
    others = [f"id-{number}" for number in range(MANY) if number != at]
    assert [name for name in sent(prepared) if name in others] == others


@fuzzed(examples=30, data=st.data(), at=st.integers(1, MANY))
def test_a_damaged_row_of_csv_costs_no_other(data: st.DataObject, at: int) -> None:
    rows = FILES["csv"][1][2].splitlines()
    row = data.draw(damaged([rows[at]]))
    rows[at] = row.replace(b'"', b"").replace(b"\n", b" ").replace(b"\r", b" ")
    raws = read(b"\n".join(rows) + b"\n", "csv", "profiles")
    prepared = ended(raws)
    others = [f"id-{number - 1}" for number in range(1, MANY + 1) if number != at]
    assert [name for name in sent(prepared) if name in others] == others
    assert len(prepared) in (MANY, MANY - (not rows[at].strip(b", \xef\xbb\xbf")))


@fuzzed(examples=30, data=st.data(), kind=st.sampled_from(KINDS))
def test_odd_records_of_each_kind(data: st.DataObject, kind: str) -> None:
    value = data.draw(changed(data.draw(changed(RECORDS[kind]))))
    line = json_text(value).replace(b"\n", b" ")
    [prepared] = ended([Raw(kind, "input", 1, "jsonl", line, None, None)])
    if prepared.work is None:
        assert prepared.problem is not None
        assert prepared.problem.reason is not Reason.DEFECT
    else:
        given = value[ID_OF[kind]]
        assert prepared.work.id == (given.text if isinstance(given, Digits) else str(given))
