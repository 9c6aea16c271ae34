"""The shards of files as batches: the same records, whether this process reads them or others do."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.staged_job import work_of

from beam_talonone.pipelines.backfill.packed import DOCUMENTS, unpack_documents
from beam_talonone.pipelines.backfill.reading_ahead import batch as batch_module
from beam_talonone.pipelines.backfill.reading_ahead import shard_stager
from beam_talonone.pipelines.backfill.reading_ahead.batch import Batch, in_batches
from beam_talonone.pipelines.backfill.reading_ahead.processes import POSSIBLE
from beam_talonone.pipelines.backfill.reading_ahead.shard_stager import FORKED_SHARD_BYTES, ShardStager
from beam_talonone.pipelines.backfill.staging_rows import RAW, WORK, RecordStager, StagedRecord
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.formats.shard import Input
from beam_talonone.transforms.sources.opening import FileInfo, Format
from beam_talonone.transforms.sources.prepare import prepare
from beam_talonone.transforms.sources.shards import SHARD_BYTES, plan_shards

STAGER = RecordStager(-(2**63), 2**63 - 1, False, "job")


def _stager(path: Path, *, forks: bool = True) -> ShardStager:
    return ShardStager(
        "profiles", BuildOptions(), AS_USUAL, prepare, STAGER, {("profiles", str(path)): 0}, forks=forks
    )


def _profiles(folder: Path, count: int) -> Input:
    """Profiles, each tenth of which is invalid."""
    path = folder / "profiles.jsonl"
    with path.open("w") as file:
        for number in range(count):
            record = {
                "customer_id": f"c{number}",
                "event_time": "2026-05-01T12:00:00Z" if number % 10 else "yesterday",
            }
            file.write(json.dumps({**record, "attributes": {"n": number}}) + "\n")
    return Input("profiles", FileInfo(str(path), path.stat().st_size), Format("jsonl"))


def _nothing() -> None:
    pass


def _whole(batch: Batch) -> Iterator[StagedRecord]:
    """The records of a batch, with their documents and works in place of where these are in the blocks."""
    for number, record in enumerate(batch.records):
        row = list(record.row)
        if row[RAW] is not None:
            row[RAW] = unpack_documents(batch.blocks[number // DOCUMENTS])[row[RAW]][1]
            row[WORK] = work_of(batch, number)
        yield msgspec.structs.replace(record, row=tuple(row))


def _all(stager: ShardStager, source: Input, shard_bytes: int) -> list[StagedRecord]:
    batches = list(stager.batches(list(plan_shards(source, shard_bytes)), _nothing))
    assert all(0 < len(batch.records) <= batch_module.BATCH for batch in batches)
    records = sorted((record for batch in batches for record in _whole(batch)), key=lambda record: record.row[13])
    return [msgspec.structs.replace(record, outcome=record.outcome and record.outcome[:3]) for record in records]  # type: ignore[misc]


@pytest.mark.skipif(not POSSIBLE, reason="processes are forked on Linux only")
def test_other_processes_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _profiles(tmp_path, 1500)
    path = Path(source.info.path)
    alone = _all(_stager(path, forks=False), source, SHARD_BYTES)
    forks = _count_forks(monkeypatch)
    monkeypatch.setattr(shard_stager, "FORK_FROM", 1)
    assert _all(_stager(path), source, 20_000) == alone
    assert len(forks) == len(list(plan_shards(source, 20_000))) > 2
    assert len(alone) == 1500
    assert [record.problem_fields for record in alone if record.outcome is not None] == [("/event_time",)] * 150


class _Observer:
    """Finds the number of records that a process has prepared."""

    def __init__(self) -> None:
        self.prepared = 0
        self.found: list[int] = []

    def prepare(self, *given: Any) -> Any:
        """A record, counted."""
        self.prepared += 1
        return prepare(*given)

    def on_batch(self, records: Sequence[StagedRecord]) -> None:
        """Nothing."""

    def forget(self) -> None:
        """Forget the number."""
        self.prepared = 0

    def findings(self) -> bytes:
        """The number."""
        return str(self.prepared).encode()

    def add(self, findings: bytes) -> None:
        """Note the number of a shard."""
        self.found.append(int(findings))


@pytest.mark.skipif(not POSSIBLE, reason="processes are forked on Linux only")
def test_an_observer_gets_the_findings_in_the_order_of_the_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _profiles(tmp_path, 1500)
    path, observer = Path(source.info.path), _Observer()
    observer.prepared = 7
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(shard_stager, "FORK_FROM", 1)
    stager = replace(_stager(path), prepares=observer.prepare)
    shards = list(plan_shards(source, 20_000))
    assert sum(len(batch.records) for batch in stager.batches(shards, _nothing, observer)) == 1500
    firsts = [shard.first for shard in shards] + [1501]
    assert observer.found == [end - start for start, end in pairwise(firsts)]
    assert observer.prepared == 7


@pytest.mark.parametrize("why", ["a small input", "must not fork", "one core", "a file elsewhere"])
def test_this_process_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    source = _profiles(tmp_path, 10)
    path = Path(source.info.path)
    forks = _count_forks(monkeypatch)
    if why != "a small input":
        monkeypatch.setattr(shard_stager, "FORK_FROM", 1)
    if why == "one core":
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    if why == "a file elsewhere":
        monkeypatch.setattr(os.path, "isfile", lambda _: False)
    stager = _stager(path, forks=why != "must not fork")
    assert stager.shard_bytes([source]) == SHARD_BYTES
    assert len(_all(stager, source, SHARD_BYTES)) == 10
    assert forks == []


@pytest.mark.skipif(not POSSIBLE, reason="processes are forked on Linux only")
def test_shards_are_small_where_processes_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(shard_stager, "FORK_FROM", 1)
    source = _profiles(tmp_path, 10)
    stager = _stager(Path(source.info.path))
    assert stager.shard_bytes([source]) == FORKED_SHARD_BYTES
    assert stager.shard_bytes([source, msgspec.structs.replace(source, format=Format("csv"))]) == SHARD_BYTES


def test_a_batch_ends_with_its_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _profiles(tmp_path, 11)
    monkeypatch.setattr(batch_module, "BATCH_BYTES", 1)
    batches = list(_stager(Path(source.info.path)).batches(list(plan_shards(source)), _nothing))
    assert [len(batch.records) for batch in batches] == [1] * 11


@pytest.mark.parametrize("column", [RAW, WORK])
def test_a_batch_ends_with_the_bytes_of_any_large_column(column: int) -> None:
    row = [None] * 19
    row[column] = b"x" * (6 << 20)
    letter = StagedRecord((None,) * 19, ("dead_lettered", "decode", "not_json", b"x" * (17 << 20)))
    records = [*[StagedRecord(tuple(row))] * 4, letter, letter]
    assert [len(batch) for batch in in_batches(records)] == [3, 2, 1]


@pytest.mark.skipif(not POSSIBLE, reason="processes are forked on Linux only")
def test_a_file_system_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _profiles(tmp_path, 10)

    def fails(*_: object) -> None:
        raise CannotReadNow("it cannot be read")

    monkeypatch.setattr(shard_stager, "FORK_FROM", 1)
    monkeypatch.setattr(shard_stager, "read_shard", fails)
    for forks in (False, True):
        with pytest.raises(CannotReadNow, match="it cannot be read"):
            list(_stager(Path(source.info.path), forks=forks).batches(list(plan_shards(source)), _nothing))


def _count_forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    forks: list[int] = []
    fork: Callable[[], int] = os.fork
    monkeypatch.setattr(os, "fork", partial(_counted, fork, forks))
    return forks


def _counted(fork: Callable[[], int], forks: list[int]) -> int:
    pid = fork()
    forks.append(pid)
    return pid
