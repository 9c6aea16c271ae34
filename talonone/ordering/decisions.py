"""What a sequencer decides: which records are sent next, and which have ended."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from beam_talonone.talonone.requests.outcome import Outcome
from beam_talonone.talonone.requests.work import Work

T = TypeVar("T")


@dataclass(frozen=True)
class Send(Generic[T]):
    """A record whose turn has come.

    For an older profile change, `work` is the rest that newer changes have not replaced. `parts_dropped` is True if
    whole parts were dropped, so that the remaining parts have other numbers.
    """

    token: T
    work: Work
    parts_dropped: bool = False


@dataclass(frozen=True)
class Settled(Generic[T]):
    """A record that has ended, with its outcome: it needs no request, or no further one."""

    token: T
    work: Work
    outcome: Outcome


Decision = Send[T] | Settled[T]
