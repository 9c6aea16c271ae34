"""Matching files, telling formats, and ReadRecords in a real pipeline."""

import gzip
import io
import json
import os
import re
from contextlib import suppress
from datetime import UTC, datetime

import apache_beam as beam
import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.api_core.exceptions import NotFound, RetryError, ServiceUnavailable
from google.auth.exceptions import TransportError
from requests.exceptions import ConnectionError

from beam_talonone.pipelines.backfill.ingest import ingest
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.schemas.avro import avro_schema
from beam_talonone.talonone.errors import StopRun
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.formats.shard import Shard
from beam_talonone.transforms.sources import shards
from beam_talonone.transforms.sources.files import (
    CannotList,
    Format,
    NoSuchInput,
    ReadRecords,
    UnknownFormat,
    WrongFormat,
    check_kind,
    format_of,
    inputs_of,
    match_files,
)
from beam_talonone.transforms.sources.opening import ENDINGS
from beam_talonone.transforms.sources.shards import read_shard

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_files_are_matched_in_order_with_size_and_time(tmp_path, monkeypatch):
    for name, text in (("b.jsonl", "bb"), ("a.jsonl", "a"), ("c.csv", "c"), ("sub/d.jsonl", "d")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1000, 1000))
    found = match_files(str(tmp_path / "*.jsonl"))
    assert [(info.path, info.size, info.modified) for info in found] == [
        (str(tmp_path / "a.jsonl"), 1, 1000),
        (str(tmp_path / "b.jsonl"), 2, 1000),
    ]
    assert [info.path for info in match_files(str(tmp_path / "**.jsonl"))][-1].endswith("sub/d.jsonl")
    monkeypatch.chdir(tmp_path)
    assert [info.path for info in match_files("*.jsonl")] == ["a.jsonl", "b.jsonl"]
    assert [info.path for info in match_files("sub/*")] == ["sub/d.jsonl"]
    assert [info.path for info in match_files("c.csv")] == ["c.csv"]


def test_no_match_names_the_pattern(tmp_path):
    with pytest.raises(NoSuchInput, match=r"none-\*\.jsonl: no file matches"):
        match_files(str(tmp_path / "none-*.jsonl"))
    with pytest.raises(NoSuchInput, match=r"none\.jsonl"):
        match_files(str(tmp_path / "none.jsonl"))
    with pytest.raises(CannotList, match=r"ftp9://x/\*: cannot be listed"):
        match_files("ftp9://x/*")


@pytest.mark.parametrize(
    ("path", "override", "format"),
    [
        ("a.jsonl", None, Format("jsonl")),
        ("gs://b/A.JSONL.GZ", None, Format("jsonl", True)),
        ("a.csv.gz", None, Format("csv", True)),
        ("a.avro", None, Format("avro")),
        ("a.parquet", None, Format("parquet")),
        ("a.txt", "csv", Format("csv")),
        ("a.avro", "jsonl", Format("jsonl")),
        ("a.gz", "jsonl", Format("jsonl", True)),
        ("a.json", None, Format("json")),
        ("a.JSON.gz", None, Format("json", True)),
        ("a.ndjson", None, Format("jsonl")),
    ],
)
def test_the_name_or_the_option_tells_the_format(path, override, format):
    assert format_of(path, override) == format


@pytest.mark.parametrize(
    ("path", "override", "why"),
    [
        ("a.js", None, "does not tell the format"),
        ("orders", None, "does not tell the format"),
        ("a.gz", None, "does not tell the format"),
        ("a.jsonl", "xml", "unknown format xml"),
        ("a.avro.gz", None, "avro files compress inside"),
        ("a.gz", "parquet", "parquet files compress inside"),
    ],
)
def test_what_does_not_tell_is_refused(path, override, why):
    with pytest.raises(UnknownFormat, match=why):
        format_of(path, override)


