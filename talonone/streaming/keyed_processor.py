"""The records of one customer on an engine that keeps state by key: what waits, what leaves, and what is remembered.

No clocks and no engine here: times are passed in (seconds of event time, but for what says otherwise), and all of it
goes into bytes and comes back from them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import msgspec

from beam_talonone.talonone.delivery.request_sender import InFlight
from beam_talonone.talonone.engine.deduplication import is_unsafe
from beam_talonone.talonone.ordering.sequencer import Decision, Held, Order, Send, Sequencer, Settled
from beam_talonone.talonone.requests.identity import key_holds
from beam_talonone.talonone.requests.outcome import Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.per_key_state import PerKeyState

TOGETHER = 0.125
"""Seconds. A power of two, so that its multiples are exact."""


class Source(msgspec.Struct, frozen=True, array_like=True):
    """Where a record came from, and the record as it came."""

    subscription: str
    message_id: str
    record: bytes


class Came(msgspec.Struct, frozen=True, array_like=True):
    """A valid record on its way to its lane. `at` is when it was published, in seconds since 1970."""

    work: Work
    source: Source
    at: float

    def to_bytes(self) -> bytes:
        """Encode it as MessagePack, for the coder of the step before."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Came":
        """Decode what `to_bytes` gave. Raises msgspec.DecodeError."""
        return _CAME.decode(data)


class OutboxEntry(msgspec.Struct, frozen=True, array_like=True):
    """A record whose turn has come. It is sent when this stands in the state for certain.

    `since` is by the clock on the wall, and `process` is a name of the process that decided.
    """

    work: Work
    since: float
    process: bytes

    def in_flight(self, wall: float, process: bytes) -> dict[int, InFlight]:
        """The parts that may have been sent before, by a bundle that was lost, and must be taken care of.

        A bundle that is tried again cannot be told from the first try. For most that is no matter, as the key of the
        request is the same; but for what no key protects (any more).
        """
        unprotected = not key_holds(self.since, wall)
        if unprotected or (is_unsafe(self.work) and process != self.process):
            return {index: InFlight(0, self.since) for index in range(len(self.work.parts))}
        return {}


class _State(msgspec.Struct, array_like=True):
    clock: float
    newest: Order | None
    held: Held[Source]
    leaving: list[OutboxEntry]
    memory: PerKeyState


def _new_state() -> _State:
    return _State(float("-inf"), None, Held([], [], [], [], 0), [], PerKeyState())


_CAME = msgspec.msgpack.Decoder(Came)
_STATE = msgspec.msgpack.Decoder(_State)


@dataclass(frozen=True)
class Rules:
    """How long a record waits for earlier ones, a return for its order, and what has left is remembered: in seconds.

    `looks` is how many returns a second may look for their order in one lane.
    """

    settle: float
    wait_for_order: float
    remember: float
    looks: float = 10.0

    def due(self, came: Came, newest: Order | None) -> float:
        """When a record that came is to be looked at: at once where something later of its lane has been sent."""
        late = newest is not None and came.work.order() <= newest
        return together(came.at if late else came.at + self.settle)


def together(due: float) -> float:
    """When what is due at `due` leaves: each time costs a bundle, so what follows closely goes with it."""
    return ceil(due / TOGETHER) * TOGETHER


class KeyedProcessor:
    """A sequencer, its memory, and what it let go. `kept` is what `to_bytes` gave, or None for a lane that is new."""

    def __init__(self, rules: Rules, kept: bytes | None = None) -> None:
        state = _STATE.decode(kept) if kept else _new_state()
        self.clock, self.newest = state.clock, state.newest
        self.leaving = state.leaving
        self.memory = state.memory
        self._rules = rules
        self._sequencer: Sequencer[Source] = Sequencer(
            self.memory, rules.settle, rules.wait_for_order, looks_per_second=rules.looks
        )
        self._sequencer.restore(state.held)

    def to_bytes(self) -> bytes | None:
        """All of it, or None when there is nothing left to be kept."""
        held = self._sequencer.snapshot()
        if not held.open and not self.leaving and self.memory.latest is None:
            return None
        return msgspec.msgpack.encode(_State(self.clock, self.newest, held, self.leaving, self.memory))

    def ended(self, ends: list[tuple[Work, Outcome]], by: tuple[float, bytes]) -> list[Settled[Source]]:
        """Some of `leaving` has these outcomes. Gives what has ended; what follows leaves in its turn."""
        over = {work.identity for work, _ in ends}
        self.leaving = [one for one in self.leaving if one.work.identity not in over]
        settled: list[Settled[Source]] = []
        for work, outcome in ends:
            settled += self._take(self._sequencer.ended(work, outcome, self.clock), by)
        return settled

    def advance(
        self, arrived: Iterable[Came], until: float, by: tuple[float, bytes]
    ) -> tuple[list[Settled[Source]], list[Came]]:
        """Let the time of the lane go on to `until`, before which nothing more will come.

        What arrived is taken in when it was published, whatever the order in which it came here: so what leaves
        depends on nothing else. Gives what has ended, and what was published later than that. `by` is the time on
        the wall and the name of this process.
        """
        settled: list[Settled[Source]] = []
        later: list[Came] = []
        for came in sorted(arrived, key=lambda came: (came.at, came.source.message_id)):
            if came.at > until:
                later.append(came)
                continue
            self.clock = max(self.clock, came.at)
            settled += self._take(self._sequencer.due(self.clock), by)
            settled += self._take(self._sequencer.arrive(came.work, came.source, self.clock), by)
        self.clock = max(self.clock, until)
        settled += self._take(self._sequencer.due(self.clock), by)
        self.memory.forget(self.clock, self._rules.remember)
        return settled, later

    def wake(self, later: Iterable[Came] = ()) -> float | None:
        """When it is to be looked at again; None when it is empty."""
        if self.leaving:
            return self.clock
        due, latest = self._sequencer.next_due(), self.memory.latest
        times = [self._rules.due(came, self.newest) for came in later]
        times += [] if due is None else [together(due)]
        times += [] if latest is None else [latest + self._rules.remember]
        return min(times, default=None)

    def _take(self, decisions: Iterable[Decision[Source]], by: tuple[float, bytes]) -> list[Settled[Source]]:
        settled: list[Settled[Source]] = []
        for decision in decisions:
            if isinstance(decision, Send):
                self.leaving.append(OutboxEntry(decision.work, *by))
                order = decision.work.order()
                self.newest = order if self.newest is None else max(self.newest, order)
            else:
                settled.append(decision)
        return settled
