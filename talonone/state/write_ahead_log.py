"""The write-ahead log of a stream: requests before they are sent, and their outcomes until the store has them.

Each event is one line, appended whole. A killed process leaves at most its last line torn; after it there are zeros
until the stream ends. Each line has a checksum of its content and its place in the file (see `log_entries`). Records
are named by their identity and content, in hex. Lines:

```
    ["v", marks, at]                            the first request of a record is sent next, or a return was applied:
                                                the marks for the store
    ["s", identity, part, generation, at, content]  the request of a part is sent next
    ["u", identity, part]                       the request failed: the API did not act on it
    ["b", [[identity, part], ...], generation, at]  a bulk of these parts is sent next
    ["p", identity, part, outcome]              a part of a record ended, and other parts follow
    ["d", identity, content, at]                a record ended, and a repeat of it is a duplicate
    ["r", identity, session, items, at]         a return was applied: its items
    ["x", identity]                             a record is a dead letter, and nothing of it is remembered
```
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.observer import PartId
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.ordering.marks import Marks, marks_of
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.append_log import MappedAppendLog
from beam_talonone.talonone.state.log_entries import entries
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.sealed_lines import sealed
from beam_talonone.talonone.state.session_cache import returned_items

_ENCODER = msgspec.json.Encoder(decimal_format="number")
LARGE = 16 * 1024 * 1024
"""Bytes after which the log is rewritten with its open records only. If more than half of that stays, the log is
rewritten when it has doubled. Otherwise the same lines would be rewritten every second."""

BulkMembers = tuple[tuple[str, int], ...]
"""(identity in hex, part), in the order of the bulk's entries."""


@dataclass(slots=True)
class Open:
    """A record that was sent and has not ended: its requests that may have acted, and its parts that have ended.

    `content` is its digest in hex, or empty if version 0.1 wrote the log.
    """

    content: str = ""
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    parts: dict[int, Outcome] = field(default_factory=dict)

    def older_than(self, at: float) -> bool:
        """Whether all its requests were first sent before `at`, in seconds since 1970."""
        return all(before.first_sent < at for before in self.in_flight.values())


@dataclass(eq=False)
class _Bulk:
    members: BulkMembers
    before: InFlight


