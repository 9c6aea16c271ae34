"""Before a backfill: the names that a mapping reads and no document of a sample of its files has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from beam_talonone.pipelines.mappings.coverage import coverage_of
from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord, listed
from beam_talonone.transforms.formats.errors import CannotReadNow, SourceError
from beam_talonone.transforms.formats.shard import Shard
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.resolve import presets
from beam_talonone.transforms.mapping.result import Mapping as Converts
from beam_talonone.transforms.mapping.result import MappingResult
from beam_talonone.transforms.sources.opening import FileInfo, format_of
from beam_talonone.transforms.sources.shards import read_shard
from beam_talonone.transforms.tables.table import ROWS

MOST_DOCUMENTS, MOST_FILES = 1000, 20
"""Documents that are read of each input, and files that they are from."""


def misspelt_names(
    mapping: Converts | None, files: Mapping[str, Sequence[FileInfo]], file_format: str | None
) -> str | None:
    """A line about the names that a mapping file reads and no document of a sample of `files` has; None without any.

    A name that no document has is null in all records, which makes guests of all customers. Presets read more names
    than an export has, so there is no line about them. `file_format` is that of all files, None if their names tell
    it. A sample costs the same for files of any size.
    """
    if not isinstance(mapping, FileMapping) or mapping.name in presets():
        return None
    coverage, nothing, count = coverage_of(mapping), MappingResult(), 0
    coverage.add(dict.fromkeys((ROWS, *(join.name for join in mapping.table.joins))), nothing)
    for infos in files.values():
        for document in _sample(infos, file_format, mapping):
            coverage.add(document, nothing)
            count += 1
    absent = coverage.absent(mapping.mentions()) if count else []
    return f"{mapping.name}: no document in a sample of {count:,} has {listed(absent)}" if absent else None


def _sample(infos: Sequence[FileInfo], file_format: str | None, mapping: FileMapping) -> Iterator[Any]:
    """Documents, or rows where several rows are one document."""
    chosen = infos[:: max(1, -(-len(infos) // MOST_FILES))]
    for info in chosen:
        yield from islice(_documents(info, file_format, mapping), -(-MOST_DOCUMENTS // len(chosen)))


def _documents(info: FileInfo, file_format: str | None, mapping: FileMapping) -> Iterable[Any]:
    try:
        for raw in read_shard(Shard("orders", info.path, format_of(info.path, file_format, mapping.table.dialect))):
            try:
                yield decode(raw)
            except InvalidRecord:
                continue
    except (OSError, SourceError, CannotReadNow):  # reading all of it says why
        return
