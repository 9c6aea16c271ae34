"""The share of a slice in the statistics of an engine: two slices may be under way at a time."""

from beam_talonone.talonone.telemetry.stats import Stats, since, snapshot


class SliceStats:
    """Counts the requests of an engine from `begin` until `end`. A request of a slice that ends while the one before
    is open counts there."""

    def __init__(self, engine: Stats) -> None:
        """`engine` counts all requests, and goes on counting."""
        self._engine = engine
        self._from: Stats | None = None
        self._until: Stats | None = None

    def begin(self, at: Stats) -> None:
        """Count from `at` on, a snapshot."""
        self._from = at

    def end(self) -> Stats:
        """Count nothing more; returns the snapshot at which the next slice begins."""
        self._until = snapshot(self._engine)
        return self._until

    def __call__(self) -> Stats | None:
        """The requests so far; None before `begin`."""
        return None if self._from is None else since(self._until or self._engine, self._from)
