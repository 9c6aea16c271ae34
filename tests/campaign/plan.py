"""A plan: one thing that goes wrong while a command runs, declared as a row of a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from campaign.backfill import BackfillScene
    from campaign.stream import StreamScene


def nothing_to_need() -> str | None:
    """A plan that runs everywhere."""
    return None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One row of the table of plans.

    `effect` says in a sentence what goes wrong. `faults` and `settings` are those of the simulator. They are the same
    for every seed, but other requests meet them. `words` are further words of the command, `rate` is its --rate.
    """

    name: str
    effect: str
    faults: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[object, ...] = ()
    rate: int = 300
    phases: tuple[str, ...] = ()
    """The phases that each seed must hit, as often as they stand here. A seed that misses one shows nothing."""
    reasons: frozenset[str] = frozenset()
    """Reasons of dead letters that the plan itself causes."""
    long: bool = False
    """True for a plan that takes minutes: it runs only if it is named, or with --long."""
    missing: Callable[[], str | None] = nothing_to_need
    """Why the plan cannot run on this machine; None if it can."""


def play_through(scene: "BackfillScene") -> None:
    """Run the command once, to its end."""
    scene.run()


@dataclass(frozen=True, kw_only=True)
class BackfillPlan(Plan):
    """A plan for a backfill of the records of a small shop with `customers` customers.

    `play` starts the command and disturbs it, as often as it likes, until the job is finished.
    """

    customers: int = 40
    play: Callable[["BackfillScene"], None] = play_through
    keys_forgotten: bool = False
    command: Literal["backfill"] = "backfill"


@dataclass(frozen=True, kw_only=True)
class StreamPlan(Plan):
    """A plan for a stream of `messages` messages of all kinds, published in `portions`.

    `play` publishes some of them, and starts, disturbs and ends the stream as often as it likes.
    """

    messages: int = 300
    portions: int = 3
    ordering: bool = False
    play: Callable[["StreamScene"], None]
    command: Literal["stream"] = "stream"
