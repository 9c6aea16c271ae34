"""A batch of records as the staging database takes it: their documents packed together, by the process that reads."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill.packed import DOCUMENTS, pack_documents
from beam_talonone.pipelines.backfill.staging_rows import FILE, LETTER, POSITION, RAW, WORK, StagedRecord

BATCH = 500

BATCH_BYTES = 16 << 20
"""A batch ends when its records are this large: a record may have 16 MiB."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Records, with the places of their documents in `blocks` in place of the documents."""

    records: list[StagedRecord]
    blocks: list[bytes]
    """One block for each DOCUMENTS records."""


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


def batch_of(records: Sequence[StagedRecord]) -> Batch:
    """The batch of records that have their documents. Records that are made of one document share it."""
    batch = Batch([], [])
    for start in range(0, len(records), DOCUMENTS):
        documents: list[bytes] = []
        latest: tuple[Any, ...] | None = None
        for record in records[start : start + DOCUMENTS]:
            row = record.row
            document = row[RAW]
            if document is None:
                batch.records.append(record)
                continue
            own = (row[FILE], row[POSITION], document)
            if own != latest:
                documents.append(document)
                latest = own
            batch.records.append(
                StagedRecord(
                    (*row[:RAW], len(documents) - 1, *row[RAW + 1 :]), record.outcome, record.unknown,
                    record.unknown_api, record.problem_fields,
                )
            )  # fmt: skip
        batch.blocks.append(pack_documents(documents))
    return batch
