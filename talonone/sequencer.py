"""The order of records that arrive in any order: each waits a while for earlier ones of the same keys.

A plain class without clocks, threads or queues: the time is passed in (seconds of any clock), and what is to happen
is given back. Where its memory is kept is somebody else's: see talonone.remembered.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.outcome import End, Outcome
from beam_talonone.talonone.supersede import Change, without
from beam_talonone.talonone.work import Key, Work

T = TypeVar("T")
Order = tuple[int, int, int]
"""(event time in microseconds, rank of the kind, version): what records are ordered by."""


class Remembered(Protocol):
    """What must outlive the records themselves, with an expiry."""

    def content(self, identity: bytes) -> bytes | None:
        """The content of a record of this identity that has ended, or None."""

    def ended(self, work: Work, now: float) -> None:
        """A record has ended, so that a repeat of it is a duplicate from now on."""

    def last_order(self, session: str) -> Order | None:
        """The latest version of an order that was sent, or None."""

    def newer_changes(self, customer: str, than: Order) -> list[Change]:
        """What profile changes later than `than` have set of a customer."""

    def last_of(self, key: Key) -> Order | None:
        """The latest record of a session or customer that was sent, or None."""

    def sent(self, work: Work, now: float) -> None:
        """A record is about to be sent."""


@dataclass(frozen=True)
class Send(Generic[T]):
    """A record whose turn has come. Of an older profile change `work` is what newer ones have left of it."""

    token: T
    work: Work


@dataclass(frozen=True)
class Settled(Generic[T]):
    """A record for which nothing is to be sent."""

    token: T
    work: Work
    outcome: Outcome


Decision = Send[T] | Settled[T]


@dataclass
class _Waiting(Generic[T]):
    number: int
    token: T
    work: Work

    @property
    def place(self) -> tuple[Order, int]:
        return self.work.order(), self.number


@dataclass
class Sequencer(Generic[T]):
    """Holds records for `settle` seconds from their arrival and lets them go in the order of records.

    Whatever shares a session or customer with one whose time has come, and is earlier, goes before it. What arrives
    when something later of its keys has been sent waits for nothing: an order is superseded, of a profile change goes
    what no newer one has set, and all else overwrites nothing. A repeat of a record that is not done yet is settled
    together with it: its message may be the very same one.
    """

    memory: Remembered
    settle: float
    _waiting: dict[int, _Waiting[T]] = field(default_factory=dict)
    _by_key: dict[Key, set[int]] = field(default_factory=dict)
    _due: list[tuple[float, int]] = field(default_factory=list)
    _open: dict[bytes, tuple[bytes, list[tuple[T, Work]]]] = field(default_factory=dict)
    """Identity of a record that has not ended -> its content, and the repeats that wait for its end."""
    _number: int = 0

    def arrive(self, work: Work, token: T, now: float) -> list[Decision[T]]:
        """Take in a record at `now`."""
        known = self._open.get(work.identity)
        content = known[0] if known is not None else self.memory.content(work.identity)
        if content is not None and content != work.content:
            return [Settled(token, work, _reused())]
        if known is not None:
            known[1].append((token, work))
            return []
        if content is not None:
            return [Settled(token, work, Outcome(End.DUPLICATE))]
        self._open[work.identity] = work.content, []
        self._number += 1
        self._waiting[self._number] = _Waiting(self._number, token, work)
        keys = work.keys()
        for key in keys:
            self._by_key.setdefault(key, set()).add(self._number)
        late = any((last := self.memory.last_of(key)) is not None and last > work.order() for key in keys)
        heapq.heappush(self._due, (now if late else now + self.settle, self._number))
        return self.due(now)

    def due(self, now: float) -> list[Decision[T]]:
        """What leaves at `now`, in order."""
        decisions: list[Decision[T]] = []
        while self._due and self._due[0][0] <= now:
            number = heapq.heappop(self._due)[1]
            if number in self._waiting:
                for one in self._with_earlier(number):
                    decisions += self._release(one, now)
        return decisions

    def next_due(self) -> float | None:
        """When `due` is to be asked again, or None when nothing waits."""
        while self._due and self._due[0][1] not in self._waiting:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def ended(self, work: Work, outcome: Outcome, now: float) -> list[Decision[T]]:
        """A record that was sent has its outcome. Gives its repeats: duplicates, or to be tried in its place."""
        _, repeats = self._open.pop(work.identity, (b"", []))
        if outcome.end is not End.DEAD:
            self.memory.ended(work, now)
        # of a dead letter the repeats end as it did: they are the same message, or as bad
        end = Outcome(End.DUPLICATE) if outcome.end is not End.DEAD else outcome
        return [Settled(token, again, end) for token, again in repeats]

    def drain(self) -> Iterator[T]:
        """The tokens of all that waits, repeats included: to be given back when reading stops."""
        for one in self._waiting.values():
            yield one.token
            yield from (token for token, _ in self._open[one.work.identity][1])

    @property
    def held(self) -> int:
        """Records that wait for their time."""
        return len(self._waiting)

    def _with_earlier(self, number: int) -> list[_Waiting[T]]:
        """A record and all that must go before it, in order."""
        found = {number}
        look = [number]
        while look:
            one = self._waiting[look.pop()]
            keys = one.work.keys()
            for key in keys:
                for other in self._by_key[key] - found:
                    if self._waiting[other].place < one.place:
                        found.add(other)
                        look.append(other)
        return sorted((self._waiting[one] for one in found), key=lambda one: one.place)

    def _release(self, one: _Waiting[T], now: float) -> Iterable[Decision[T]]:
        del self._waiting[one.number]
        keys = one.work.keys()
        for key in keys:
            numbers = self._by_key[key]
            numbers.discard(one.number)
            if not numbers:
                del self._by_key[key]
        left = self._left_of(one.work)
        if left is None:
            superseded = Outcome(End.SUPERSEDED)
            return [Settled(one.token, one.work, superseded), *self.ended(one.work, superseded, now)]
        self.memory.sent(left, now)
        return [Send(one.token, left)]

    def _left_of(self, work: Work) -> Work | None:
        """What newer records have left to be sent of `work`; None for nothing."""
        if work.kind == "orders":
            last = self.memory.last_order(work.id)
            return None if last is not None and last > work.order() else work
        if work.kind == "profiles":
            return without(work, self.memory.newer_changes(work.id, work.order()))
        return work


def _reused() -> Outcome:
    detail = "an earlier record has this id and other content"
    return Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE)
