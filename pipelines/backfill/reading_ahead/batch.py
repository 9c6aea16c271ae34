"""A batch of records as the staging database takes it. The process that reads packs works and documents in blocks."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill.packed import (
    DOCUMENTS,
    WORKS,
    WORKS_BYTES,
    Document,
    check_of,
    pack_documents,
    pack_works,
    place_of,
    without_digests,
)
from beam_talonone.pipelines.backfill.staging_rows import (
    CONTENT,
    FILE,
    IDENTITY,
    LETTER,
    ORDER,
    PHASE,
    POSITION,
    RAW,
    WORK,
    StagedRecord,
)

BATCH = 500

BATCH_BYTES = 16 << 20
"""A batch ends when its records are this large: a record may have 16 MiB."""


LITERAL = 1000
"""Characters of a text that may stand in the statement that inserts a batch."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Records by column, with the places of their documents in `blocks` in place of the documents, and the places of
    their works in `works` in place of the works.

    The columns are those of a row of StagedRecord, then CHECK. Most of them are the same in all records of a batch:
    such a column is one value, which is neither passed on nor bound for each record.
    """

    size: int
    same: dict[int, int | str | None]
    """Column -> its value in all records."""
    columns: dict[int, list[Any]]
    """Column -> its values, of the other columns."""
    noted: list[tuple[int, StagedRecord]]
    """Records of which more is known than the columns say, without their rows: (index in the batch, record)."""
    blocks: list[bytes]
    """One block for each DOCUMENTS records."""
    works: list[bytes]
    """The blocks of works."""

    def column(self, number: int) -> list[Any]:
        """The values of a column of the batch."""
        if not self.size:
            return []
        return [self.same[number]] * self.size if number in self.same else self.columns[number]

    @property
    def records(self) -> list[StagedRecord]:
        """The records, each with its row."""
        noted = dict(self.noted)
        rows = zip(*map(self.column, range(CHECK)), strict=True)
        return [msgspec.structs.replace(noted.get(index, _PLAIN), row=row) for index, row in enumerate(rows)]


CHECK = 19
"""The column of the checksum of the work."""

_PLAIN = StagedRecord(())


def is_full(records: int, size: int) -> bool:
    """Whether a batch of so many records, with `size` bytes, takes no more."""
    return records >= BATCH or size >= BATCH_BYTES


def in_batches(records: Iterable[StagedRecord]) -> Iterator[list[StagedRecord]]:
    """The records in batches of at most BATCH, and of little more than BATCH_BYTES."""
    batch: list[StagedRecord] = []
    size = 0
    for record in records:
        batch.append(record)
        size += bytes_of(record)
        if is_full(len(batch), size):
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def bytes_of(record: StagedRecord) -> int:
    """The bytes of what may be large in a record: its document, its work, and its dead letter."""
    row, outcome = record.row, record.outcome
    letter = None if outcome is None else outcome[LETTER]
    return len(row[RAW] or b"") + len(row[WORK] or b"") + len(letter or b"")


def batch_of(records: Sequence[StagedRecord], *, in_blocks: bool = True) -> Batch:
    """The batch of records that have their documents and works. Records that are made of one document share it.
    Without `in_blocks`, works stay as they are."""
    columns: list[list[Any]] = [list(column) for column in zip(*(record.row for record in records), strict=True)]
    if not columns:
        return Batch(0, {}, {}, [], [], [])
    columns[RAW], blocks = _documents(columns[FILE], columns[POSITION], columns[RAW])
    columns.append(list(map(check_of, columns[WORK])))
    works: list[bytes] = []
    if in_blocks:
        columns[WORK], works = _works(columns)
    same = {number: column[0] for number, column in enumerate(columns) if _is_same(column)}
    return Batch(
        len(records),
        same,
        {number: column for number, column in enumerate(columns) if number not in same},
        [
            (index, msgspec.structs.replace(record, row=()))
            for index, record in enumerate(records)
            if record.outcome is not None or record.unknown or record.unknown_api or record.problem_fields
        ],
        blocks,
        works,
    )


def _is_same(column: list[Any]) -> bool:
    """Whether the column has one value, of a kind that SQL can spell."""
    value = column[0]
    if type(value) is str:
        spelt = len(value) <= LITERAL and "\0" not in value
    else:
        spelt = value is None or (type(value) is int and abs(value) < 1 << 53)
    return spelt and column[-1] == value and column.count(value) == len(column)


def _documents(
    files: list[Any], positions: list[Any], documents: list[bytes | None]
) -> tuple[list[int | None], list[bytes]]:
    """The place of each document in its block, and the blocks."""
    places: list[int | None] = []
    blocks = []
    for start in range(0, len(documents), DOCUMENTS):
        chosen: list[Document] = []
        latest: tuple[Any, ...] | None = None
        block = slice(start, start + DOCUMENTS)
        for own in zip(files[block], positions[block], documents[block], strict=True):
            document = own[2]
            if document is None:
                places.append(None)
                continue
            if own != latest:
                chosen.append((own[1], document))
                latest = own
            places.append(len(chosen) - 1)
        blocks.append(pack_documents(chosen))
    return places, blocks


def _works(columns: list[list[Any]]) -> tuple[list[int | None], list[bytes]]:
    """The place of each work in its block, and the blocks: each has works that are sent one after the other."""
    works, identities, contents = columns[WORK], columns[IDENTITY], columns[CONTENT]
    sent = list(zip(columns[PHASE], *columns[ORDER], strict=True))
    places: list[int | None] = [None] * len(works)
    blocks: list[bytes] = []
    block: list[bytes] = []
    size = 0
    for index in sorted((index for index, work in enumerate(works) if work is not None), key=sent.__getitem__):
        if len(block) == WORKS or size > WORKS_BYTES:
            blocks.append(pack_works(block))
            block, size = [], 0
        places[index] = place_of(index, len(blocks), len(block))
        block.append(without_digests(works[index], identities[index], contents[index]))
        size += len(block[-1])
    if block:
        blocks.append(pack_works(block))
    return places, blocks
