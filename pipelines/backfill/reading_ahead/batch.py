"""A batch of records as the staging database takes it: their documents packed together, by the process that reads."""

from collections.abc import Sequence
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill.packed import DOCUMENTS, pack_documents
from beam_talonone.pipelines.backfill.staging_rows import StagedRecord

FILE, POSITION, RAW = 11, 13, 16
"""The places of the file, the position in it, and the document in a row."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Records, with the places of their documents in `blocks` in place of the documents."""

    records: list[StagedRecord]
    blocks: list[bytes]
    """One block for each DOCUMENTS records."""


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
