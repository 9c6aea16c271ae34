"""The rate of a job divided by its shards: by those that still send, and with a turn for each.

`STATE/shares` has a file for each shard that is staged, and another for each shard all of whose records have an
outcome. Shards only ever leave. So a bundle that began when more shards sent has a smaller share than it could have,
and the sum is never above the rate.
"""

from collections.abc import Iterable
from typing import NamedTuple

from beam_talonone.pipelines.distributed.place import Place

STAGED, ENDED = "staged", "ended"


class Share(NamedTuple):
    """Requests a second of one shard, and the seconds after whole intervals of the wall clock at which they leave."""

    rate: float
    phase: float


def divide(rate: float, shard: int, sending: Iterable[int]) -> Share:
    """The share of `shard`, when the shards `sending` have something to send; it is always one of them.

    >>> divide(100.0, 7, [3, 7])
    Share(rate=50.0, phase=0.01)
    """
    all_of_them = sorted({shard, *sending})
    return Share(rate / len(all_of_them), all_of_them.index(shard) / rate)


class Shares:
    """The shares of the shards of the job in `output`."""

    def __init__(self, output: str) -> None:
        self._place = Place(Place(output).path("state", "shares"))

    def staged(self, shard: int) -> None:
        """Note that a shard has records. All shards must be staged before one is sent."""
        self._note(shard, STAGED)

    def ended(self, shard: int) -> None:
        """Note that a shard sends nothing any more."""
        self._note(shard, ENDED)

    def of(self, shard: int, rate: float) -> Share:
        """The share that a shard has of `rate` from now on."""
        notes: dict[str, set[int]] = {STAGED: set(), ENDED: set()}
        for name in self._place.names("*.*ed"):
            number, _, note = name.partition(".")
            notes[note].add(int(number))
        return divide(rate, shard, notes[STAGED] - notes[ENDED])

    def _note(self, shard: int, note: str) -> None:
        self._place.persist(lambda: self._place.write(b"\n", f"{shard:04d}.{note}"))
