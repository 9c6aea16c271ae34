"""A run at one moment, computed from what was read off it in the last minute. Pure: times are passed in.

A run is read five times a second. `snapshot` makes one RunSnapshot of these readings, and every rendering (bar, line,
JSON) shows that snapshot alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from beam_talonone.pipelines.terminal.progress.api_state import DOWN_AFTER, NONE, ApiState, api_state
from beam_talonone.talonone.engine.status import EngineStatus

SPEED_OVER = 5.0
"""Seconds over which speeds are averaged."""

LEFT_OVER = 60.0
"""Seconds of progress from which the time left is estimated, and for which readings are kept."""

OUTAGE_FROM = 2.0
"""Seconds without a success from which on that time tells nothing about the time left."""

LEAST = 1.0
"""Seconds of progress without which there is no speed."""


@dataclass(frozen=True)
class KindCount:
    """Records of one kind: how many have ended, over all runs of the job, of how many."""

    kind: str
    done: int
    total: int


@dataclass(frozen=True)
class Reading:
    """The counts and states of a run `at` a time, in monotonic seconds."""

    at: float
    phase: str
    """What the run does: "reading", "sorting", "sending", ..."""
    things: str
    """What `total` and `ended` count: "records"."""
    total: int = 0
    """Things to do over all runs of the job; 0 while that is not known."""
    before: int = 0
    """How many of them earlier runs of the job have done."""
    ended: int = 0
    """How many of them this run has done."""
    read: int = 0
    """Records of the input that this run has read."""
    dead_letters: int = 0
    kinds: tuple[KindCount, ...] = ()
    engine: EngineStatus | None = None
    """None before the first request may leave."""


@dataclass(frozen=True)
class RunSnapshot:
    """All that is shown of a run at one moment. Times are in seconds, speeds per second; None is not known."""

    phase: str
    things: str
    done: int
    total: int
    percent: int | None
    elapsed: float
    left: float | None
    """The estimated time until all is done."""
    kinds: tuple[KindCount, ...]
    things_per_second: float | None
    requests_per_second: float | None
    rate: float | None
    """The rate that the settings allow."""
    in_flight: int
    concurrency: int
    requests: int
    retries: int
    retries_waiting: int
    """Requests that failed and wait before their next try."""
    next_retry_in: float
    dead_letters: int
    api: ApiState


def snapshot(readings: Sequence[Reading], started: float) -> RunSnapshot:
    """The run at the last of `readings`, which are in the order of time. It began at `started`, monotonic seconds."""
    last = readings[-1]
    same = [reading for reading in readings if reading.phase == last.phase]
    counted = bool(last.total)
    done = last.before + last.ended if counted else last.read
    engine = last.engine
    moves = done < last.total if counted else last.phase == "reading"
    return RunSnapshot(
        last.phase,
        last.things if counted else "records",
        done,
        last.total,
        percent=min(100, done * 100 // last.total) if counted else None,
        elapsed=last.at - started,
        left=_left(same, done) if counted else None,
        kinds=last.kinds,
        things_per_second=_speed(same, SPEED_OVER, _things) if moves else None,
        requests_per_second=_speed(same, SPEED_OVER, _requests) if moves and engine is not None else None,
        rate=None if engine is None else engine.rate,
        in_flight=0 if engine is None else engine.in_flight,
        concurrency=0 if engine is None else engine.concurrency,
        requests=0 if engine is None else engine.requests,
        retries=0 if engine is None else engine.retries,
        retries_waiting=0 if engine is None else engine.retries_waiting,
        next_retry_in=0.0 if engine is None else engine.next_retry_in,
        dead_letters=last.dead_letters,
        api=NONE if engine is None else api_state(engine, _silence(same)),
    )


def _things(reading: Reading) -> int:
    return reading.ended if reading.total else reading.read


def _requests(reading: Reading) -> int:
    return 0 if reading.engine is None else reading.engine.requests


def _speed(readings: Sequence[Reading], seconds: float, count: Callable[[Reading], int]) -> float | None:
    """How many a second were counted in the last `seconds`; None if the phase began less than LEAST ago."""
    last = readings[-1]
    first = next(reading for reading in readings if reading.at >= last.at - seconds)
    if last.at - first.at < LEAST:
        return None
    return max(0.0, (count(last) - count(first)) / (last.at - first.at))


def _left(readings: Sequence[Reading], done: int) -> float | None:
    """Seconds until all is done, at the speed of the last minute without outages.

    None while the API answers nothing, and when all that remains waits for another try.
    """
    last, first = readings[-1], readings[0]
    remaining = last.total - done
    if remaining <= 0:
        return 0.0
    if last.engine is not None and _is_held(last.engine, remaining):
        return None
    seconds = last.at - first.at - _outages(readings)
    if seconds < LEAST or _things(last) == _things(first):
        return None
    return remaining * seconds / (_things(last) - _things(first))


def _is_held(engine: EngineStatus, remaining: int) -> bool:
    """Whether nothing can end at the moment, or all of the `remaining` things wait for another try."""
    stopped = engine.ending is not None or engine.refusal is not None
    return stopped or engine.down_for >= DOWN_AFTER or engine.paused_for > 0.0 or engine.retries_waiting >= remaining


def _outages(readings: Sequence[Reading]) -> float:
    """How many of the seconds of `readings` belong to outages."""
    seconds = 0.0
    for reading, following in pairwise(readings):
        down_for = _down_for(reading)
        if down_for >= OUTAGE_FROM and _down_for(following) < down_for:  # the last reading of an outage
            seconds += min(down_for, reading.at - readings[0].at)
    return seconds


def _down_for(reading: Reading) -> float:
    return 0.0 if reading.engine is None else reading.engine.down_for


def _silence(readings: Sequence[Reading]) -> float:
    """Seconds since the last answer, as far as the readings show; 0.0 if nothing is in flight."""
    last = readings[-1]
    since = last.at
    for reading in reversed(readings):
        if reading.engine is None or not reading.engine.in_flight or _requests(reading) != _requests(last):
            break
        since = reading.at
    return last.at - since
