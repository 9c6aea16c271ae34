"""The per-key processor: holds, releases and remembers the records of one customer on a runner with state by key.

It has no clock and no engine. Times are passed in, in seconds of event time unless stated otherwise. Its whole
state is encoded as bytes and restored from them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import msgspec

from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.engine.deduplication import is_unsafe
from beam_talonone.talonone.ordering.decisions import Decision, Send, Settled
from beam_talonone.talonone.ordering.sequencer import Held, Sequencer
from beam_talonone.talonone.ordering.state_store import Order
from beam_talonone.talonone.requests.barrier import before_barrier
from beam_talonone.talonone.requests.identity import key_holds
from beam_talonone.talonone.requests.outcome import Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.per_key_state import PerKeyState

TOGETHER = 0.125
"""Seconds to which times of release are rounded up. A power of two, so that its multiples are exact."""


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Where a record came from, and its bytes as they were received."""

    subscription: str
    message_id: str
    record: bytes


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """A valid record on its way to its per-key processor. `at` is its publish time, in seconds since 1970."""

    work: Work
    source: Source
    at: float

    def to_bytes(self) -> bytes:
        """Encode it as MessagePack, for the coder of the step before."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Arrival":
        """Decode the result of `to_bytes`. Raises msgspec.DecodeError."""
        return _ARRIVAL.decode(data)


class OutboxEntry(msgspec.Struct, frozen=True, array_like=True):
    """A record that was released, and is sent once this entry is committed to the state.

    `since` is the time of the release by the wall clock, in seconds since 1970. `process` names the process that
    released it.
    """

    work: Work
    since: float
    process: bytes

    def in_flight(self, wall: float, process: bytes) -> dict[int, InFlight]:
        """Return by index the parts that a lost bundle may have sent before and that no idempotency key protects.

        A retried bundle looks like the first try. The same idempotency key protects most requests. The others are
        unsafe to repeat, or so old at `wall` (seconds since 1970) that the key has expired.
        """
        unprotected = not key_holds(self.since, wall)
        if unprotected or (is_unsafe(self.work) and process != self.process):
            return {index: InFlight(0, self.since) for index in range(len(self.work.parts))}
        return {}


class _State(msgspec.Struct, array_like=True):
    clock: float
    newest: Order | None
    held: Held[Source]
    outbox: list[OutboxEntry]
    memory: PerKeyState


def _new_state() -> _State:
    return _State(float("-inf"), None, Held([], [], [], [], 0), [], PerKeyState())


_ARRIVAL = msgspec.msgpack.Decoder(Arrival)
_STATE = msgspec.msgpack.Decoder(_State)


@dataclass(frozen=True)
class Rules:
    """The waits of a per-key processor, in seconds.

    A record waits `reorder_delay` for earlier ones, and a return `wait_for_order` for its order. Sent records are
    remembered for `remember`. `polls_per_second` limits the poll attempts of the waiting returns of one key.
    """

    reorder_delay: float
    wait_for_order: float
    remember: float
    polls_per_second: float = 10.0

    def due(self, arrival: Arrival, newest: Order | None) -> float:
        """When to process a record that arrives: at once if a later record (`newest`) has been sent."""
        late = newest is not None and arrival.work.order() <= newest
        return together(arrival.at if late else arrival.at + self.reorder_delay)


def together(due: float) -> float:
    """Round `due` up: each release costs a bundle, so records that are due closely together go in one."""
    return ceil(due / TOGETHER) * TOGETHER


class KeyedProcessor:
    """A sequencer, its memory, and its outbox. `kept` is the result of `to_bytes`, or None for a new key."""

    def __init__(self, rules: Rules, kept: bytes | None = None) -> None:
        state = _STATE.decode(kept) if kept else _new_state()
        self.clock, self.newest = state.clock, state.newest
        self.outbox = state.outbox
        self.memory = state.memory
        self._rules = rules
        self._sequencer: Sequencer[Source] = Sequencer(
            self.memory, rules.reorder_delay, rules.wait_for_order, polls_per_second=rules.polls_per_second
        )
        self._sequencer.restore(state.held)

    def to_bytes(self) -> bytes | None:
        """Return the whole state, or None if there is nothing left to keep."""
        held = self._sequencer.snapshot()
        if not held.open and not self.outbox and self.memory.latest is None:
            return None
        return msgspec.msgpack.encode(_State(self.clock, self.newest, held, self.outbox, self.memory))

    def next_to_send(self, most: int) -> list[OutboxEntry]:
        """The first entries of the outbox, at most `most`.

        A lost bundle sends them again. So a record that the repetition of an earlier one would undo is left for the
        next bundle, when the outcome of the earlier one is committed.
        """
        first = self.outbox[:most]
        return first[: before_barrier(entry.work for entry in first)]

    def ended(self, ends: list[tuple[Work, Outcome]], by: tuple[float, bytes]) -> list[Settled[Source]]:
        """Take outcomes of outbox entries. Returns the records that have ended; others may enter the outbox."""
        over = {work.identity for work, _ in ends}
        self.outbox = [entry for entry in self.outbox if entry.work.identity not in over]
        settled: list[Settled[Source]] = []
        for work, outcome in ends:
            settled += self._take(self._sequencer.ended(work, outcome, self.clock), by)
        return settled

    def advance(
        self, arrived: Iterable[Arrival], until: float, by: tuple[float, bytes]
    ) -> tuple[list[Settled[Source]], list[Arrival]]:
        """Advance the clock of this key to `until`, before which nothing more will arrive.

        Records are taken in by their publish time, in whatever order they reached this key, so that only publish
        times decide the order of release. Returns the records that have ended, and the arrivals published after
        `until`. `by` is (seconds since 1970, name of this process).
        """
        settled: list[Settled[Source]] = []
        later: list[Arrival] = []
        for arrival in sorted(arrived, key=lambda arrival: (arrival.at, arrival.source.message_id)):
            if arrival.at > until:
                later.append(arrival)
                continue
            self.clock = max(self.clock, arrival.at)
            settled += self._take(self._sequencer.due(self.clock), by)
            settled += self._take(self._sequencer.arrive(arrival.work, arrival.source, self.clock), by)
        self.clock = max(self.clock, until)
        settled += self._take(self._sequencer.due(self.clock), by)
        self.memory.forget(self.clock, self._rules.remember)
        return settled, later

    def wake(self, later: Iterable[Arrival] = ()) -> float | None:
        """When to call `advance` again; None if the state is empty. `later` are arrivals that `advance` returned."""
        if self.outbox:
            return self.clock
        due, latest = self._sequencer.next_due(), self.memory.latest
        times = [self._rules.due(arrival, self.newest) for arrival in later]
        times += [] if due is None else [together(due)]
        times += [] if latest is None else [latest + self._rules.remember]
        return min(times, default=None)

    def _take(self, decisions: Iterable[Decision[Source]], by: tuple[float, bytes]) -> list[Settled[Source]]:
        settled: list[Settled[Source]] = []
        for decision in decisions:
            if isinstance(decision, Send):
                self.outbox.append(OutboxEntry(decision.work, *by))
                order = decision.work.order()
                self.newest = order if self.newest is None else max(self.newest, order)
            else:
                settled.append(decision)
        return settled
