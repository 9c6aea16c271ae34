"""One backfill under a plan: its input by the seed, its simulator, the command as a process, and the verdict."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from e2e.harness import (
    DEAD_LETTERS,
    RESUME_IF_BEGUN,
    STOPPED,
    Ended,
    Running,
    Simulator,
    backfill,
    simulator_at,
    start,
    write_kinds,
)
from support.audit.auditor import Options, fetch
from support.audit.ledger import JITTER
from support.audit.verdict import WRONG, Verdict, clean, judge_backfill
from support.servers.ports import free_port
from support.shop import shop

from campaign.file_watch import STOP, Moment, setting, watch_files
from campaign.plan import BackfillPlan
from campaign.stalls import Stalls

WITHIN = 240.0
"""Seconds that one run of the command may take. A longer run counts as wrong."""
POISON = frozenset({"unknown_attribute", "order_dead_lettered"})
"""Reasons of the dead letters that the shop's own bad records become."""
BEFORE_RESUME = 1.0
"""Seconds from the end of a run until the job is resumed: as long as the faults last that plans resume behind."""


@dataclass
class BackfillScene:
    """What a plan's `play` works with. `words` start the command or resume the job, `ended` is its last end."""

    sim: Simulator
    rng: random.Random
    folder: Path
    inputs: dict[str, Path]
    words: list[object]
    faults: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    wrapper: tuple[str, ...] = ()
    """A command that starts the command, as `unshare` does."""
    stack: ExitStack = field(default_factory=ExitStack)
    """Closed after the verdict."""
    ended: Ended | None = None
    mistakes: list[str] = field(default_factory=list)
    """What `play` itself found wrong."""
    acted_before: int = 0
    """Requests that the API had acted on when the command was started last."""
    hits: Counter[str] = field(default_factory=Counter)
    """How often `play` disturbed a command in each phase."""
    _logs: dict[int, Path] = field(default_factory=dict)
    """The logs of the phases of the commands, by process id."""

    @property
    def output(self) -> Path:
        """The folder --output."""
        return self.folder / "out"

    @property
    def records(self) -> int:
        """The number of lines of the input."""
        return sum(path.read_bytes().count(b"\n") for path in self.inputs.values())

    def start(self, *moments: Moment) -> Running:
        """Start the command, or resume the job if there is one. It stops itself at each of the moments in turn."""
        self.acted_before = self.sim.summary()["acted"]
        if not moments:
            return start(*self.words, env=self.environment, wrapper=self.wrapper)
        log = self.folder / f"phases-{len(self._logs)}"
        surroundings = {**self.environment, **setting(str(log), moments)}
        # a process that is not forked off is prepared by the folder that `clock.py` gives it
        prepare = None if self.wrapper else watch_files
        running = start(*self.words, env=surroundings, wrapper=self.wrapper, prepare=prepare)
        self._logs[running.process.pid] = log
        self.stack.callback(_end, running)
        return running

    def log_of(self, running: Running) -> Sequence[str]:
        """The lines that a command with moments has logged: the phases that it began, and its stops."""
        log = self._logs[running.process.pid]
        return log.read_text().splitlines() if log.exists() else ()

    def phase_of(self, running: Running) -> str | None:
        """The phase that a command is in, or was in at its end; None if it had none yet."""
        return next((line for line in reversed(self.log_of(running)) if not line.startswith(STOP)), None)

    def hit(self, phase: str | None) -> None:
        """Count that a command was disturbed in this phase."""
        if phase is not None:
            self.hits[phase] += 1

    def run(self, resumes: int = 0) -> Ended:
        """Run the command to its end. A run that ends with 1 is resumed, at most `resumes` times."""
        return self.finish(self.start(), resumes)

    def finish(self, running: Running, resumes: int = 0) -> Ended:
        """As `run`, for a command that was started before."""
        self.ended = running.end(WITHIN)
        while self.ended.code == STOPPED and resumes:
            resumes -= 1
            time.sleep(BEFORE_RESUME)
            self.ended = self.start().end(WITHIN)
        return self.ended

    def wait(self, done: Callable[[], bool], running: Running, step: float = 0.02) -> None:
        """Wait for a condition, or for the end of the command. Looks every `step` seconds."""
        deadline = time.monotonic() + WITHIN
        while running.process.poll() is None and not done():
            if time.monotonic() > deadline:
                raise AssertionError(f"the moment of the plan did not come: {running.err[-500:]}")
            time.sleep(step)

    def faults_met(self) -> int:
        """The number of requests that met a fault."""
        return sum(1 for row in self.sim.rows("requests") if row["fault"])

    def expect(self, fact: bool, message: str) -> None:
        """Count a mistake unless `fact` holds."""
        if not fact:
            self.mistakes.append(message)


def run_backfill(
    plan: BackfillPlan, seed: int, folder: Path, stalls: Stalls, since: float, hits: Counter[str]
) -> Verdict:
    """Run one backfill in the empty `folder`. Stalls of the machine count from the monotonic time `since`.

    `hits` gets how often the command was disturbed in each phase.
    """
    rng = random.Random(f"{plan.name}/{seed}")
    inputs = write_kinds(folder, shop(plan.customers, seed=seed))
    settings = {"latency_ms": 5, "jitter_ms": 10, "unknown_attributes": ("unheard",), "seed": seed}
    with ExitStack() as stack:
        sim = stack.enter_context(simulator_at(free_port(), faults=plan.faults, **{**settings, **plan.settings}))
        words = backfill(sim.url, inputs, folder / "out", RESUME_IF_BEGUN, "--rate", plan.rate, *plan.words)
        scene = BackfillScene(sim, rng, folder, inputs, words, plan.faults, stack=stack, hits=hits)
        plan.play(scene)
        scene.expect(not plan.faults or scene.faults_met() > 0, "no request met a fault: the run shows nothing")
        files = {kind: [path] for kind, path in scene.inputs.items()}
        options = Options(rate=plan.rate, jitter=JITTER + stalls.longest(since), keys_forgotten=plan.keys_forgotten)
        if (scene.output / "report.json").exists():
            verdict = judge_backfill(files, scene.output, fetch(sim.url), options, POISON | plan.reasons)
        else:
            verdict = clean() | {WRONG: ["there is no report.json"]}
    verdict[WRONG] += scene.mistakes
    if scene.ended is None or scene.ended.code != DEAD_LETTERS:
        code = None if scene.ended is None else scene.ended.code
        verdict[WRONG].append(f"exit code {code}, not {DEAD_LETTERS}: {scene.ended and scene.ended.err[-500:]}")
    return verdict


def _end(running: Running) -> None:
    """End a process that an error of the plan left standing still."""
    if running.process.poll() is None:
        running.signal(signal.SIGKILL)
        running.process.wait(10)
