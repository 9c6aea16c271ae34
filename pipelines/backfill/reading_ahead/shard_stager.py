"""From the shards of files to batches of records as the staging database has them, in this process or in others."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from beam_talonone.pipelines.backfill.reading_ahead.batch import Batch, batch_of, in_batches
from beam_talonone.pipelines.backfill.reading_ahead.observer import ReadingObserver
from beam_talonone.pipelines.backfill.reading_ahead.processes import POSSIBLE, computed
from beam_talonone.pipelines.backfill.staging_rows import Place, RecordStager, StagedRecord, format_of
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.formats.shard import Input, Shard
from beam_talonone.transforms.sources.prepare import Prepared, Prepares, prepare_all
from beam_talonone.transforms.sources.shards import SHARD_BYTES, read_shard

FORK_FROM = 4 << 20
"""Bytes of input from which on other processes read it. Less is read as fast by this one."""

MOST_PROCESSES = 2
"""Processes that read at a time. A further one would outrun the process that writes the staging database."""

FORKED_SHARD_BYTES = 8 << 20
"""Shards of JSONL are small where several processes share a file."""


@dataclass(frozen=True)
class ShardStager:
    """Reads shards of the input `kind`, and prepares and stages their records.

    `numbers` has the number of each file of a kind, by kind and path. `forks` is False if records must be prepared in
    this process: a function of the user may depend on threads.
    """

    kind: str
    build: BuildOptions
    reading: Reading
    prepares: Prepares
    stager: RecordStager
    numbers: dict[tuple[str, str], int]
    forks: bool = True

    def shard_bytes(self, inputs: Sequence[Input]) -> int:
        """The size of shards: small ones, where several processes read files of JSON lines."""
        lines = all(source.format.name == "jsonl" for source in inputs)
        return (
            FORKED_SHARD_BYTES if lines and self._worth_it([source.info.path for source in inputs]) else SHARD_BYTES
        )

    def batches(
        self, shards: Sequence[Shard], look: Callable[[], None], observer: ReadingObserver | None = None
    ) -> Iterator[Batch]:
        """The records of all shards. `look` is called between batches, and may raise what ends the reading.

        `observer` gets the findings of the processes that read. Raises CannotReadNow if a file system does not
        answer, and StopRun if a process that reads is killed.
        """
        if self._worth_it([shard.file for shard in shards]):
            tasks = [partial(self._encoded, number, shard, observer) for number, shard in enumerate(shards)]
            findings = _InOrder(observer)
            for message in map(_MESSAGES.decode, computed(tasks, MOST_PROCESSES, look)):
                if message.batch is not None:
                    yield message.batch
                else:
                    findings.add(message.shard, message.findings)
            return
        for shard in shards:
            for batch in self._batches_of(shard):
                look()
                yield batch

    def stage(self, prepared: Prepared) -> StagedRecord:
        """The row of a record, with its place in this job's input. A replayed record has that of its dead letter."""
        return self.stager.stage(prepared, self._place(prepared))

    def _worth_it(self, files: Sequence[str]) -> bool:
        """Whether other processes read the files. A client of a cloud's storage does not survive a fork."""
        if not (POSSIBLE and self.forks) or len(os.sched_getaffinity(0)) < 2:
            return False
        return all(map(os.path.isfile, files)) and sum(map(os.path.getsize, set(files))) >= FORK_FROM

    def _encoded(self, number: int, shard: Shard, observer: ReadingObserver | None) -> Iterator[bytes]:
        if observer is not None:
            observer.forget()
        for batch in self._batches_of(shard):
            yield msgspec.msgpack.encode(_Message(batch))
        if observer is not None:
            yield msgspec.msgpack.encode(_Message(None, number, observer.findings()))

    def _batches_of(self, shard: Shard) -> Iterator[Batch]:
        records = (
            self.stage(prepared)
            for raw in read_shard(shard)
            for prepared in prepare_all(raw, self.build, self.reading, self.prepares)
        )
        return (batch_of(batch, in_blocks=self.stager.in_blocks) for batch in in_batches(records))

    def _place(self, prepared: Prepared) -> Place:
        raw, origin = prepared.raw, prepared.origin
        if origin is None:
            return raw.file, self.numbers[self.kind, raw.file], raw.position, format_of(raw)
        return origin.file, self.numbers[LETTERS, origin.file], origin.position, format_of(raw)


class _Message(msgspec.Struct, array_like=True):
    """What a process that reads a shard passes on: a batch of records, or at the end the findings of an observer."""

    batch: Batch | None
    shard: int = 0
    findings: bytes = b""


_MESSAGES = msgspec.msgpack.Decoder(_Message)


class _InOrder:
    """Passes findings on in the order of the shards: processes end in any order, and findings are listed."""

    def __init__(self, observer: ReadingObserver | None) -> None:
        self._observer = observer
        self._early: dict[int, bytes] = {}
        self._next = 0

    def add(self, shard: int, findings: bytes) -> None:
        """Take the findings of a shard."""
        self._early[shard] = findings
        while self._observer is not None and self._next in self._early:
            self._observer.add(self._early.pop(self._next))
            self._next += 1
