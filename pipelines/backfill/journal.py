"""The journal of a slice: what left and how it ended, on disk before it matters.

One line an event, appended with one write, so that a killed process leaves at most the last line torn; each with a
checksum (talonone.state.sealed_lines), which the journals of version 0.1 do not have. Lines:

    ["o"]                                       a process began to write
    ["s", number, part, generation, at]         the request of a part is about to leave
    ["u", number, part]                         it left in vain: the API did not act on it
    ["b", [[number, part], ...], generation, at]  a bulk of these is about to leave
    ["p", number, part, outcome]                a part of a record ended, others are to come
    ["d", number, outcome, at]                  a record ended
    ["q", statistics, seconds]                  what this process sent so far in this slice, and in which time
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill.file_watch import check_written, written
from beam_talonone.talonone.delivery.observer import PartId
from beam_talonone.talonone.delivery.request_sender import InFlight
from beam_talonone.talonone.requests.outcome import Outcome
from beam_talonone.talonone.state.append_log import AppendLog, whole_lines
from beam_talonone.talonone.state.sealed_lines import damaged, sealed, unsealed
from beam_talonone.talonone.telemetry.stats import Stats

_ENCODER = msgspec.json.Encoder(decimal_format="number")
STATS_EVERY = 0.2

BEGIN = b'["o"]'
"""With each process a chain of checksums begins."""


class Journal:
    """Writes the journal of one slice; an Observer. Used by one thread.

    `watch` is called now and then, and raises what ends the run.
    """

    def __init__(self, path: Path, stats: Callable[[], Stats], watch: Callable[[], None] = lambda: None) -> None:
        self._path = path
        self._log = AppendLog(path)
        self._check = 0
        self._stats, self._watch = stats, watch
        self._began = self._stats_at = time.monotonic()
        self._write(["o"])

    def on_start(self, parts: list[PartId], generation: int, at: float, *, bulk: bool = False) -> None:
        self._write(["b", parts, generation, at] if bulk else ["s", *parts[0], generation, at])

    def on_retract(self, number: int, part: int) -> None:
        self._write(["u", number, part])

    def on_end(self, number: int, outcome: Outcome, part: int | None = None) -> None:
        if part is not None:
            self._write(["p", number, part, outcome])
            return
        self._write(["d", number, outcome, time.time()])
        if time.monotonic() - self._stats_at >= STATS_EVERY:
            self.write_stats()

    def write_stats(self) -> None:
        """Also raises StopRun when the journal is not all that was written: somebody has removed it, or cut it."""
        check_written(self._path, written(self._log.stat(), self._log.size))
        self._watch()
        self._stats_at = time.monotonic()
        self._write(["q", self._stats(), self._stats_at - self._began])

    def close(self) -> None:
        """The slice has ended: its lines survive a loss of power from here on. Raises as `write_stats` does."""
        try:
            self.write_stats()
            self._log.sync()
        finally:
            self._log.close()

    def _write(self, line: list[Any]) -> None:
        data, check = sealed(_ENCODER.encode(line), self._check)
        self._log.append(data)
        self._check = check


@dataclass
class Replayed:
    """What a journal tells: ended records with the time, ended parts, what was in flight, and bulks in flight."""

    done: dict[int, tuple[Outcome, float]] = field(default_factory=dict)
    parts: dict[int, dict[int, Outcome]] = field(default_factory=dict)
    in_flight: dict[int, dict[int, InFlight]] = field(default_factory=dict)
    packs: list[tuple[list[tuple[int, int]], InFlight]] = field(default_factory=list)
    stats: list[tuple[dict[str, Any], float]] = field(default_factory=list)
    """The last statistics, and the seconds, of each process that wrote the journal."""


def replay_journal(path: Path) -> Replayed:
    """Read a journal; one that does not exist is empty, a last line that is torn is left out. Raises Damaged."""
    told = Replayed()
    packs: dict[tuple[tuple[int, int], ...], InFlight] = {}
    for place, entry in _entries(path) if path.exists() else ():
        try:
            known = _take(entry, told, packs)
        except (TypeError, ValueError):  # a line of version 0.1, which had no checksum
            known = False
        if not known:
            raise damaged(path, f" ({place})")
    for members, before in packs.items():
        if all(number not in told.done and part not in told.parts.get(number, {}) for number, part in members):
            told.packs.append((list(members), before))
    return told


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """What the lines of a journal say, each with its place in words. Raises Damaged."""
    check, torn = 0, ""
    for number, offset, line in whole_lines(path):
        place = f"line {number}, from byte {offset}"
        found = unsealed(line, check) or (unsealed(line, 0) if line.startswith(BEGIN) else None)
        if found is None and check:
            raise damaged(path, f" ({place})")
        data, check = found or (line, 0)
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
    except (msgspec.DecodeError, UnicodeError):
        return None


def _take(entry: Any, told: Replayed, packs: dict[tuple[tuple[int, int], ...], InFlight]) -> bool:
    """Add what a line says to `told` and `packs`; False for one that says nothing."""
    match entry:
        case ["o"]:
            told.stats.append(({"operations": {}}, 0.0))
        case ["s", number, part, generation, at]:
            known = told.in_flight.setdefault(number, {})
            first = known[part].first_sent if part in known else at
            known[part] = InFlight(generation, first)
        case ["u", number, part]:
            told.in_flight.get(number, {}).pop(part, None)
        case ["b", members, generation, at]:
            key = tuple((number, part) for number, part in members)
            packs[key] = InFlight(generation, packs[key].first_sent if key in packs else at)
        case ["p", number, part, outcome]:
            told.parts.setdefault(number, {})[part] = msgspec.convert(outcome, Outcome)
        case ["d", number, outcome, at]:
            told.done[number] = (msgspec.convert(outcome, Outcome), at)
        case ["q", stats, seconds]:
            told.stats[-1:] = [(msgspec.to_builtins(msgspec.convert(stats, Stats, strict=False)), float(seconds))]
        case _:
            return False
    return True
