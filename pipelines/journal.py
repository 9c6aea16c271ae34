"""The journal of a slice: what left and how it ended, on disk before it matters.

One line an event, appended with one write, so that a killed process leaves at most the last line torn. Lines:

    ["o"]                                       a process began to write
    ["s", number, part, generation, at]         the request of a part is about to leave
    ["u", number, part]                         it left in vain: the API did not act on it
    ["b", [[number, part], ...], generation, at]  a bulk of these is about to leave
    ["p", number, part, outcome]                a part of a record ended, others are to come
    ["d", number, outcome, at]                  a record ended
    ["q", statistics, seconds]                  what this process sent so far in this slice, and in which time
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.talonone.courier import InFlight
from beam_talonone.talonone.outcome import Outcome
from beam_talonone.talonone.stats import Stats

_ENCODER = msgspec.json.Encoder(decimal_format="number")
STATS_EVERY = 0.2


class Journal:
    """Writes the journal of one slice; a Recorder. Used by one thread."""

    def __init__(self, path: Path, stats: Callable[[], Stats]) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._stats = stats
        self._began = self._stats_at = time.monotonic()
        end_torn_line(path, self._file)
        self._write(["o"])

    def started(self, number: int, part: int, generation: int, at: float) -> None:
        self._write(["s", number, part, generation, at])

    def withdrawn(self, number: int, part: int) -> None:
        self._write(["u", number, part])

    def packed(self, members: list[tuple[int, int]], generation: int, at: float) -> None:
        self._write(["b", members, generation, at])

    def part_done(self, number: int, part: int, outcome: Outcome) -> None:
        self._write(["p", number, part, outcome])

    def done(self, number: int, outcome: Outcome) -> None:
        self._write(["d", number, outcome, time.time()])
        if time.monotonic() - self._stats_at >= STATS_EVERY:
            self.write_stats()

    def write_stats(self) -> None:
        self._stats_at = time.monotonic()
        self._write(["q", self._stats(), self._stats_at - self._began])

    def close(self) -> None:
        """The slice is complete: its lines survive a loss of power from here on."""
        self.write_stats()
        os.fsync(self._file)
        os.close(self._file)

    def _write(self, line: list[Any]) -> None:
        data = _ENCODER.encode(line) + b"\n"
        while data:
            data = data[os.write(self._file, data) :]


def end_torn_line(path: Path, file: int) -> None:
    """After a kill the last line may be torn: start a new one."""
    size = path.stat().st_size
    if size:
        with path.open("rb") as existing:
            existing.seek(size - 1)
            if existing.read(1) != b"\n":
                os.write(file, b"\n")


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
    """Read a journal; one that does not exist is empty, a torn line is left out."""
    told = Replayed()
    packs: dict[tuple[tuple[int, int], ...], InFlight] = {}
    if path.exists():
        with path.open("rb") as lines:
            for line in lines:
                _read_line(line, told, packs)
    for members, before in packs.items():
        if all(number not in told.done and part not in told.parts.get(number, {}) for number, part in members):
            told.packs.append((list(members), before))
    return told


def _read_line(line: bytes, told: Replayed, packs: dict[tuple[tuple[int, int], ...], InFlight]) -> None:
    try:
        entry = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return
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
            told.stats[-1:] = [(stats, seconds)]
