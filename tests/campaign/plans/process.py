"""Plans of kills, signals, pauses, a second process in its folder, and a clock that is set."""

import contextlib
import signal
import time
from collections.abc import Callable
from typing import Final

from e2e.harness import DEAD_LETTERS, STOPPED, USAGE

from campaign.backfill import WITHIN, BackfillScene
from campaign.clock import jumping_clock, no_faketime
from campaign.plan import BackfillPlan
from campaign.plans.moments import PHASES, random_moment, wait_until_under_way

FAULTS: Final = ("5xx:share=0.02", "cut-before:share=0.01", "cut-after:share=0.02")


def killed(scene: BackfillScene) -> None:
    """kill -9 at a random moment of each phase, twice while sending, and then to the end."""
    for phase in ("starting", "reading", "sending", "sending", "folding", "reporting"):
        running = scene.start()
        random_moment(scene, running, phase)
        with contextlib.suppress(ProcessLookupError):
            running.signal(signal.SIGKILL)
        running.process.wait(10)
    scene.run()


def stopped(number: signal.Signals) -> Callable[[BackfillScene], None]:
    """The signal at a random moment of each phase, and then to the end."""

    def play(scene: BackfillScene) -> None:
        for phase in ("starting", "reading", "sending", "sending", "folding", "reporting"):
            running = scene.start()
            random_moment(scene, running, phase)
            with contextlib.suppress(ProcessLookupError):
                running.signal(number)
            ended = scene.finish(running)
            if ended.code in (DEAD_LETTERS, -number) or not ended.err:
                continue  # finished before, or ended before the command took signals
            scene.expect(ended.code == STOPPED, f"exit {ended.code} after {number.name} while {phase}")
            scene.expect(f"stopped by {number.name}" in ended.err, f"while {phase}, it says {ended.err[-300:]}")
        scene.run()

    return play


def paused(scene: BackfillScene) -> None:
    """SIGSTOP at random moments, and SIGCONT some seconds later."""
    running = scene.start()
    for phase in ("reading", "sending", "sending"):
        random_moment(scene, running, phase)
        with contextlib.suppress(ProcessLookupError):
            running.signal(signal.SIGSTOP)
            time.sleep(scene.rng.uniform(0.5, 4.0))
            running.signal(signal.SIGCONT)
    scene.finish(running)


def two_jobs(scene: BackfillScene) -> None:
    """Start the command twice at once; kill the one that won, and resume it twice at once."""
    first = [scene.start(), scene.start()]
    for running in first:
        random_moment(scene, running, "sending")
        with contextlib.suppress(ProcessLookupError):
            running.signal(signal.SIGKILL)
        running.process.wait(10)
    again = [scene.start(), scene.start()]
    codes = sorted(running.end(WITHIN).code for running in again)
    # the second is refused while the first is at work, and finds a finished job after that
    scene.expect(codes in ([USAGE, DEAD_LETTERS], [DEAD_LETTERS, DEAD_LETTERS]), f"two at once ended with {codes}")
    scene.run()


def clock_set(scene: BackfillScene) -> None:
    """The clock jumps while the command runs once, to its end."""
    _let_clock_jump(scene)
    scene.run()


def clock_set_and_killed(scene: BackfillScene) -> None:
    """The clock jumps while the command runs, is killed, and is resumed."""
    _let_clock_jump(scene)
    running = scene.start()
    wait_until_under_way(scene, running)
    with contextlib.suppress(ProcessLookupError):
        running.signal(signal.SIGKILL)
    running.process.wait(10)
    scene.run()


def _let_clock_jump(scene: BackfillScene) -> None:
    scene.environment, stop = jumping_clock(scene.folder, scene.rng)
    scene.stack.callback(stop)
    scene.wrapper = ("env",)  # a process of its own, not one that is forked from a process without the library


PLANS = (
    BackfillPlan(
        name="kill-9",
        effect=f"kill -9 at random moments while {', '.join(PHASES)}; 5xx and cut connections besides",
        faults=FAULTS,
        play=killed,
    ),
    BackfillPlan(name="sigterm", effect="SIGTERM at random moments of each phase", play=stopped(signal.SIGTERM)),
    BackfillPlan(name="sigint", effect="SIGINT at random moments of each phase", play=stopped(signal.SIGINT)),
    BackfillPlan(name="sigstop", effect="SIGSTOP three times, SIGCONT up to 4 s later", play=paused),
    BackfillPlan(name="two-jobs", effect="two processes use one output folder, also on --resume", play=two_jobs),
    BackfillPlan(
        name="clock-set",
        effect="the clock jumps by up to 10 h, forward and back; 5xx and cut connections besides",
        faults=FAULTS,
        play=clock_set,
        missing=no_faketime,
    ),
    BackfillPlan(
        name="clock-set-kill",
        effect="the same, and kill -9; a request that was in flight in the future ends as outcome_unknown",
        faults=FAULTS,
        play=clock_set_and_killed,
        reasons=frozenset({"outcome_unknown"}),
        missing=no_faketime,
    ),
)
