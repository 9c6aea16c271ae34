"""JSONL and CSV: rows, positions, shards, gzip, and what is wrong with files."""

import csv
import gzip
import io
import random
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.decode import TO_UTF_8
from beam_talonone.transforms.formats import csv_rows as csv_rows_module
from beam_talonone.transforms.formats import lines as line_reader
from beam_talonone.transforms.formats.csv import unflatten
from beam_talonone.transforms.formats.csv_rows import open_after
from beam_talonone.transforms.formats.csv_rows import rows as csv_rows
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.shards import plan_shards, read_shard


def shards(path, kind="profiles", shard_bytes=1 << 30):
    return [shard for source in inputs_of(kind, match_files(str(path))) for shard in plan_shards(source, shard_bytes)]


def read(path, kind="profiles", shard_bytes=1 << 30):
    return [raw for shard in shards(path, kind, shard_bytes) for raw in read_shard(shard)]


def good(raws):
    return [(raw.position, raw.line or raw.row) for raw in raws if raw.broken is None]


def broken(raws):
    return [(raw.position, raw.broken, raw.whole_file) for raw in raws if raw.broken is not None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lines")


def write(folder, name, data):
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


# JSONL


def test_positions_are_line_numbers_and_blank_lines_count(folder):
    path = write(folder, "blank.jsonl", b'\xef\xbb\xbf{"a":1}\r\n\n  \r\n{"b":2}\n\xef\xbb\xbf{"c":3}')
    assert good(read(path)) == [(1, b'{"a":1}'), (4, b'{"b":2}'), (5, b'{"c":3}')]


def test_an_empty_file_has_no_records(folder):
    assert read(write(folder, "empty.jsonl", b"")) == []
    assert read(write(folder, "blank_only.jsonl", b"\n\r\n \n")) == []


@given(
    st.lists(st.sampled_from([b"", b" ", b"{}", b'{"a":"' + b"x" * 40 + b'"}', b"\xff", b"a\rb"]), max_size=30),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 200),
    st.integers(1, 50),
)
def test_jsonl_shards_give_the_same_records(folder, texts, newline, bom, last, shard_bytes, chunk):
    data = b"\xef\xbb\xbf" * bom + newline.join(texts) + newline * last
    path = write(folder, "shards.jsonl", data)
    whole = read(path)
    assert good(whole) == [(i, text) for i, text in enumerate(texts, 1) if text.strip()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_reader, "CHUNK", chunk)
        assert read(path, shard_bytes=shard_bytes) == whole


def test_a_file_is_cut_into_shards_of_about_the_size_asked_for(folder):
    path = write(folder, "cut.jsonl", b'{"abc":1}\n' * 1000)
    found = shards(path, shard_bytes=1000)
    assert [(shard.start, shard.first) for shard in found[:10]] == [(i * 1000, i * 100 + 1) for i in range(10)]


def test_a_too_long_line_is_lost_alone(folder):
    longest = line_reader.LONGEST
    data = b"{}\n" + b"x" * (longest + 1) + b"\n[]\n" + b"y" * longest
    path = write(folder, "long.jsonl", data)
    raws = read(path)
    assert good(raws)[:2] == [(1, b"{}"), (3, b"[]")]
    assert (good(raws)[2][0], len(good(raws)[2][1])) == (4, longest)
    assert broken(raws) == [(2, "line longer than 16 MiB", False)]
    assert raws[1].line == b"x" * 4096
    assert read(path, shard_bytes=100_000) == raws


@given(st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.integers(1, 30))
def test_lines_know_the_length_of_what_is_too_long(texts, chunk):
    data = b"".join(text + b"\n" for text in texts)
    pieces = [data[i : i + chunk] for i in range(0, len(data), chunk)]
    for line, text in zip(line_reader.lines(pieces, longest=20), texts, strict=True):
        if len(text) > 20:
            assert line.size == len(text)
            assert len(line) >= 20
            assert text.startswith(line)
        else:
            assert line == text


def test_memory_does_not_grow_with_the_file(folder):
    peaks = []
    for rows in (10_000, 100_000):
        path = write(folder, "big.jsonl", b'{"a":"%s"}\n' % (b"x" * 90) * rows)
        tracemalloc.start()
        assert sum(1 for shard in shards(path, shard_bytes=1 << 21) for _ in read_shard(shard)) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


# gzip


def test_gzip_is_one_shard_and_reads_several_members(folder):
    path = folder / "two.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n[") + gzip.compress(b"]\n\n{}"))
    assert len(shards(path, shard_bytes=1)) == 1
    assert good(read(path)) == [(1, b"{}"), (2, b"[]"), (4, b"{}")]


