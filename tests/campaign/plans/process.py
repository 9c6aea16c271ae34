"""Plans of kills, signals, pauses, a second process in its folder, and a clock that is set."""

import contextlib
import signal
import time
from collections.abc import Callable
from typing import Final

from e2e.harness import DEAD_LETTERS, STOPPED, USAGE

from campaign.backfill import WITHIN, BackfillScene
from campaign.clock import CLOCK, UNCHANGED, jumping_clock, no_faketime
from campaign.file_watch import FOLDING, READING, REPORTING, SENDING, STARTING
from campaign.plan import BackfillPlan
from campaign.plans.moments import (
    go_on,
    go_on_for,
    kill,
    no_proc,
    random_moment,
    wait_until_stopped,
)

FAULTS: Final = ("5xx:share=0.02", "cut-before:share=0.01", "cut-after:share=0.02")
IN_TURN: Final = (STARTING, READING, SENDING, SENDING, FOLDING, REPORTING)
"""The phases in which the runs of one job are disturbed, one after the other."""
LONGEST = 0.02
"""Seconds that a run may send on behind a write of its journal, before it is killed."""


def killed(scene: BackfillScene) -> None:
    """kill -9 at a random moment of each phase, twice while sending, and then to the end."""
    for number, phase in enumerate(IN_TURN):
        running = scene.start(random_moment(scene.rng, phase))
        wait_until_stopped(scene, running)
        if phase == SENDING and IN_TURN.index(SENDING) != number:
            go_on_for(scene, running, scene.rng.uniform(0.0, LONGEST))
        kill(scene, running)
    scene.run()


def stopped(number: signal.Signals) -> Callable[[BackfillScene], None]:
    """The signal at a random moment of each phase, and then to the end."""

    def play(scene: BackfillScene) -> None:
        for phase in IN_TURN:
            running = scene.start(random_moment(scene.rng, phase))
            scene.hit(wait_until_stopped(scene, running))
            with contextlib.suppress(ProcessLookupError):
                running.signal(number)
            go_on(running)
            ended = scene.finish(running)
            if phase == REPORTING:  # what is left takes no time
                scene.expect(ended.code == DEAD_LETTERS, f"exit {ended.code} after {number.name} while {phase}")
                continue
            scene.expect(ended.code == STOPPED, f"exit {ended.code} after {number.name} while {phase}")
            scene.expect(f"stopped by {number.name}" in ended.err, f"while {phase}, it says {ended.err[-300:]}")
        scene.run()

    return play


def paused(scene: BackfillScene) -> None:
    """SIGSTOP at random moments, and SIGCONT some seconds later."""
    phases = (READING, SENDING, SENDING, FOLDING)
    running = scene.start(*(random_moment(scene.rng, phase) for phase in phases))
    for number in range(1, len(phases) + 1):
        scene.hit(wait_until_stopped(scene, running, number))
        time.sleep(scene.rng.uniform(0.5, 4.0))
        go_on(running)
    scene.finish(running)


def two_jobs(scene: BackfillScene) -> None:
    """Start the command twice at once; kill the one that won, and resume it twice at once."""
    moment = random_moment(scene.rng, SENDING)
    for running in [scene.start(moment), scene.start(moment)]:
        wait_until_stopped(scene, running)  # the other one is refused and ends
        kill(scene, running)
    again = [scene.start(), scene.start()]
    codes = sorted(running.end(WITHIN).code for running in again)
    # the second is refused while the first is at work, and finds a finished job after that
    scene.expect(codes in ([USAGE, DEAD_LETTERS], [DEAD_LETTERS, DEAD_LETTERS]), f"two at once ended with {codes}")
    scene.run()


def clock_set(scene: BackfillScene) -> None:
    """The clock jumps while the command runs once, to its end."""
    _let_clock_jump(scene)
    scene.run()
    scene.expect((scene.folder / CLOCK).read_text() != UNCHANGED, "not shown: the clock did not jump")


def clock_set_and_killed(scene: BackfillScene) -> None:
    """The clock jumps while the command runs, is killed, and is resumed."""
    _let_clock_jump(scene)
    running = scene.start(random_moment(scene.rng, SENDING))
    wait_until_stopped(scene, running)
    kill(scene, running)
    scene.run()


def _let_clock_jump(scene: BackfillScene) -> None:
    scene.environment, stop = jumping_clock(scene.folder, scene.rng)
    scene.stack.callback(stop)
    scene.wrapper = ("env",)  # a process of its own, not one that is forked from a process without the library


PLANS = (
    BackfillPlan(
        name="kill-9",
        effect="kill -9 at random moments while starting, reading, sending, folding, reporting;"
        " 5xx and cut connections besides",
        faults=FAULTS,
        play=killed,
        phases=IN_TURN,
        missing=no_proc,
    ),
    BackfillPlan(
        name="sigterm",
        effect="SIGTERM at random moments of each phase",
        play=stopped(signal.SIGTERM),
        phases=IN_TURN,
        missing=no_proc,
    ),
    BackfillPlan(
        name="sigint",
        effect="SIGINT at random moments of each phase",
        play=stopped(signal.SIGINT),
        phases=IN_TURN,
        missing=no_proc,
    ),
    BackfillPlan(
        name="sigstop",
        effect="SIGSTOP while reading, twice while sending, and while folding; SIGCONT up to 4 s later",
        play=paused,
        phases=(READING, SENDING, SENDING, FOLDING),
        missing=no_proc,
    ),
    BackfillPlan(
        name="two-jobs",
        effect="two processes use one output folder, also on --resume",
        play=two_jobs,
        phases=(SENDING,),
        missing=no_proc,
    ),
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
        phases=(SENDING,),
        reasons=frozenset({"outcome_unknown"}),
        missing=no_faketime,
    ),
)