class WriteAheadLog:
    """An Observer that logs requests, used by one thread.

    Opening it replays the log at `path` into the store of `memory`, and raises ConfigurationError for a damaged
    log. A record that waits in `memory` is noted in the store when its first request is sent.
    """

    def __init__(self, path: Path, memory: PendingOverlay) -> None:
        self._path, self._memory, self._store = path, memory, memory.store
        self._file: MappedAppendLog
        self._large = LARGE
        self.open: dict[str, Open] = {}
        """Identity in hex -> the open record, of this process or of one that died."""
        self._names: dict[int, str] = {}
        """Number of a job -> identity of its record."""
        self._leaving: set[str] = set()
        """Identities of the records whose jobs have no outcome yet."""
        self._bulk_of: dict[str, _Bulk] = {}
        """Identity -> the last bulk that contained the record."""
        self._read()
        self.bulks = {bulk.members: bulk.before for bulk in self._unanswered()}
        """Bulks that were in flight when a process died."""
        self._cut()

    def sent(self, number: int, work: Work) -> Open:
        """Register a record as the job `number`. Returns the state that an earlier process or try has left."""
        name = self._names[number] = work.identity.hex()
        self._leaving.add(name)
        record = self.open.setdefault(name, Open())
        record.content = work.content.hex()
        return record

    def is_of_another(self, work: Work) -> bool:
        """Whether the open record with this identity has other content. Its requests may have acted."""
        existing = self.open.get(work.identity.hex())
        return existing is not None and existing.content not in ("", work.content.hex())

    def job_ended(self, number: int, outcome: Outcome, at: float) -> None:
        """Note that a job has its outcome; its record may go again. `at` is in seconds since 1970, as below."""
        name = self._names.pop(number)
        self._leaving.discard(name)
        if outcome.end is not End.DEAD:  # an earlier process may have sent it, and not this one
            self._write(*self._leaves(name, at))
        else:
            self._memory.dropped(bytes.fromhex(name))

    def applied(self, number: int, work: Work, parts: dict[int, Outcome], at: float) -> None:
        """Note that the API has applied a record, whose result is written next. `parts` are its outcomes by part
        index.

        The items of a return are noted at once, for the other returns of its order.
        """
        existing = self.open[self._names[number]].parts
        for part, outcome in parts.items():
            if part not in existing:
                self.on_end(number, outcome, part)
        if work.kind == "returns":
            session, items = work.sessions[0], returned_items(work)
            self._store.note_returned(work.identity, session, items, at)
            self._write(["r", work.identity.hex(), session, items, at])

    def ended(self, work: Work, outcome: Outcome, at: float) -> None:
        """Note that a record has ended: it is not sent again."""
        name = work.identity.hex()
        self._over(name)
        marks = [["v", marks_of(work), at]] if work.kind == "returns" and outcome.end in DONE else []
        self._write(*marks, ["d", name, work.content.hex(), at])

    def drop_parts(self, work: Work) -> None:
        """Drop the state of a record's parts, as its parts have other numbers now."""
        if self._over(work.identity.hex()):
            self._write(["x", work.identity.hex()])

    def forget(self, work: Work, outcome: Outcome) -> None:
        """Drop the state of a dead letter: the record may come again as a new one.

        The state stays if the record or a part of it may have acted, so that it does not act again. It also stays if
        it belongs to another record with the same identity.
        """
        name = work.identity.hex()
        if outcome.reason == Reason.ID_REUSED or not outcome.definite or outcome.parts_done:
            return
        if name not in self._leaving and self._over(name):
            self._write(["x", name])

    def on_start(self, parts: list[PartId], generation: int, at: float, *, bulk: bool = False) -> None:
        """Log requests that are sent next. See Observer. Raises OSError when the disk is full."""
        if bulk:
            named = [(self._names[number], part) for number, part in parts]
            self._note_bulk(tuple(named), generation, at)
            self._write(*(line for name, _ in named for line in self._leaves(name, at)), ["b", named, generation, at])
            return
        ((number, part),) = parts
        name = self._names[number]
        self._note(name, part, generation, at)
        self._write(*self._leaves(name, at), ["s", name, part, generation, at, self.open[name].content])

    def on_starts(self, parts: list[PartId], at: float) -> None:
        """Log requests that are sent together, each of one part: all or none. Raises OSError on a full disk."""
        lines: list[list[Any]] = []
        for number, part in parts:
            name = self._names[number]
            self._note(name, part, 0, at)
            lines += [*self._leaves(name, at), ["s", name, part, 0, at, self.open[name].content]]
        self._write(*lines)

    def on_retract(self, number: int, part: int) -> None:
        """Log that the API did not act on a request, so that a later process knows. Raises OSError."""
        name = self._names[number]
        self.open.setdefault(name, Open()).in_flight.pop(part, None)
        self._write(["u", name, part])

    def on_end(self, number: int, outcome: Outcome, part: int | None = None) -> None:
        """Log the outcome of a part. `ended` or `forget` log the end of the record, once its output is written."""
        if part is None:
            return
        name = self._names[number]
        self.open.setdefault(name, Open()).parts[part] = outcome
        self._write(["p", name, part, outcome])

    def on_ends(self, numbers: Sequence[int], outcome: Outcome) -> None:
        """Log nothing: `ended` and `forget` log the ends of records."""

    def cut_if_large(self) -> None:
        """Begin a new file if this one is large. Commit the store first. Raises OSError when the disk is full."""
        if self.size >= self._large:
            before = self._file
            try:
                self._cut()
            except OSError:  # the disk is full: the old file goes on
                self._file = before
                raise
            before.close()

    @property
    def size(self) -> int:
        """The length of the log in bytes."""
        return self._file.size

    def close(self) -> None:
        """Close the file, with all its lines on disk. Raises OSError."""
        try:
            self._file.sync()
        finally:
            self._file.close()

    def _leaves(self, name: str, at: float) -> list[list[Any]]:
        """The lines to write before a request of a record, in addition to that of the request."""
        marks = self._memory.left(bytes.fromhex(name), at)
        return [] if marks is None else [["v", marks, at]]

    def _write(self, *lines: list[Any]) -> None:
        if not lines:
            return
        data = b""
        for line in lines:
            data += sealed(_ENCODER.encode(line), self._file.size + len(data))[0]
        self._file.append(data)

    def _cut(self) -> None:
        self._forget_expired()
        temporary = self._path.with_suffix(".part")
        temporary.unlink(missing_ok=True)
        self._file = MappedAppendLog(temporary)
        try:
            self._write_open()
            self._file.sync()
            temporary.replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                self._file.close()
            raise
        self._large = max(LARGE, 2 * self.size)

    def _write_open(self) -> None:
        for identity, record in self.open.items():
            for part, before in record.in_flight.items():
                self._write(["s", identity, part, before.generation, before.first_sent, record.content])
            for part, outcome in record.parts.items():
                self._write(["p", identity, part, outcome])
        for bulk in self._unanswered():
            self._write(["b", bulk.members, bulk.before.generation, bulk.before.first_sent])

    def _read(self) -> None:
        for place, entry in entries(self._path):
            try:
                self._take(entry)
            except (TypeError, ValueError, LookupError):  # msgspec's errors are ValueErrors
                raise place.damaged() from None
        self._store.commit()

    def _forget_expired(self) -> None:
        """Drop records older than the expiry: their messages never come again."""
        old = time.time() - self._store.expiry
        for name in [name for name, record in self.open.items() if record.older_than(old)]:
            if name not in self._leaving:
                self._over(name)

    def _take(self, entry: Any) -> None:
        match entry:
            case ["v", marks, int(at) | float(at)]:
                self._store.note(msgspec.convert(marks, Marks), at)
            case ["s", str(name), int(part), int(generation), int(at) | float(at), *content]:
                self._note(name, part, generation, at)
                self.open[name].content = str(next(iter(content), ""))  # there was none in 0.1
            case ["u", str(name), int(part)]:
                self.open.setdefault(name, Open()).in_flight.pop(part, None)
            case ["b", list(members), int(generation), int(at) | float(at)]:
                self._note_bulk(msgspec.convert(members, BulkMembers), generation, at)
            case ["p", str(name), int(part), outcome]:
                self.open.setdefault(name, Open()).parts[part] = msgspec.convert(outcome, Outcome)
            case ["d", str(name), str(content), int(at) | float(at)]:
                self._over(name)
                self._store.note_end(bytes.fromhex(name), bytes.fromhex(content), at)
            case ["r", str(name), str(session), list(items), int(at) | float(at)]:
                self._store.note_returned(bytes.fromhex(name), session, items, at)
            case ["x", str(name)]:
                self._over(name)
            case _:
                raise ValueError("no line of a log")

    def _over(self, name: str) -> bool:
        """Close a record. Returns whether it was open."""
        self._bulk_of.pop(name, None)
        return self.open.pop(name, None) is not None

    def _note_bulk(self, members: BulkMembers, generation: int, at: float) -> None:
        last = self._bulk_of.get(members[0][0])
        again = last is not None and last.members == members and self._is_out(last)
        bulk = _Bulk(members, InFlight(generation, last.before.first_sent if last is not None and again else at))
        for name, part in members:
            self._note(name, part, generation, at)
            self._bulk_of[name] = bulk

    def _unanswered(self) -> list[_Bulk]:
        """The bulks in flight: no member has ended, or was sent in another bulk since."""
        bulks = {id(bulk): bulk for bulk in self._bulk_of.values()}
        return [bulk for bulk in bulks.values() if self._is_out(bulk)]

    def _is_out(self, bulk: _Bulk) -> bool:
        return all(
            self._bulk_of.get(name) is bulk and part not in self.open[name].parts for name, part in bulk.members
        )

    def _note(self, name: str, part: int, generation: int, at: float) -> None:
        in_flight = self.open.setdefault(name, Open()).in_flight
        in_flight[part] = InFlight(generation, in_flight[part].first_sent if part in in_flight else at)
