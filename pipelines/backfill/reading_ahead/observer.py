"""What a command learns from the input while it is read, beyond the rows of the staging database."""

from collections.abc import Sequence
from typing import Protocol

from beam_talonone.pipelines.backfill.staging_rows import StagedRecord
from beam_talonone.transforms.runtime.process_registry import Kind


class ReadingObserver(Protocol):
    """Sees all records of a run, and what preparing them leaves in the memory of the processes that read."""

    def on_batch(self, records: Sequence[StagedRecord]) -> None:
        """Look at records that are staged. Called in the process of the run."""

    def forget(self) -> None:
        """Forget all findings: a forked process begins to read, and its parent has those from before."""

    def findings(self) -> bytes:
        """What preparing records has left in this forked process, for `add`."""

    def add(self, findings: bytes) -> None:
        """Take the findings of a forked process, in the order of the shards."""


OBSERVERS = Kind[str, ReadingObserver]("observers of reading")
"""By the path of the staging database of the run."""
