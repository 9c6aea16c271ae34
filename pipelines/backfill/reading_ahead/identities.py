"""Whether two records of a run have one identity.

In most inputs no two have. Then the staging database need not sort all identities to find that out.
"""

from collections.abc import Sequence

from beam_talonone.transforms.runtime.process_registry import Kind

MOST = 2_000_000
"""Records whose identities are remembered, in 8 bytes each. Of more, the staging database is asked."""

_WHOLE, _HEAD = 16, 8


class Identities:
    """The beginnings of the identities of all records that a run stages."""

    def __init__(self) -> None:
        self._heads = bytearray()
        self._records = 0

    def add(self, identities: Sequence[bytes | None]) -> None:
        """Remember those of a batch. A record that is not sent has none."""
        import numpy  # Beam has imported it; a command that reads nothing has not

        self._records += len(identities)
        if self._records <= MOST:
            joined = b"".join(filter(None, identities))
            self._heads += numpy.frombuffer(joined, numpy.uint64)[:: _WHOLE // _HEAD].tobytes()

    def may_repeat(self, records: int) -> bool:
        """Whether two of the `records` of the run may have one identity. True where not all were seen."""
        import numpy

        if self._records != records or records > MOST:
            return True
        heads = numpy.sort(numpy.frombuffer(self._heads, numpy.uint64))
        return bool((heads[1:] == heads[:-1]).any())


IDENTITIES = Kind[str, Identities]("identities")
"""By the path of the staging database of the run."""
