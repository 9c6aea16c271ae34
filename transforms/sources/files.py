"""Records out of files: match, plan shards, read them."""

import logging
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.transforms.formats.errors import (
    CannotList,
    NoSuchInput,
    SourceError,
    UnknownFormat,
    WrongFormat,
)
from beam_talonone.transforms.formats.shard import Input
from beam_talonone.transforms.sources.matching import match_files
from beam_talonone.transforms.sources.opening import FileInfo, Format, check_kind, format_of
from beam_talonone.transforms.sources.shards import SHARD_BYTES, plan_shards, read_shard

__all__ = [
    "CannotList",
    "FileInfo",
    "Format",
    "NoSuchInput",
    "ReadRecords",
    "SourceError",
    "UnknownFormat",
    "WrongFormat",
    "check_kind",
    "format_of",
    "inputs_of",
    "match_files",
]


_LOG = logging.getLogger(__name__)


def inputs_of(kind: str, files: Iterable[FileInfo], format: str | None = None) -> Iterator[Input]:
    """Each file with its format. Raises UnknownFormat and WrongFormat."""
    for info in files:
        told = format_of(info.path, format)
        check_kind(kind, told)
        yield Input(kind, info, told)


def _matched(pattern: str | Sequence[str], kind: str, format: str | None) -> Iterator[Input]:
    return inputs_of(kind, match_files(pattern, lambda line: say(_LOG, logging.INFO, line)), format)


class ReadRecords(beam.PTransform):  # type: ignore[misc]
    """pipeline -> PCollection[Raw]: the records of all files that `pattern` (one, or several) matches, in no promised
    order.

    `kind` is orders, returns, profiles, events or calls; `format` (jsonl, avro, csv, parquet) overrules the
    files' names. Files already matched are given as `files`; else they are matched when the job runs, and a
    pattern without a match fails the job. Files larger than `shard_bytes` are cut and read in parallel. What
    cannot be read comes out as a Raw with `broken`. Raises SourceError's subclasses: at once with `files`, else
    when the job runs.
    """

    def __init__(
        self,
        kind: str,
        pattern: str | Sequence[str],
        format: str | None = None,
        *,
        files: Iterable[FileInfo] | None = None,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        super().__init__()
        self._kind = kind
        self._pattern = pattern if isinstance(pattern, str) else tuple(pattern)
        self._format = format
        self._inputs = None if files is None else list(inputs_of(kind, files, format))
        self._shard_bytes = shard_bytes

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[Raw]:
        kind, format = self._kind, self._format
        if self._inputs is None:
            inputs = (
                pipeline
                | "Pattern" >> beam.Create([self._pattern])
                | "Match" >> beam.FlatMap(_matched, kind, format)
                | "SpreadFiles" >> beam.Reshuffle()
            )
        else:
            inputs = pipeline | "Files" >> beam.Create(self._inputs)
        return (
            inputs
            | "PlanShards" >> beam.FlatMap(plan_shards, self._shard_bytes)
            | "SpreadShards" >> beam.Reshuffle()
            | "ReadShard" >> beam.FlatMap(read_shard).with_output_types(Raw)
        )
