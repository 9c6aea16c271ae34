"""A job whose input is staged: what the functions that send it work on."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.pipelines.backfill.sending.reading_process import Rows, work_rows
from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.talonone.engine.engine import Engine


@dataclass
class StagedJob:
    """A job that has read its input. `connection` is open on the staging database of `folder`."""

    options: BackfillOptions
    folder: JobFolder
    connection: sqlite3.Connection


@dataclass
class ActiveJob(StagedJob):
    """A job between its reading and its report; `notice` takes lines for the person at the terminal."""

    engine: Engine
    tally: Tally
    notice: Callable[[str], None]
    rows: Rows = work_rows
    """Reads the records of a slice that `begin` sends."""


@dataclass(frozen=True)
class Slice:
    """A range of the send order: the numbers of its first and last record."""

    first: int
    last: int

    @classmethod
    def starting_at(cls, first: int, total: int) -> "Slice":
        """The slice whose first record is `first`, in a job that has `total` records to send."""
        return cls(first, min(first + slices.SLICE - 1, total))

    @classmethod
    def numbered(cls, number: int, total: int) -> "Slice":
        """The slice of this `number`, counted from 1."""
        return cls.starting_at((number - 1) * slices.SLICE + 1, total)

    @property
    def name(self) -> str:
        """As the slice's files are named: `slice-000001`."""
        return f"slice-{self.number:06d}"

    @property
    def number(self) -> int:
        """Counts the slices of a job from 1."""
        return (self.first - 1) // slices.SLICE + 1
