"""Whether two records of a run have one identity, or one customer.

In most inputs no two have one identity, and in many each customer has one record. Then the staging database need not
sort them all to find that out.
"""

from array import array
from collections.abc import Iterable

from beam_talonone.pipelines.backfill.reading_ahead.batch import Batch
from beam_talonone.pipelines.backfill.staging_rows import CUSTOMER, IDENTITY, SESSION, WORK
from beam_talonone.transforms.runtime.process_registry import Kind

MOST = 2_000_000
"""Records whose values are remembered, in 8 bytes each. Of more, the staging database is asked."""


class SeenValues:
    """Hashes of the values that all records of a run have in one respect."""

    def __init__(self) -> None:
        self._hashes = array("q")
        self._records = 0

    def add(self, records: int, values: Iterable[bytes | str | None]) -> None:
        """Remember the values of so many records. Some have None: those have no value."""
        self._records += records
        if self._records <= MOST:
            self._hashes.extend(map(hash, filter(None, values)))
        elif self._hashes:
            self._hashes = array("q")

    def may_repeat(self, records: int) -> bool:
        """Whether two of the `records` of the run may have the same value. True where not all were seen."""
        import numpy  # Beam has imported it; a command that reads nothing has not

        if self._records != records or records > MOST:
            return True
        hashes = numpy.sort(numpy.frombuffer(self._hashes, numpy.int64))
        return bool((hashes[1:] == hashes[:-1]).any())


class Repetitions:
    """What the records seen so far have in common. A record that is not sent counts for neither."""

    def __init__(self) -> None:
        self.identities = SeenValues()
        self.chains = SeenValues()
        """The customers, or the orders of records without one: those of one chain leave one after the other."""

    def add(self, batch: Batch) -> None:
        """See the records of a batch."""
        self.identities.add(batch.size, batch.column(IDENTITY))
        columns = map(batch.column, (WORK, CUSTOMER, SESSION))
        self.chains.add(
            batch.size, (None if work is None else name or order for work, name, order in zip(*columns, strict=True))
        )


REPETITIONS = Kind[str, Repetitions]("repetitions")
"""By the path of the staging database of the run."""
