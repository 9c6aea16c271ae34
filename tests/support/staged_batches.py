"""Batches of records as the process that reads them passes them on."""

from beam_talonone.pipelines.backfill.packed import unpack_works, with_digests
from beam_talonone.pipelines.backfill.reading_ahead.batch import Batch
from beam_talonone.pipelines.backfill.staging_rows import CONTENT, IDENTITY, WORK


def work_of(batch: Batch, index: int) -> bytes:
    """The work of a record of a batch, from its block."""
    row = batch.records[index].row
    block = next(block for first, block in reversed(batch.works) if first <= index)
    work = unpack_works(block)[row[WORK]]
    assert work is not None
    return with_digests(work, row[IDENTITY], row[CONTENT])
