"""Records from files: match the files, plan their shards, and read them."""

import logging
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.talonone.telemetry.logs import say
from beam_talonone.transforms.formats.dialect import Dialect
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


def inputs_of(
    kind: str, files: Iterable[FileInfo], format: str | None = None, dialect: Dialect | None = None
) -> Iterator[Input]:
    """Each file with its format. With a dialect, rows of CSV are foreign documents, of any kind.

    Raises UnknownFormat and WrongFormat.
    """
    for info in files:
        file_format = format_of(info.path, format, dialect)
        check_kind(kind, file_format)
        yield Input(kind, info, file_format)


def _matched(pattern: str | Sequence[str], kind: str, format: str | None, dialect: Dialect | None) -> Iterator[Input]:
    return inputs_of(kind, match_files(pattern, lambda line: say(_LOG, logging.INFO, line)), format, dialect)


class ReadRecords(beam.PTransform):  # type: ignore[misc]
    """The records of all files that `pattern` (one or several) matches, as a PCollection[Raw] without order.

    * `kind`: orders, returns, profiles, events or calls.
    * `format`: jsonl, json, avro, csv or parquet, instead of the endings of the names.
    * `files`: files that are matched already. Otherwise they are matched when the job runs, and a pattern without a
      match fails the job.
    * `dialect`: that of CSV whose rows are foreign documents, for a mapping.
    * `shard_bytes`: files larger than this are split and read in parallel.

    Unreadable parts become a Raw with `broken`. Raises subclasses of SourceError: at once with `files`, else when the
    job runs.
    """

    def __init__(
        self,
        kind: str,
        pattern: str | Sequence[str],
        format: str | None = None,
        *,
        files: Iterable[FileInfo] | None = None,
        dialect: Dialect | None = None,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        super().__init__()
        self._kind = kind
        self._pattern = pattern if isinstance(pattern, str) else tuple(pattern)
        self._format = format
        self._dialect = dialect
        self._inputs = None if files is None else list(inputs_of(kind, files, format, dialect))
        self._shard_bytes = shard_bytes

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection[Raw]:
        """Add the steps that match, split and read the files."""
        kind, format = self._kind, self._format
        if self._inputs is None:
            inputs = (
                pipeline
                | "Pattern" >> beam.Create([self._pattern])
                | "Match" >> beam.FlatMap(_matched, kind, format, self._dialect)
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
