"""What report.html shows of a job, as plain values: `collect` fills them in, `page` makes HTML of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from beam_talonone.pipelines.report.recording.series_file import Recorded

Progress = Literal["finished", "limited", "running", "stopped"]
"""`limited`: a run with --limit has ended, and records remain. `stopped`: killed, or ended early."""


@dataclass(frozen=True)
class State:
    """Where a job stands. `done` of `total` things are done: records, or what a verification reads back."""

    progress: Progress
    done: int = 0
    total: int = 0
    reading: bool = False
    """Whether its input is not completely read, or was not when it stopped. Then there are no counts."""
    why: str = ""
    """Why it stopped, where that is known."""

    @property
    def percent(self) -> int:
        """The share that is done, from 0 to 100; 100 only when all is done.

        >>> State("running", 1999, 2000).percent
        99
        """
        return self.done * 100 // self.total if self.total else 0


@dataclass(frozen=True)
class Example:
    """A dead letter as it is shown; long values are cut."""

    id: str
    place: str
    detail: str
    text: str
    """The whole dead letter as JSON."""


@dataclass(frozen=True)
class ReasonGroup:
    """The dead letters of one kind, stage and reason: how many there are, and the first of them."""

    kind: str
    stage: str
    reason: str
    count: int
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Chain:
    """Records of one customer, or of one order without a customer, which are sent one after the other."""

    what: Literal["customer", "order"]
    id: str
    records: int


@dataclass(frozen=True)
class Step:
    """Something to do next. The command is empty where there is none."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class PageData:
    """All that the page shows."""

    command: str
    folder: str
    job: str
    state: State
    as_of: float
    """Seconds since 1970."""
    report: Mapping[str, Any]
    """report.json as a value, or what it would be if the job ended now."""
    recorded: Recorded = field(default_factory=Recorded)
    reasons: tuple[ReasonGroup, ...] = ()
    chains: tuple[Chain, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
