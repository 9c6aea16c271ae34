"""From the outcome of a message to its acknowledgement: dead letters and results, written before a message is done.

Everything here runs on the engine's thread: no locks.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.schemas.kinds import RECORDS
from beam_talonone.talonone.engine.applied_parts import applied_parts
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.errors import TooManyDeadLetters
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter, other, result
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.talonone.streaming.counters import StreamCounters
from beam_talonone.talonone.streaming.dead_letter_window import LastEnds
from beam_talonone.talonone.streaming.message_source import FILES

DEAD_LETTERED_FOR = 900.0
"""Seconds for which a message counts as dead-lettered: a repeat of Pub/Sub's gets no second dead letter. Longer than
any lease, and not much longer: a subscription is rewound to have its messages tried again."""


class Message(Protocol):
    """A message with one record. It is acknowledged once its outcome is known and any dead letter is written."""

    @property
    def subscription(self) -> str:
        """The full name of the subscription."""

    @property
    def name(self) -> tuple[str, str]:
        """The same for each delivery of the record, and for no other record (see `delivery_name`)."""

    @property
    def comes_again(self) -> bool:
        """Whether this process may get the record once more after its end."""

    def shown(self) -> Shown:
        """The record as a dead letter shows it."""

    def source(self) -> dict[str, Any]:
        """Where the record came from, for its dead letter."""

    def ack(self) -> None:
        """Acknowledge it: it is not delivered again."""

    def give_back(self) -> None:
        """Have it delivered again."""


class Lines(Protocol):
    """Writes dead letters or results to a file or topic."""

    def write(self, line: dict[str, Any], attributes: dict[str, str], then: Callable[[], None]) -> None:
        """Write a line. `then` is called once, on any thread, when the line is safely written."""


@dataclass
class StreamOutput:
    """Finishes the messages of a stream: each is acknowledged, dead-lettered and acknowledged, or given back.

    `dead_lettered` maps the names of messages to the time of their dead letter, in seconds since 1970. A process that
    was killed between the dead letter and the acknowledgement gets them again. `job` names the run.

    `ends` decides when there are too many dead letters. From then on, only messages that have a dead letter already
    are acknowledged. All others are given back, and `on_excess` is called once, so that reading stops.

    `of_several_kinds` are the subscriptions of --records and --files. The window of RECORDS counts all of their
    records, and only those without a known kind as dead letters. A record of a known kind also counts in the window
    of its kind.
    """

    engine: Engine
    store: Store
    log: WriteAheadLog
    dead_letters: Lines
    results: Lines | None
    job: str
    dead_lettered: dict[tuple[str, str], float] = field(default_factory=dict)
    ends: LastEnds = field(default_factory=lambda: LastEnds(lambda dead, of: False))
    on_excess: Callable[[TooManyDeadLetters], None] = lambda why: None
    on_end: Callable[[Message, End, dict[str, Any]], None] | None = None
    """Called for each record that has ended, before its message is acknowledged, with the line of its outcome: that
    of a result, a dead letter, or `output_lines.other`. Repeats of a message that has a dead letter have none."""
    counters: StreamCounters = field(default_factory=StreamCounters)
    of_several_kinds: frozenset[str] = frozenset()
    excess: TooManyDeadLetters | None = None
    """Why no further messages are acknowledged; None while they are."""
    writing: int = 0
    """Lines that are on their way to a topic."""
    _repeats: dict[tuple[str, str], list[Message]] = field(default_factory=dict)
    """Messages whose dead letter is being written -> later deliveries of the same message."""

    def is_repeat(self, kind: str, message: Message) -> bool:
        """True if the message has a dead letter, or gets one just now; it is then acknowledged after that."""
        name = message.name
        if self.dead_lettered.get(name, float("-inf")) > time.time() - DEAD_LETTERED_FOR:
            self._finish_alive(kind, Outcome(End.DUPLICATE), message)
            return True
        if name in self._repeats:
            self._repeats[name].append(message)
            return True
        return False

    def finish(self, work: Work, outcome: Outcome, message: Message) -> None:
        """End a message whose record has its outcome: remember it, and acknowledge it or write its dead letter."""
        if outcome.end is End.DEAD:
            self.dead_letter(work.kind, work.id, outcome, message, work)
            return
        if outcome.end is not End.DUPLICATE:
            self.log.ended(work, outcome, time.time())
        if self.on_end is not None and self.excess is None:
            line = result if outcome.end in DONE else other
            self.on_end(message, outcome.end, line(work.kind, work.id, outcome))
        self._finish_alive(work.kind, outcome, message)

    def filtered(self, kind: str, message: Message) -> None:
        """End a message that holds nothing to send."""
        self._finish_alive(kind, Outcome(End.FILTERED), message)

    def dead_letter(
        self, kind: str, record_id: str | None, outcome: Outcome, message: Message, work: Work | None = None
    ) -> None:
        """Write the dead letter of a message, then acknowledge it. `work` is None for a record that is not valid."""
        if self.is_repeat(kind, message):
            return
        if self._is_too_many(kind, outcome, message):
            self.give_back(kind, message)
            return
        if kind == "orders" and record_id is not None:
            self.store.note_dead(record_id, time.time())
        name = message.name
        repeats = self._repeats[name] = []
        done = [] if work is None else applied_parts(work, outcome)
        line = dead_letter(
            kind, record_id, message.shown(), message.source(), outcome, self.job, time.time(), done=done
        )  # fmt: skip

        def written() -> None:
            if message.comes_again:  # a file may have millions of rows that are dead letters
                self.dead_lettered[name] = time.time()
            del self._repeats[name]
            if work is not None:
                self.log.forget(work, outcome)
            if self.on_end is not None:
                self.on_end(message, End.DEAD, line)
            self._acknowledge(kind, outcome, message)
            for repeat in repeats:
                self._acknowledge(kind, Outcome(End.DUPLICATE), repeat)

        attributes = {"kind": kind, "reason": str(outcome.reason), "job": self.job}
        self._write(self.dead_letters, line, attributes, written)

    def write_result(self, results: Lines, work: Work, outcome: Outcome, then: Callable[[], None]) -> None:
        """Write the result of a record that was applied; `then` is called on the engine's thread."""
        attributes = {"kind": work.kind, "job": self.job}
        self._write(results, result(work.kind, work.id, outcome), attributes, then)

    def give_back(self, kind: str, message: Message) -> None:
        """Give back a message that is not finished."""
        self.counters.given_back(kind)
        message.give_back()

    def forget_expired(self, now: float) -> None:
        """Forget the messages that were dead-lettered long ago, at `now` in seconds since 1970."""
        earliest = now - DEAD_LETTERED_FOR
        self.dead_lettered = {message: at for message, at in self.dead_lettered.items() if at > earliest}

    def _finish_alive(self, kind: str, outcome: Outcome, message: Message) -> None:
        """End a message that needs no dead letter."""
        if self.excess is not None:
            self.give_back(kind, message)
            return
        if outcome.end is not End.DUPLICATE:
            self.ends.applied(kind)
            self._count_known(kind, message)
        self._acknowledge(kind, outcome, message)

    def _acknowledge(self, kind: str, outcome: Outcome, message: Message) -> None:
        self.counters.ended(kind, outcome)
        self.counters.ended_at = time.monotonic()
        message.ack()

    def _is_too_many(self, kind: str, outcome: Outcome, message: Message) -> bool:
        """Count a dead letter. True when it is one too many, or comes after that."""
        if self.excess is None:
            self._count_known(kind, message)
            if self.ends.dead(kind):
                dead, of = self.ends.counts(kind)
                read = f"{kind} read are dead letters"
                if kind == RECORDS:
                    read = f"records of --{RECORDS} or --{FILES} are dead letters without a kind"
                self.excess = TooManyDeadLetters(f"{dead:,} of the last {of:,} {read}; the last: {outcome.reason}")
                self.on_excess(self.excess)
        return self.excess is not None

    def _count_known(self, kind: str, message: Message) -> None:
        """Count a record of a known kind in the window of RECORDS, which else would hold dead letters only."""
        if kind != RECORDS and message.subscription in self.of_several_kinds:
            self.ends.applied(RECORDS)

    def _write(
        self, lines: Lines, line: dict[str, Any], attributes: dict[str, str], then: Callable[[], None]
    ) -> None:
        self.writing += 1

        def written() -> None:
            self.writing -= 1
            then()

        lines.write(line, attributes, lambda: self.engine.post(written))
