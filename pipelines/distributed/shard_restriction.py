"""How a runner may cut the sending of a shard: only where the sender itself stops, and only into "done" and "rest".

The position is a place in the send order: all records before it have ended. Two workers at two places of one shard
would send records of one customer in any order. So a split that a runner wants meanwhile, to balance its workers, is
refused. Shards are what is spread over workers.
"""

from collections.abc import Callable, Iterable

import apache_beam as beam
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from beam_talonone.pipelines.backfill.sending import slices
from beam_talonone.talonone.requests.work import Work

AHEAD = 5.0
"""Seconds of sending that are let go at a time, and that are under way. They are a part of the bundle's."""

A_REQUEST = 1000
"""Requests are counted in thousandths, as a bulk may have a thousand records."""

Places = tuple[int, int]
"""The first record that is not sent, and the place behind the report, which comes after the last record."""


def all_of(total: int) -> Places:
    """The restriction of a shard with `total` records. It is never empty: the report is the last thing to do."""
    return 1, total + 2


class BundleBudget:
    """What a bundle may still send, of all of its shards: `records`, for so many seconds of `clock`. The time begins
    with the first record, so that each bundle gets on, also where it has to fetch much first."""

    def __init__(self, seconds: float, records: int, clock: Callable[[], float]) -> None:
        self._seconds, self._records, self._clock = seconds, records, clock
        self._ends: float | None = None

    def spent(self) -> bool:
        """Whether no further record may be sent."""
        return self._ends is not None and (self._records <= 0 or self._clock() >= self._ends)

    def use(self) -> None:
        """Count a record that is sent."""
        if self._ends is None:
            self._ends = self._clock() + self._seconds
        self._records -= 1


def ahead_of(bundle_seconds: float) -> float:
    """The seconds of sending that are let go at a time. At the end of a bundle it waits for at most twice as many."""
    return min(AHEAD, bundle_seconds / 8)


def members_of(item: slices.Item | slices.PackItem) -> list[slices.Item]:
    """The records of an item."""
    return [item] if isinstance(item, slices.Item) else [member for member, _ in item.members]


def requests_of_item(item: slices.Item | slices.PackItem) -> int:
    """The requests of an item in thousandths."""
    return sum(requests_of(member.work) for member in members_of(item))


def requests_of(work: Work) -> int:
    """The requests of a record in thousandths: one for each entry of a bulk, as bulks are full where many wait."""
    return sum(part.entries if part.protocol == "pack" else A_REQUEST for part in work.parts)


class ShardTracker(RestrictionTracker):  # type: ignore[misc]
    """Claims, once, the place that the sender has reached. Until then it cannot be split."""

    def __init__(self, places: Places) -> None:
        self._first, self._stop = places
        self._reached: int | None = None
        self._split = False

    def current_restriction(self) -> Places:
        """The places that belong to this attempt."""
        return self._first, self._stop

    def try_claim(self, position: int) -> bool:
        """Note that all before `position` is done, and nothing in flight. True."""
        self._reached = position
        return True

    def try_split(self, fraction: float) -> tuple[Places, Places] | None:
        """The part that is done, and the rest, once the sender has stopped. None before that, and for any other
        fraction."""
        if fraction != 0 or self._reached is None or self._split or self._reached >= self._stop:
            return None
        self._split, rest = True, (self._reached, self._stop)
        self._stop = self._reached
        return (self._first, self._stop), rest

    def check_done(self) -> None:
        """Raise ValueError if the sender has returned and neither all is done nor the rest deferred."""
        if self._reached is None or self._reached < self._stop:
            raise ValueError("the shard was neither sent nor deferred")

    def is_bounded(self) -> bool:
        """True: a shard has an end."""
        return True

    def current_progress(self) -> RestrictionProgress:
        """A constant: within a bundle there is no place at which to split."""
        return RestrictionProgress(fraction=0.0)  # `completed` and `remaining` can fail the job with NaN


class ShardProvider(RestrictionProvider):  # type: ignore[misc]
    """Of an element (shard, records to send)."""

    def initial_restriction(self, element: tuple[int, int]) -> Places:
        """All places of the shard."""
        return all_of(element[1])

    def create_tracker(self, restriction: Places) -> ShardTracker:
        """The tracker of one attempt."""
        return ShardTracker(restriction)

    def restriction_size(self, element: tuple[int, int], restriction: Places) -> int:
        """The records that are left, and the report."""
        return max(0, restriction[1] - restriction[0])

    def split(self, element: tuple[int, int], restriction: Places) -> Iterable[Places]:
        """The shard in one piece."""
        yield restriction

    def truncate(self, element: tuple[int, int], restriction: Places) -> Places:
        """The rest of the shard: a drain sends it."""
        return restriction


# Beam wants this as a default of `process`
REST_OF_SHARD = beam.DoFn.RestrictionParam(ShardProvider())
