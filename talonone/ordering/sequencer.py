"""The order of records that arrive in any order: each waits a while for earlier ones of the same keys.

A plain class without clocks, threads or queues: the time is passed in (seconds of any clock), and what is to happen
is given back. Where its memory is kept is somebody else's: see talonone.state.store.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.requests.supersede import Change, without
from beam_talonone.talonone.requests.work import Key, Work

T = TypeVar("T")
Order = tuple[int, int, int]
"""(event time in microseconds, rank of the kind, version): what records are ordered by."""

LONGEST_PAUSE = 60.0
"""Seconds between two looks of a return at its order, when few wait."""


class StateStore(Protocol):
    """What must outlive the records themselves, with an expiry."""

    def recall(self, work: Work) -> tuple[bytes | None, Order | None]:
        """The content of a record of this identity that has ended, and the latest record that was sent of those that
        share a session or customer with `work`; None for what there is not."""

    def ended(self, work: Work, now: float) -> None:
        """A record has ended, so that a repeat of it is a duplicate from now on."""

    def last_order(self, session: str) -> Order | None:
        """The latest version of an order that was sent, or None."""

    def newer_changes(self, customer: str, than: Order) -> list[Change]:
        """What profile changes later than `than` have set of a customer."""

    def sent(self, work: Work, now: float) -> None:
        """A record is about to be sent; a return has been applied."""


@dataclass(frozen=True)
class Send(Generic[T]):
    """A record whose turn has come. Of an older profile change `work` is what newer ones have left of it; `shortened`
    when whole parts are gone, so that the others have other numbers."""

    token: T
    work: Work
    shortened: bool = False


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
class _Open(Generic[T]):
    """A record that has not ended. `repeats` wait for its end, `looks` counts how often it came too early."""

    token: T
    work: Work
    since: float
    repeats: list[tuple[T, Work]] = field(default_factory=list)
    looks: int = 0


class Held(msgspec.Struct, Generic[T], frozen=True, array_like=True):
    """All that a Sequencer holds, as plain data: to be kept somewhere else between two of its calls.

    `open` is what has not ended: token, work, since when, its repeats, how often it came too early. `waiting` and
    `parked` say by number and identity which of it waits for its time, and which for its order; `due` when.
    """

    open: list[tuple[T, Work, float, list[tuple[T, Work]], int]]
    waiting: list[tuple[int, bytes]]
    parked: list[tuple[int, bytes]]
    due: list[tuple[float, int]]
    number: int


@dataclass
class Sequencer(Generic[T]):
    """Holds records for `settle` seconds from their arrival and lets them go in the order of records.

    Whatever shares a session or customer with one whose time has come, and is earlier, goes before it. What arrives
    when something later of its keys has been sent waits for nothing: an order is superseded, of a profile change goes
    what no newer one has set, and all else overwrites nothing. A repeat of a record that is not done yet is settled
    together with it: its message may be the very same one. A return that came before its order, or before the order
    was closed, is tried again for `wait_for_order` seconds, and meanwhile holds up nothing. What arrives before
    `quiet_until` waits until then first, also what is late.
    """

    memory: StateStore
    settle: float
    wait_for_order: float = 600.0
    quiet_until: float = float("-inf")
    looks_per_second: float = 10.0
    """How often, over all of them, returns that wait for their order may ask for it."""
    _waiting: dict[int, _Waiting[T]] = field(default_factory=dict)
    _by_key: dict[Key, list[tuple[Order, int]]] = field(default_factory=dict)
    """Heaps of what waits, by place; what has left is dropped when it comes to the top."""
    _due: list[tuple[float, int]] = field(default_factory=list)
    _open: dict[bytes, _Open[T]] = field(default_factory=dict)
    _parked: dict[int, bytes] = field(default_factory=dict)
    """Returns that wait for their order: number -> identity."""
    _parked_by_session: dict[str, list[int]] = field(default_factory=dict)
    _number: int = 0
    repeats: int = 0
    """Messages that end with the one that they repeat."""

    def arrive(self, work: Work, token: T, now: float) -> list[Decision[T]]:
        """Take in a record at `now`."""
        known = self._open.get(work.identity)
        content, last = (known.work.content, None) if known is not None else self.memory.recall(work)
        if content is not None and content != work.content:
            return [Settled(token, work, reused())]
        if known is not None:
            known.repeats.append((token, work))
            self.repeats += 1
            return []
        if content is not None:
            return [Settled(token, work, Outcome(End.DUPLICATE))]
        self._open[work.identity] = _Open(token, work, now)
        self._number += 1
        # what a dead process had in flight is known as sent, and comes back: until it has, it makes nothing late
        late = now >= self.quiet_until and last is not None and last > work.order()
        due = now if late else max(now, self.quiet_until) + self.settle
        keys = work.keys()
        if due <= now and not (self._due and self._due[0][0] <= now) and not any(key in self._by_key for key in keys):
            return self._let_go(token, work, now)  # nothing goes before it
        self._wait(_Waiting(self._number, token, work))
        heapq.heappush(self._due, (due, self._number))
        return self.due(now)

    def due(self, now: float) -> list[Decision[T]]:
        """What leaves at `now`, in order."""
        decisions: list[Decision[T]] = []
        while self._due and self._due[0][0] <= now:
            number = heapq.heappop(self._due)[1]
            if number in self._waiting:
                for one in self._with_earlier(number):
                    decisions += self._release(one, now)
            elif number in self._parked:
                decisions.append(self._unpark(number))
        return decisions

    def next_due(self) -> float | None:
        """When `due` is to be asked again, or None when nothing waits."""
        while self._due and self._due[0][1] not in self._waiting and self._due[0][1] not in self._parked:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def ended(self, work: Work, outcome: Outcome, now: float) -> list[Decision[T]]:
        """A record that was sent has its outcome. Gives what follows: its own end and that of its repeats, returns
        whose order has come, or nothing when it came too early and is to be tried again."""
        one = self._open[work.identity]
        if outcome.premature and outcome.customer is not None and not one.work.profiles:  # at last, however late
            one.work = msgspec.structs.replace(one.work, profiles=[outcome.customer])
            return [Send(one.token, one.work)]
        if outcome.premature and now < one.since + self.wait_for_order:
            self._park(one, now)
            return []
        del self._open[work.identity]
        self.repeats -= len(one.repeats)
        if outcome.end is not End.DEAD:
            self.memory.ended(work, now)
        if work.kind == "returns" and outcome.end in DONE:
            self.memory.sent(work, now)
        # of a dead letter the repeats end as it did: they are the same message, or as bad
        end = Outcome(End.DUPLICATE) if outcome.end is not End.DEAD else outcome
        settled = [Settled(token, again, end) for token, again in one.repeats]
        return [Settled(one.token, one.work, outcome), *settled, *self._woken_by(work, outcome)]

    def drain(self) -> Iterator[tuple[T, Work]]:
        """All that has not ended, repeats included: to be given back when reading stops."""
        for one in self._open.values():
            yield one.token, one.work
            yield from one.repeats

    @property
    def held(self) -> int:
        """Records that wait for their time."""
        return len(self._waiting)

    @property
    def parked(self) -> int:
        """Returns that wait for their order."""
        return len(self._parked)

    def snapshot(self) -> Held[T]:
        """What it holds just now; its memory is apart."""
        return Held(
            [(one.token, one.work, one.since, one.repeats, one.looks) for one in self._open.values()],
            [(number, waiting.work.identity) for number, waiting in self._waiting.items()],
            list(self._parked.items()),
            [(due, number) for due, number in self._due if number in self._waiting or number in self._parked],
            self._number,
        )

    def restore(self, held: Held[T]) -> None:
        """Go on where a snapshot was taken. To be called on a new one."""
        for token, work, since, repeats, looks in held.open:
            self._open[work.identity] = _Open(token, work, since, repeats, looks)
            self.repeats += len(repeats)
        for number, identity in held.waiting:
            one = self._open[identity]
            self._wait(_Waiting(number, one.token, one.work))
        for number, identity in held.parked:
            self._parked[number] = identity
            self._parked_by_session.setdefault(self._open[identity].work.sessions[0], []).append(number)
        self._due = list(held.due)
        heapq.heapify(self._due)
        self._number = held.number

    def _park(self, one: _Open[T], now: float) -> None:
        self._number += 1
        self._parked[self._number] = one.work.identity
        self._parked_by_session.setdefault(one.work.sessions[0], []).append(self._number)
        pause = max(min(LONGEST_PAUSE, 2.0 ** min(one.looks, 16)), len(self._parked) / self.looks_per_second)
        one.looks += 1
        heapq.heappush(self._due, (min(now + pause, one.since + self.wait_for_order), self._number))

    def _unpark(self, number: int) -> Send[T]:
        one = self._open[self._parked.pop(number)]
        session = one.work.sessions[0]
        self._parked_by_session[session].remove(number)
        if not self._parked_by_session[session]:
            del self._parked_by_session[session]
        return Send(one.token, one.work)

    def _woken_by(self, work: Work, outcome: Outcome) -> list[Decision[T]]:
        """The returns that have waited for the end of this order, in order."""
        if work.status != "completed" or outcome.end not in DONE:
            return []
        numbers = list(self._parked_by_session.get(work.id, ()))
        return sorted((self._unpark(number) for number in numbers), key=lambda sent: sent.work.order())

    def _wait(self, one: _Waiting[T]) -> None:
        self._waiting[one.number] = one
        keys = one.work.keys()
        for key in keys:
            heapq.heappush(self._by_key.setdefault(key, []), one.place)

    def _with_earlier(self, number: int) -> list[_Waiting[T]]:
        """A record and all that must go before it, in order."""
        found = {number}
        look = [number]
        while look:
            one = self._waiting[look.pop()]
            keys = one.work.keys()
            for key in keys:
                earlier = self._by_key[key]
                while earlier and earlier[0] < one.place:
                    other = heapq.heappop(earlier)[1]
                    if other in self._waiting and other not in found:
                        found.add(other)
                        look.append(other)
        return sorted((self._waiting[one] for one in found), key=lambda one: one.place)

    def _release(self, one: _Waiting[T], now: float) -> list[Decision[T]]:
        del self._waiting[one.number]
        keys = one.work.keys()
        for key in keys:
            waiting = self._by_key.get(key, [])
            while waiting and waiting[0][1] not in self._waiting:
                heapq.heappop(waiting)
            if not waiting:
                self._by_key.pop(key, None)
        return self._let_go(one.token, one.work, now)

    def _let_go(self, token: T, work: Work, now: float) -> list[Decision[T]]:
        left = self._left_of(work)
        if left is None:
            return self.ended(work, Outcome(End.SUPERSEDED), now)
        if left.kind != "returns":  # one that came before its order must not make the order a late one
            self.memory.sent(left, now)
        return [Send(token, left, len(left.parts) < len(work.parts))]

    def _left_of(self, work: Work) -> Work | None:
        """What newer records have left to be sent of `work`; None for nothing."""
        if work.kind == "orders":
            last = self.memory.last_order(work.id)
            return None if last is not None and last > work.order() else work
        if work.kind == "profiles":
            return without(work, self.memory.newer_changes(work.id, work.order()))
        return work


def reused() -> Outcome:
    """The end of a record whose id an earlier one has, with other content."""
    detail = "an earlier record has this id and other content"
    return Outcome(End.DEAD, Reason.ID_REUSED.value, detail, stage=Stage.VALIDATE)
