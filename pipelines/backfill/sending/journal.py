"""The journal of a slice: which requests left and how records ended, on disk before it matters.

Each event is one line. Lines are appended before the next request leaves, so that a killed process leaves at most the
last line torn. Each line has a checksum (talonone.state.sealed_lines), which the journals of version 0.1 do not have:

```
    ["o"]                                       a process began to write
    ["s", number, part, generation, at]         the request of a part is about to leave
    ["u", number, part]                         it left in vain: the API did not act on it
    ["b", [[number, part], ...], generation, at]  a bulk of these is about to leave
    ["p", number, part, outcome]                a part of a record ended, others are to come
    ["d", number, outcome, at]                  a record ended
    ["D", [number, ...], outcome, at]           these records of a bulk ended alike (none in journals of 0.1)
    ["q", statistics, seconds]                  what this process sent so far in this slice, and in which time
```
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill.file_watch import check_written, written
from beam_talonone.talonone.delivery.observer import PartId
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.requests.outcome import Outcome
from beam_talonone.talonone.state.append_log import AppendLog, whole_lines
from beam_talonone.talonone.state.sealed_lines import damaged, sealed_all, unsealed
from beam_talonone.talonone.state.whole_file import sync_folder
from beam_talonone.talonone.telemetry.stats import Stats

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_OUTCOME = msgspec.json.Decoder(Outcome)
STATS_EVERY = 0.2

BEGIN = b'["o"]'
"""With each process a chain of checksums begins."""


class Journal:
    """Writes the journal of one slice: an Observer (talonone.delivery.observer). Used by one thread, but closed by
    any.

    A journal that is there is continued, behind its last whole line. `stats` returns what this process has sent in
    the slice, None while that is not counted yet; `watch` is called whenever they are written, and raises what ends
    the run.

    The ends of records wait until the next start, or until `soon` calls what it gets: one write then serves all
    answers that arrived together. Without `soon`, each line is written at once.
    """

    def __init__(
        self, path: Path, stats: Callable[[], Stats | None], watch: Callable[[], None] = lambda: None,
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:  # fmt: skip
        self._path = path
        self._soon = soon
        self.earlier: Journal | None = None
        """The journal of the slice before, while that is open: its ends are written before any start here."""
        self._waiting: list[bytes] = []
        self._lock = threading.Lock()
        self._log = AppendLog(path)
        self._check = 0
        self._ended: dict[int, tuple[Outcome, float]] = {}
        self._last_stats: tuple[Stats, float] = Stats(), 0.0
        self._stats, self._watch = stats, watch
        self._began = self._stats_at = time.monotonic()
        self._write(BEGIN)
        self.sync()  # what a killed process has left, too: its outcomes count from here on
        sync_folder(path.parent)

    @property
    def size(self) -> int:
        """The bytes of all lines that were written, in this run and before."""
        return self._log.size

    def on_start(self, parts: list[PartId], generation: int, at: float, *, bulk: bool = False) -> None:
        """Record that the request of a part is about to leave, `at` seconds since 1970; with `bulk`, that of several
        in this order. Raises OSError when the disk is full, as all of these methods do."""
        self._flush_earlier()
        self._write(_ENCODER.encode(["b", parts, generation, at] if bulk else ["s", *parts[0], generation, at]))

    def on_starts(self, parts: list[PartId], at: float) -> None:
        """Record that the requests of these parts are about to leave, each alone: with one write."""
        self._flush_earlier()
        left = _ENCODER.encode(at)
        self._write(*[b'["s",%d,%d,0,%b]' % (number, part, left) for number, part in parts])

    def on_retract(self, number: int, part: int) -> None:
        """Record that the API is known not to have acted on the request that left last."""
        self._write(_ENCODER.encode(["u", number, part]))

    def on_end(self, number: int, outcome: Outcome, part: int | None = None) -> None:
        """Record the outcome of a part, or without one that of the record; now and then the statistics, too. Raises
        as `write_stats` does."""
        encoded = _ENCODER.encode(outcome)
        if part is None:
            self._ended[number] = _as_read(outcome, encoded), (at := time.time())
            self._write_later(b'["d",%d,%b,%b]' % (number, encoded, _ENCODER.encode(at)))
            self._stats_if_due()
        else:
            self._write_later(b'["p",%d,%d,%b]' % (number, part, encoded))

    def on_ends(self, numbers: Sequence[int], outcome: Outcome) -> None:
        """Record the outcome of records that ended alike, with one line. Raises as `on_end` does."""
        encoded, at = _ENCODER.encode(outcome), time.time()
        self._ended.update(dict.fromkeys(numbers, (_as_read(outcome, encoded), at)))
        self._write_later(b'["D",%b,%b,%b]' % (_ENCODER.encode(numbers), encoded, _ENCODER.encode(at)))
        self._stats_if_due()

    def _write_later(self, line: bytes) -> None:
        if self._soon is None:
            self._write(line)
        else:
            with self._lock:
                self._waiting.append(line)
            if len(self._waiting) == 1:
                self._soon(self._flush)

    def _stats_if_due(self) -> None:
        if time.monotonic() - self._stats_at >= STATS_EVERY:
            self.write_stats()

    def write_stats(self) -> None:
        """Record what this process has sent. Raises StopRun when somebody has removed or cut the journal."""
        check_written(self._path, written(self._log.stat(), self._log.size))
        self._watch()
        self._stats_at = time.monotonic()
        stats = self._stats()
        if stats is not None:
            self._last_stats = stats, max(0.0, self._stats_at - self._began)
            self._write(_ENCODER.encode(["q", *self._last_stats]))

    def restart(self) -> None:
        """Count the seconds of the statistics from now on."""
        self._began = time.monotonic()

    def content(self, before: "JournalContent") -> "JournalContent":
        """The outcomes and statistics in the journal, which held those of `before` when it was opened."""
        stats, seconds = self._last_stats
        own = msgspec.to_builtins(stats), seconds
        done, sent = {**before.done, **self._ended}, [*before.stats, own]
        return JournalContent(done=done, parts=before.parts, stats=sent, cut=before.cut)

    def sync(self) -> None:
        """Return when all lines, those of `earlier` included, survive a loss of power. Raises OSError."""
        if self.earlier is not None:
            self.earlier.sync()
        self._flush()
        self._log.sync()

    def close(self) -> None:
        """End the journal: its lines survive a loss of power from here on. Raises as `write_stats` does."""
        try:
            self.write_stats()
            self._log.sync()
        finally:
            self._log.close()

    def _write(self, *lines: bytes) -> None:
        """Append lines, behind those that wait. If that fails, they are dropped, and the others still wait."""
        with self._lock:
            before = len(self._waiting)
            self._waiting += lines
            try:
                self._append()
            except OSError:
                del self._waiting[before:]
                raise

    def _flush(self) -> None:
        with self._lock:
            if self._waiting:
                self._append()

    def _flush_earlier(self) -> None:
        if self.earlier is not None:  # a customer's record may have ended there
            self.earlier._flush()

    def _append(self) -> None:
        """Write the lines that wait, each with its checksum."""
        data, check = sealed_all(self._waiting, self._check)
        self._log.append(data)
        self._check = check
        self._waiting.clear()


def _as_read(outcome: Outcome, encoded: bytes) -> Outcome:
    """The outcome as it is read back: numbers in what the API answered lose their digits."""
    return outcome if outcome.effects is None and outcome.response is None else _OUTCOME.decode(encoded)


@dataclass
class JournalContent:
    """What a journal has recorded, by the numbers of records in the send order."""

    done: dict[int, tuple[Outcome, float]] = field(default_factory=dict)
    """Records that ended, with the time in seconds since 1970."""
    parts: dict[int, dict[int, Outcome]] = field(default_factory=dict)
    """Parts that ended, also of records that have not."""
    in_flight: dict[int, dict[int, InFlight]] = field(default_factory=dict)
    """Parts whose request left last, and may have reached the API."""
    packs: list[tuple[list[tuple[int, int]], InFlight]] = field(default_factory=list)
    """Bulks that were in flight: their (number, part), in their order."""
    stats: list[tuple[dict[str, Any], float]] = field(default_factory=list)
    """The last statistics, and the seconds, of each process that wrote the journal."""
    cut: bool = False
    """Whether a process ended without its last statistics, as a killed one does."""


def read_journal(path: Path) -> JournalContent:
    """Read a journal. A file that does not exist holds nothing, and a torn last line counts as not written.

    Raises Damaged with the place of the damage.
    """
    recorded = JournalContent()
    packs: dict[tuple[tuple[int, int], ...], InFlight] = {}
    uncounted = False
    for place, entry in _entries(path) if path.exists() else ():
        try:
            valid = _take(entry, recorded, packs)
        except (TypeError, ValueError):  # a line of version 0.1, which had no checksum
            valid = False
        if not valid:
            raise damaged(path, f" ({place})")
        recorded.cut |= uncounted and entry[0] == "o"
        uncounted = entry[0] not in ("o", "q")
    recorded.cut |= uncounted
    for members, before in packs.items():
        if all(
            number not in recorded.done and part not in recorded.parts.get(number, {}) for number, part in members
        ):
            recorded.packs.append((list(members), before))
    return recorded


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """The values in the lines of a journal, each with its place in words. Raises Damaged."""
    check, torn = 0, ""
    for number, offset, line in whole_lines(path):
        place = f"line {number}, from byte {offset}"
        content = unsealed(line, check) or (unsealed(line, 0) if line.startswith(BEGIN) else None)
        if content is None and check:
            raise damaged(path, f" ({place})")
        data, check = content or (line, 0)
        entry = _decoded(data)
        if torn and entry != ["o"]:  # version 0.1 went on behind a torn line, with this one
            raise damaged(path, f" ({torn})")
        torn = place if entry is None else ""
        if entry is not None:
            yield place, entry
    if torn:
        raise damaged(path, f" ({torn})")


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _take(entry: Any, recorded: JournalContent, packs: dict[tuple[tuple[int, int], ...], InFlight]) -> bool:
    """Add the value in a line to `recorded` and `packs`; False for one that no version writes."""
    match entry:
        case ["d", number, outcome, at]:  # first, as it is the commonest
            recorded.done[number] = (msgspec.convert(outcome, Outcome), at)
        case ["D", numbers, outcome, at]:
            ended = msgspec.convert(outcome, Outcome), at
            recorded.done.update(dict.fromkeys(msgspec.convert(numbers, list[int]), ended))
        case ["o"]:
            recorded.stats.append(({"operations": {}}, 0.0))
        case ["s", number, part, generation, at]:
            attempts = recorded.in_flight.setdefault(number, {})
            first = attempts[part].first_sent if part in attempts else at
            attempts[part] = InFlight(generation, first)
        case ["u", number, part]:
            recorded.in_flight.get(number, {}).pop(part, None)
        case ["b", members, generation, at]:
            key = tuple((number, part) for number, part in members)
            packs[key] = InFlight(generation, packs[key].first_sent if key in packs else at)
        case ["p", number, part, outcome]:
            recorded.parts.setdefault(number, {})[part] = msgspec.convert(outcome, Outcome)
        case ["q", stats, seconds]:
            recorded.stats[-1:] = [(msgspec.to_builtins(msgspec.convert(stats, Stats, strict=False)), float(seconds))]
        case _:
            return False
    return True