def test_the_refusal_lists_every_ending_that_is_read():
    with pytest.raises(UnknownFormat) as refused:
        format_of("orders.txt")
    listed = re.findall(r"\.(\w+(?:\.gz)?)\b", str(refused.value).partition("ends in")[2])
    assert {*ENDINGS} <= {*listed}
    for ending in (*ENDINGS, *(f"{ending}.gz" for ending in ENDINGS)):
        with suppress(UnknownFormat):
            format_of(f"a.{ending}")
            assert ending in listed


def test_a_folder_is_named_as_one(tmp_path):
    with pytest.raises(UnknownFormat, match="is a folder: name its files"):
        list(inputs_of("orders", match_files(str(tmp_path))))


@pytest.mark.parametrize("kind", ["orders", "returns", "calls"])
def test_nested_kinds_cannot_come_as_csv(kind):
    with pytest.raises(WrongFormat, match=f"{kind} cannot come as CSV"):
        check_kind(kind, Format("csv"))
    check_kind(kind, Format("jsonl"))


@pytest.mark.parametrize("format", ["jsonl", "csv", "avro", "parquet"])
def test_files_that_cannot_be_opened(tmp_path, format):
    (tmp_path / "folder").mkdir()
    for name, why in (("none", "the file does not exist"), ("folder", "this is a folder, not a file")):
        [raw] = read_shard(Shard("events", str(tmp_path / name), Format(format)))
        assert (raw.position, raw.broken, raw.whole_file, raw.kind) == (1, why, True, "events")


def test_a_file_without_permission(monkeypatch):
    # Raised by hand, as root may read every file.
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(FileSystems, "open", refuse)
    [raw] = read_shard(Shard("events", "a.jsonl", Format("jsonl")))
    assert raw.broken == "no permission to read the file"


class Breaks(io.BytesIO):
    """A file of which `good` bytes can be read."""

    def __init__(self, data, good, error):
        super().__init__(data)
        self.left, self.error = good, error

    def read(self, size=-1):
        found = super().read(size)
        self.left -= len(found)
        if self.left < 0:
            raise self.error
        return found


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (RetryError("Timeout of 120.0s exceeded", None), True),
        (ServiceUnavailable("busy"), True),
        (TransportError("no token"), True),
        (BeamIOError("failed", {"gs://b/a": ConnectionError("cut")}), True),
        (NotFound("gone"), False),
        (BeamIOError("failed", {"gs://b/a": NotFound("gone")}), False),
    ],
)
@pytest.mark.parametrize("format", ["jsonl", "csv", "avro", "parquet"])
@pytest.mark.parametrize("good", [0, 0.01, 0.5])
def test_a_file_system_that_does_not_answer_is_no_damage(mixed, monkeypatch, error, passing, format, good):
    """Else an outage of some minutes would cost all records that come after it in the file."""
    folder, _ = mixed
    name = {"jsonl": "a.jsonl", "csv": "c.csv", "avro": "d.avro", "parquet": "e.parquet"}[format]
    whole = (folder / name).read_bytes()
    monkeypatch.setattr(FileSystems, "open", lambda path, **_: Breaks(whole, int(good * len(whole)), error))
    shard = Shard("events", f"gs://b/{name}", Format(format))
    if passing:
        with pytest.raises(CannotReadNow, match=f"gs://b/{name} cannot be read: "):
            list(read_shard(shard))
        return
    *_, last = read_shard(shard)
    assert "gone" in last.broken


def test_a_backfill_that_meets_one_stops_and_can_be_resumed(tmp_path, monkeypatch):
    def fail(path, *_):
        raise RetryError("Timeout of 120.0s exceeded", None)

    path = tmp_path / "a.jsonl"
    path.write_text('{"event_id": "1", "type": "t", "customer_id": "c", "event_time": "2026-05-01T00:00:00Z"}\n')
    monkeypatch.setattr(shards, "open_file", fail)
    with pytest.raises(StopRun, match=f"^{path} cannot be read: RetryError: Timeout of 120.0s exceeded"):
        ingest(tmp_path / "spool", InputOptions({"events": str(path)}), {"events": match_files(str(path))}, "job", ())