def test_of_a_truncated_gzip_file_what_came_before_counts(folder):
    rng = random.Random(1)
    rows = [b'{"n":%d}' % rng.getrandbits(64) for _ in range(200_000)]
    whole = gzip.compress(b"\n".join(rows))
    path = folder / "cut.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    raws = read(path)
    [(position, why, whole_file)] = broken(raws)
    assert good(raws) == list(enumerate(rows[: position - 1], 1))
    assert 80_000 < position < 120_000
    assert whole_file
    assert why == "the file is cut off: its data ends too early"
    assert raws[-1].broken is why


def test_damaged_gzip(folder):
    packed = bytearray(gzip.compress(b"{}\n" * 10))
    packed[-5] ^= 1
    (folder / "crc.jsonl.gz").write_bytes(packed)
    raws = read(folder / "crc.jsonl.gz")
    assert len(good(raws)) == 10
    assert [(position, why[:18]) for position, why, _ in broken(raws)] == [(11, "damaged gzip data:")]
    (folder / "plain.jsonl.gz").write_bytes(b"{}\n")
    assert good(read(folder / "plain.jsonl.gz")) == [(1, b"{}")]
    (folder / "none.jsonl.gz").write_bytes(b"")
    assert broken(read(folder / "none.jsonl.gz")) == [(1, "the file is empty: not gzip data", True)]


@pytest.mark.parametrize("shard_bytes", [1, 1 << 30])
@pytest.mark.parametrize(("name", "text"), [("p.jsonl", b'{"a":1}\n' * 9), ("p.csv", b"a\n" + b"1\n" * 9)])
def test_gzip_is_told_by_its_first_bytes_and_not_by_the_name(folder, name, text, shard_bytes):
    path = folder / name
    path.write_bytes(gzip.compress(text))
    raws = read(path, shard_bytes=shard_bytes)
    assert (len(raws), broken(raws)) == (9, [])


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (b"PAR1", "this is parquet data and not jsonl: name the file so, or say --format parquet"),
        (b"Obj\x01", "this is avro data and not jsonl: name the file so, or say --format avro"),
        (b"BZh91", "this is bzip2 data: unpack it first, or pack it with gzip"),
        (b"\x28\xb5\x2f\xfd", "this is Zstandard data: unpack it first, or pack it with gzip"),
    ],
)
def test_data_that_is_no_text_is_named(folder, start, why):
    assert broken(read(write(folder, "other.jsonl", start + b"\0" * 20))) == [(1, why, True)]


def test_avro_and_parquet_are_not_gzipped_as_a_whole(folder):
    (folder / "p.avro").write_bytes(gzip.compress(b"Obj\x01"))
    [(_, why, _)] = broken(read(folder / "p.avro"))
    assert why == "this is gzip data: avro files compress inside, so unpack it first"


# CSV


def test_csv_rows_are_unflattened_and_kept_flat(folder):
    header = b"\xef\xbb\xbfcustomer_id,version,erase,attributes.a,attributes.b.c\r\n"
    body = b'c1,3,TRUE,"x ""y"", z",\r\n\r\nc2,v3,maybe,"two\r\nlines",q\r\n"",,,,\n007,-1,false,,\n'
    path = write(folder, "p.csv", header + body)
    first, second, third, fourth = read(path)
    assert first.fields == {"customer_id": "c1", "version": 3, "erase": True, "attributes": {"a": 'x "y", z'}}
    assert first.row == {"customer_id": "c1", "version": "3", "erase": "TRUE", "attributes.a": 'x "y", z',
                         "attributes.b.c": ""}  # fmt: skip
    assert second.fields == {"customer_id": "c2", "version": "v3", "erase": "maybe",
                             "attributes": {"a": "two\r\nlines", "b.c": "q"}}  # fmt: skip
    assert third.fields == {}
    assert fourth.fields == {"customer_id": "007", "version": -1, "erase": False}
    assert [raw.position for raw in (first, second, third, fourth)] == [2, 4, 6, 7]
    assert [raw.number for raw in (first, second, third, fourth)] == [1, 2, 3, 4]


def test_audiences_may_come_as_json_lists():
    assert unflatten({"audiences.add": "[1, 2]", "audiences.remove": "3"}) == {
        "audiences": {"add": [1, 2], "remove": "3"}
    }


