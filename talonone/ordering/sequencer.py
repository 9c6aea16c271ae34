"""Puts records that arrive in any order in order: each waits a while for earlier ones of the same keys.

The class has no clocks, threads or queues. Times are passed in (seconds of any clock), and decisions are returned. A
StateStore keeps its memory: see talonone.state.store.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from beam_talonone.talonone.ordering.decisions import Decision, Send, Settled
from beam_talonone.talonone.ordering.state_store import Order, StateStore
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome, id_reused
from beam_talonone.talonone.requests.supersede import without
from beam_talonone.talonone.requests.work import Key, Work

T = TypeVar("T")

LONGEST_PAUSE = 60.0
"""The longest pause between two poll attempts of a waiting return, in seconds, if few returns wait."""


@dataclass
class _Delayed(Generic[T]):
    number: int
    token: T
    work: Work

    @property
    def place(self) -> tuple[Order, int]:
        return self.work.order(), self.number


@dataclass
class _Open(Generic[T]):
    """A record that has not ended. `repeats` wait for its end, and `polls` counts its poll attempts."""

    token: T
    work: Work
    since: float
    repeats: list[tuple[T, Work]] = field(default_factory=list)
    polls: int = 0


class Held(msgspec.Struct, Generic[T], frozen=True, array_like=True):
    """The whole state of a Sequencer as plain data, for a runner that stores it between two calls.

    `open` holds the records that have not ended: token, work, time of arrival, repeats, poll attempts. `delayed` and
    `waiting_for_order` name those that wait for their time or for their order, by number and identity. `due` holds
    (time, number).
    """

    open: list[tuple[T, Work, float, list[tuple[T, Work]], int]]
    delayed: list[tuple[int, bytes]]
    waiting_for_order: list[tuple[int, bytes]]
    due: list[tuple[float, int]]
    number: int


@dataclass
class Sequencer(Generic[T]):
    """Holds records for `reorder_delay` seconds from their arrival, and releases them in the order of records.

    * When the time of a record has come, earlier records that share a session or customer with it go first.
    * A late record does not wait: something later of its keys was sent already. A late order is superseded. A late
      profile change sets only names that no newer change has set. Other kinds overwrite nothing.
    * A repeat of a record that has not ended ends together with it, as it may be the same message.
    * A return that arrives before its order, or before the order is closed, is tried again for `wait_for_order`
      seconds. Meanwhile it blocks nothing.
    * Records that arrive before `hold_until`, also late ones, wait until then first.
    """

    memory: StateStore
    reorder_delay: float
    wait_for_order: float = 600.0
    hold_until: float = float("-inf")
    polls_per_second: float = 10.0
    """Poll attempts per second, over all returns that wait for their order."""
    _delayed: dict[int, _Delayed[T]] = field(default_factory=dict)
    _by_key: dict[Key, list[tuple[Order, int]]] = field(default_factory=dict)
    """Key -> heap of the places of delayed records. Places of released records are dropped at the top."""
    _due: list[tuple[float, int]] = field(default_factory=list)
    _open: dict[bytes, _Open[T]] = field(default_factory=dict)
    _for_order: dict[int, bytes] = field(default_factory=dict)
    """Returns that wait for their order: number -> identity."""
    _waiting_by_session: dict[str, list[int]] = field(default_factory=dict)
    _number: int = 0
    repeats: int = 0
    """Messages that wait for the end of the record that they repeat."""

    def arrive(self, work: Work, token: T, now: float) -> list[Decision[T]]:
        """Take in a record that arrives at `now`, and return the decisions that follow."""
        existing = self._open.get(work.identity)
        content, last = (existing.work.content, None) if existing is not None else self.memory.recall(work)
        if content is not None and content != work.content:
            return [Settled(token, work, id_reused())]
        if existing is not None:
            existing.repeats.append((token, work))
            self.repeats += 1
            return []
        if content is not None:
            return [Settled(token, work, Outcome(End.DUPLICATE))]
        self._open[work.identity] = _Open(token, work, now)
        self._number += 1
        # records in flight in a process that died count as sent, and come back: until then they make nothing late
        late = now >= self.hold_until and last is not None and last > work.order()
        due = now if late else max(now, self.hold_until) + self.reorder_delay
        keys = work.keys()
        if due <= now and not (self._due and self._due[0][0] <= now) and not any(key in self._by_key for key in keys):
            return self._let_go(token, work, now)  # nothing goes before it
        self._wait(_Delayed(self._number, token, work))
        heapq.heappush(self._due, (due, self._number))
        return self.due(now)

    def due(self, now: float) -> list[Decision[T]]:
        """Return the decisions that are due at `now`, in order."""
        decisions: list[Decision[T]] = []
        while self._due and self._due[0][0] <= now:
            number = heapq.heappop(self._due)[1]
            if number in self._delayed:
                for record in self._with_earlier(number):
                    decisions += self._release(record, now)
            elif number in self._for_order:
                decisions.append(self._try_again(number))
        return decisions

    def next_due(self) -> float | None:
        """The time of the next call of `due`, or None if nothing waits."""
        while self._due and not self._waits(self._due[0][1]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def ended(self, work: Work, outcome: Outcome, now: float) -> list[Decision[T]]:
        """Take the outcome of a record that was sent, and return the decisions that follow.

        They are the end of the record and of its repeats, and the returns that waited for it. A record that came too
        early is tried again, so nothing follows yet.
        """
        record = self._open[work.identity]
        if outcome.premature and outcome.customer is not None and not record.work.profiles:  # at last, however late
            record.work = msgspec.structs.replace(record.work, profiles=(outcome.customer,))
            return [Send(record.token, record.work)]
        if outcome.premature and now < record.since + self.wait_for_order:
            self._wait_for_order_of(record, now)
            return []
        del self._open[work.identity]
        self.repeats -= len(record.repeats)
        if outcome.end is not End.DEAD:
            self.memory.ended(work, now)
        if work.kind == "returns" and outcome.end in DONE:
            self.memory.sent(work, now)
        # repeats of a dead letter end as dead letters too: they are the same message, or as bad
        end = Outcome(End.DUPLICATE) if outcome.end is not End.DEAD else outcome
        settled = [Settled(token, again, end) for token, again in record.repeats]
        return [Settled(record.token, record.work, outcome), *settled, *self._woken_by(work, outcome)]

    def drain(self) -> Iterator[tuple[T, Work]]:
        """Yield all records that have not ended, and their repeats: the caller gives them back when reading stops."""
        for record in self._open.values():
            yield record.token, record.work
            yield from record.repeats

    @property
    def held(self) -> int:
        """Records that wait for their reorder delay."""
        return len(self._delayed)

    @property
    def waiting_for_order(self) -> int:
        """Returns that wait for their order."""
        return len(self._for_order)

    def snapshot(self) -> Held[T]:
        """Return the current state. The memory is not part of it."""
        return Held(
            [(each.token, each.work, each.since, each.repeats, each.polls) for each in self._open.values()],
            [(number, waiting.work.identity) for number, waiting in self._delayed.items()],
            list(self._for_order.items()),
            [(due, number) for due, number in self._due if self._waits(number)],
            self._number,
        )

    def restore(self, held: Held[T]) -> None:
        """Restore the state of a snapshot. Call it on a new sequencer."""
        for token, work, since, repeats, polls in held.open:
            self._open[work.identity] = _Open(token, work, since, repeats, polls)
            self.repeats += len(repeats)
        for number, identity in held.delayed:
            record = self._open[identity]
            self._wait(_Delayed(number, record.token, record.work))
        for number, identity in held.waiting_for_order:
            self._for_order[number] = identity
            self._waiting_by_session.setdefault(self._open[identity].work.sessions[0], []).append(number)
        self._due = list(held.due)
        heapq.heapify(self._due)
        self._number = held.number

    def _waits(self, number: int) -> bool:
        return number in self._delayed or number in self._for_order

    def _wait_for_order_of(self, record: _Open[T], now: float) -> None:
        self._number += 1
        self._for_order[self._number] = record.work.identity
        self._waiting_by_session.setdefault(record.work.sessions[0], []).append(self._number)
        pause = max(min(LONGEST_PAUSE, 2.0 ** min(record.polls, 16)), len(self._for_order) / self.polls_per_second)
        record.polls += 1
        heapq.heappush(self._due, (min(now + pause, record.since + self.wait_for_order), self._number))

    def _try_again(self, number: int) -> Send[T]:
        record = self._open[self._for_order.pop(number)]
        session = record.work.sessions[0]
        self._waiting_by_session[session].remove(number)
        if not self._waiting_by_session[session]:
            del self._waiting_by_session[session]
        return Send(record.token, record.work)

    def _woken_by(self, work: Work, outcome: Outcome) -> list[Decision[T]]:
        """Return the returns that waited for the end of this order, in order."""
        if work.status != "completed" or outcome.end not in DONE:
            return []
        numbers = list(self._waiting_by_session.get(work.id, ()))
        return sorted((self._try_again(number) for number in numbers), key=lambda sent: sent.work.order())

    def _wait(self, record: _Delayed[T]) -> None:
        self._delayed[record.number] = record
        keys = record.work.keys()
        for key in keys:
            heapq.heappush(self._by_key.setdefault(key, []), record.place)

    def _with_earlier(self, number: int) -> list[_Delayed[T]]:
        """Return a delayed record and all that must go before it, in order."""
        selected = {number}
        unvisited = [number]
        while unvisited:
            record = self._delayed[unvisited.pop()]
            keys = record.work.keys()
            for key in keys:
                earlier = self._by_key[key]
                while earlier and earlier[0] < record.place:
                    other = heapq.heappop(earlier)[1]
                    if other in self._delayed and other not in selected:
                        selected.add(other)
                        unvisited.append(other)
        return sorted((self._delayed[number] for number in selected), key=lambda record: record.place)

    def _release(self, record: _Delayed[T], now: float) -> list[Decision[T]]:
        del self._delayed[record.number]
        keys = record.work.keys()
        for key in keys:
            waiting = self._by_key.get(key, [])
            while waiting and waiting[0][1] not in self._delayed:
                heapq.heappop(waiting)
            if not waiting:
                self._by_key.pop(key, None)
        return self._let_go(record.token, record.work, now)

    def _let_go(self, token: T, work: Work, now: float) -> list[Decision[T]]:
        left = self._left_of(work)
        if left is None:
            return self.ended(work, Outcome(End.SUPERSEDED), now)
        if left.kind != "returns":  # a return that comes before its order must not make the order late
            self.memory.sent(left, now)
        return [Send(token, left, len(left.parts) < len(work.parts))]

    def _left_of(self, work: Work) -> Work | None:
        """The rest of `work` that newer records have not replaced; None if nothing is left."""
        if work.kind == "orders":
            last = self.memory.last_order(work.id)
            return None if last is not None and last > work.order() else work
        if work.kind == "profiles":
            return without(work, self.memory.newer_changes(work.id, work.order()))
        return work