def test_a_file_that_shrinks_between_planning_and_reading(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    *_, last = read_shard(Shard("events", str(path), Format("jsonl"), 0, 100, 1))
    assert (last.position, last.broken) == (2, "the file became shorter while it was read")


# Real pipelines: each costs about a second, so there are few.


_SEEN = []


def keep(raw):
    _SEEN.append(raw)


def run(transform):
    """What the transform gives, in order of file and position."""
    _SEEN.clear()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | transform | beam.Map(keep)
    return sorted(_SEEN, key=lambda raw: (raw.file, raw.position))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Good and bad files of one kind in every format, to be read only."""
    folder = tmp_path_factory.mktemp("mixed")
    ids = [f"e{n}" for n in range(300)]
    events = [{"event_id": id_, "type": "t", "customer_id": "c", "event_time": NOW} for id_ in ids]
    text = [json.dumps({**event, "event_time": NOW.isoformat()}).encode() for event in events]
    (folder / "a.jsonl").write_bytes(b"\n".join(text))
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(text)))
    (folder / "c.csv").write_text("event_id\n" + "\n".join(ids))
    with (folder / "d.avro").open("wb") as file:
        fastavro.writer(file, avro_schema("events"), events, sync_interval=500)
    pq.write_table(pa.Table.from_pylist(events), folder / "e.parquet", row_group_size=50)
    (folder / "x.avro").write_bytes((folder / "d.avro").read_bytes()[:-5])
    (folder / "y.parquet").write_bytes(b"not Parquet at all")
    (folder / "z.csv").write_text("")
    return folder, ids


def event_id(raw):
    return (raw.fields or json.loads(raw.line))["event_id"]


@pytest.mark.parametrize("when", ["matched before", "matched at run time"])
def test_good_and_bad_files_of_every_format(mixed, when):
    folder, ids = mixed
    pattern = str(folder / "*")
    files = match_files(pattern) if when == "matched before" else None
    raws = run(ReadRecords("events", pattern, files=files, shard_bytes=2000))
    for name in ("a.jsonl", "b.jsonl.gz", "c.csv", "d.avro", "e.parquet"):
        of_file = [raw for raw in raws if raw.file == str(folder / name)]
        first = 2 if name == "c.csv" else 1  # a header stands in the first line
        assert [(raw.position, event_id(raw)) for raw in of_file] == list(enumerate(ids, first)), name
        assert {raw.kind for raw in of_file} == {"events"}
    bad = [(os.path.basename(raw.file), raw.broken) for raw in raws if raw.broken is not None]
    assert [name for name, _ in bad] == ["x.avro", "y.parquet", "z.csv"]
    assert bad[0][1] == "the file is cut off: its last block is incomplete"
    assert sum(raw.file.endswith("x.avro") for raw in raws) > 200


def test_a_glob_without_a_match_fails_the_job_and_is_named(tmp_path):
    with pytest.raises(Exception, match=r"nothing-\*\.jsonl: no file matches"):
        run(ReadRecords("events", str(tmp_path / "nothing-*.jsonl")))
    with pytest.raises(WrongFormat):
        ReadRecords("orders", "a.csv", files=[match_files(__file__)[0]], format="csv")


@pytest.mark.parametrize("name", [b"Auftr\xe4ge.jsonl", b"\xc3\xa4\xff\xfe.jsonl"])
def test_a_name_that_is_not_utf_8_is_shown_in_text_and_opened_all_the_same(tmp_path, name):
    with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
        file.write(b'{"event_id":"e1"}\n')
    for pattern in (str(tmp_path / "*"), str(tmp_path / os.fsdecode(name))):
        [raw] = run(ReadRecords("events", pattern, files=match_files(pattern)))
        assert event_id(raw) == "e1"
        assert os.path.basename(raw.file).encode() == name.decode("utf-8", "backslashreplace").encode()