def test_lists_of_an_event_come_as_json_lists():
    assert unflatten({"evaluable_campaign_ids": "[10]", "response_content": '["loyalty"]', "store_id": "7"}) == {
        "evaluable_campaign_ids": [10], "response_content": ["loyalty"], "store_id": "7",
    }  # fmt: skip


CELLS = st.text(st.sampled_from('ab,"\n\r é;'), max_size=8)


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2).filter(lambda row: "".join(row).strip()), max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 60),
    st.integers(1, 30),
)
def test_csv_shards_give_the_same_records(folder, table, newline, shard_bytes, chunk):
    text = io.StringIO(newline="")
    # The minimal quoting leaves a carriage return bare where the line's end is a line feed.
    bare = any("\r" in cell for row in table for cell in row)
    quoting = csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator=newline, quoting=quoting).writerows([["x", "y"], *table])
    path = write(folder, "shards.csv", text.getvalue().encode())
    whole = read(path)
    assert [(raw.number, raw.row) for raw in whole] == [(i, {"x": x, "y": y}) for i, (x, y) in enumerate(table, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_reader, "CHUNK", chunk)
        assert read(path, shard_bytes=shard_bytes) == whole


@given(st.binary(max_size=80), st.integers(1, 20))
def test_csv_shards_agree_on_any_bytes(folder, body, shard_bytes):
    path = write(folder, "any.csv", b"x,y\n" + body)
    assert read(path, shard_bytes=shard_bytes) == read(path)


def test_bad_csv_rows_are_lost_alone(folder):
    data = b'a,b\n1,2\n1,2,3\n\xff,2\n1\0,2\n"x"y,2\n1\n5" pipe,2\n6" pipe,2\n1,2\n"open,2\n1,2\n'
    raws = read(write(folder, "bad.csv", data))
    assert [position for position, _ in good(raws)] == [2, 8, 9, 10, 12]
    assert broken(raws) == [
        (3, "the row has 3 cells, the header 2", False),
        (4, f"not UTF-8 text: byte 1 of the row; {TO_UTF_8}", False),
        (5, "a NUL character in the row", False),
        (6, "not a CSV row: ',' expected after '\"'", False),
        (7, "the row has 1 cells, the header 2", False),
        (11, UNCLOSED, False),
    ]
    assert raws[1].line == b"1,2,3"
    assert [raw.row["a"] for raw in raws[6:8]] == ['5" pipe', '6" pipe']
    assert raws[9].line == b'"open,2'
    assert [raw.number for raw in raws] == list(range(1, 12))


UNCLOSED = "not a CSV row: it opens a quote that is not closed at the end of a cell"


@pytest.mark.parametrize("behind", [b"", b"3,4\n", b'3,"4"\n', b'3,"4\n5"\n', b'3,4"x\n'])
def test_a_quote_that_is_never_closed_costs_its_own_line(folder, behind):
    data = b'a,b\n1,2\n1,"open\n2,3\n"x","y"\n\n' + behind
    raws = read(write(folder, "quote.csv", data))
    assert broken(raws) == [(3, UNCLOSED, False)]
    kept = [tuple(raw.row.values()) for raw in raws if raw.broken is None]
    rest = list(csv.reader(io.StringIO(behind.decode(), newline="")))
    assert kept == [("1", "2"), ("2", "3"), ("x", "y"), *map(tuple, rest)]


def test_quotes_that_open_on_every_line_take_no_more_time_than_others(folder):
    # each of these lines leaves a cell open, whether or not one was open before it
    data = b"a,b,c\n" + b'a",b,"\n' * 3000 + b"1,2,3\n"
    looked = 0

    def counted(line, is_open, marks):
        nonlocal looked
        looked += 1
        return open_after(line, is_open, marks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_rows_module, "open_after", counted)
        raws = read(write(folder, "quotes.csv", data))
    assert [raw.position for raw in raws] == list(range(2, 3003))
    assert raws[-1].row == {"a": "1", "b": "2", "c": "3"}
    assert looked < 3 * 3001


def test_a_header_of_very_many_columns(folder):
    names = [f"attributes.a{n}" for n in range(100_000)]
    path = write(folder, "wide.csv", ",".join(names).encode() + b"\n" + b",".join([b"1"] * len(names)) + b"\n")
    [raw] = read(path)
    assert len(raw.fields["attributes"]) == len(names)


def test_a_cell_may_be_as_long_as_a_row(folder):
    [raw] = read(write(folder, "cell.csv", b"a,b\n1," + b"x" * 1_000_000 + b"\n"))
    assert len(raw.row["b"]) == 1_000_000


@pytest.mark.parametrize(
    ("name", "data", "position", "why"),
    [
        ("p.jsonl", b'{"a":1}\n{"a":2', 2, "the file breaks off in its last line, which is not whole JSON"),
        ("p.csv", b"a,b\n1,2\n1", 3, "the file breaks off in its last row: the row has 1 cells, the header 2"),
    ],
)
def test_a_last_line_that_breaks_off(folder, name, data, position, why):
    raws = read(write(folder, name, data))
    assert broken(raws) == [(position, why, True)]
    assert len(raws) == 2
    assert raws[1].line == data.splitlines()[-1]
    assert broken(read(write(folder, name, data), shard_bytes=1)) == broken(raws)


@pytest.mark.parametrize(("name", "data"), [("p.jsonl", b'{"a":1}\n{"a":2}'), ("p.csv", b"a\n1\n2")])
def test_a_last_line_without_a_line_end_is_a_record(folder, name, data):
    assert broken(read(write(folder, name, data))) == []


def test_files_that_were_joined_have_a_byte_order_mark_in_the_middle(folder):
    part = gzip.compress(b'\xef\xbb\xbf{"a":1}\n')
    path = folder / "joined.jsonl.gz"
    path.write_bytes(part + part)
    assert good(read(path)) == [(1, b'{"a":1}'), (2, b'{"a":1}')]
    assert good(read(write(folder, "joined.csv", b"\xef\xbb\xbfa,b\n1,2\n\xef\xbb\xbf3,4\n")))[1][1] == {
        "a": "3",
        "b": "4",
    }


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["p.jsonl", "p.csv"])
def test_text_that_is_not_utf_8_is_named(folder, name, encoding):
    text = ("\ufeff" if encoding == "utf-16-be" else "") + '{"a":1}\n'
    [(position, why, whole)] = broken(read(write(folder, name, text.encode(encoding))))
    assert (position, whole) == (1, True)
    assert "convert it to UTF-8" in why


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"", "no header: the file is empty"),
        (b"a,b,a\n1,2,3\n", "the header names the column 'a' twice"),
        (b"a,,b\n1,2,3\n", "column 2 has no name in the header"),
        (b"a;b\n1;2\n", "the columns are separated by ';' and not by commas: convert the file, or"),
        (b"a|b\n1|2\n", "the columns are separated by '|' and not by commas: convert the file, or"),
        (b"attributes,attributes.x\n", "the header has both the column attributes and columns attributes.*"),
        ("a,b\n".encode("utf-16"), "the file is UTF-16"),
        (b'"a,b\n1,2\n', "the header cannot be read: " + "not a CSV row: it opens a quote"),
    ],
)
def test_a_header_that_cannot_be_used_is_one_broken_file(folder, header, why):
    path = write(folder, "header.csv", header)
    [(position, reason, whole_file)] = broken(read(path))
    assert (position, whole_file) == (1, True)
    assert reason.startswith(why)
    assert broken(read(path, shard_bytes=1)) == [(1, reason, True)]


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(folder):
    data = b'a,b\n1,2\n"open' + (b"x" * 1_999 + b"\n") * 10_000
    path = write(folder, "open.csv", data)
    tracemalloc.start()
    [shard] = shards(path)
    reasons = Counter(raw.broken for raw in read_shard(shard))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons == {None: 1, UNCLOSED: 1, "the row has 1 cells, the header 2": 9_999}
    assert peak < 3 * line_reader.LONGEST


def test_csv_gzip(folder):
    assert good(read(write(folder, "z.csv.gz", b"a\n1\n"))) == [(2, {"a": "1"})]


def test_a_stray_quote_in_an_unquoted_cell_swallows_no_rows(folder):
    path = write(folder, "stray.csv", b'customer_id,size\na,5" nail\nb,2\nc,3" x 4"\nd,"q\nr"\ne,1\n')
    assert [(raw.number, raw.row["customer_id"]) for raw in read(path)] == list(enumerate("abcde", 1))
    assert [raw.position for raw in read(path)] == [2, 3, 4, 5, 7]


@given(st.lists(st.lists(st.text('ab",\n', max_size=6), min_size=2, max_size=2), min_size=1, max_size=8))
def test_rows_are_those_that_a_csv_writer_wrote(tables):
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(tables)
    found = [row.text.decode() for row in csv_rows([written.getvalue().encode()]) if row.text]
    assert [next(csv.reader(io.StringIO(row, newline=""))) for row in found] == tables
