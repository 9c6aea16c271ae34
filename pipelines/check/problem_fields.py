"""The fields that make records of a run invalid, counted while these are read."""

from beam_talonone.pipelines.dead_letters.aggregate import Counts, field_of

MOST_SHOWN = 20
"""Fields of one reason that are listed."""


class ProblemFields:
    """Counts, for each kind and reason, in how many records each field is the problem. It is for one thread."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], Counts] = {}

    def add(self, kind: str, reason: str, fields: tuple[str, ...]) -> None:
        """Count the `fields` at fault in one record; the same field of several items counts once."""
        if fields:
            counts = self._counts.setdefault((kind, reason), Counts())
            for name in dict.fromkeys(map(field_of, fields)):
                counts.add(name)

    def listed(self, kind: str, reason: str) -> str:
        """The fields of a kind and reason with their counts, the commonest first; empty if there are none."""
        counts = self._counts.get((kind, reason))
        if counts is None:
            return ""
        top = counts.top()
        hidden = len(top) - MOST_SHOWN
        more = f" and {hidden:,} more" if hidden > 0 else ""
        return ", ".join(f"{name} in {count:,}" for name, count in top[:MOST_SHOWN]) + more
