"""The common part of DoFns that send: feed the engine of the process, and emit outcomes as they arrive."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.requests.outcome import Outcome

Done = tuple[Job, Outcome]


class Sending:
    """The jobs of one bundle on one engine: submits them, and collects their outcomes without blocking the bundle."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._open = 0
        self._done: deque[tuple[Sequence[Job], Outcome]] = deque()

    def tell(self, job: Job, outcome: Outcome) -> None:
        """Record the outcome of a job. It is the callback of jobs, and runs on the thread of the engine."""
        self.engine.memory.note(job.work, outcome)
        self._done.append(((job,), outcome))
        self.engine.job_done()

    def tell_all(self, jobs: Sequence[Job], outcome: Outcome) -> None:
        """Record the outcome of jobs that ended alike, as `tell` does."""
        for job in jobs:
            self.engine.memory.note(job.work, outcome)
        self._done.append((jobs, outcome))
        self.engine.job_done(len(jobs))

    def submit(self, *jobs: Job) -> None:
        """Submit jobs to the engine, in their order. Blocks while the engine is full."""
        self._open += len(jobs)
        self.engine.submit(*jobs)

    def took(self, count: int) -> None:
        """Count jobs that were submitted elsewhere (a bulk of an earlier run)."""
        self._open += count

    def done(self) -> Iterator[Done]:
        """The outcomes that arrived since the last call."""
        for jobs, outcome in self.done_alike():
            for job in jobs:
                yield job, outcome

    def done_alike(self) -> Iterator[tuple[Sequence[Job], Outcome]]:
        """As `done`, with the jobs that ended together."""
        while self._done:
            jobs, outcome = self._done.popleft()
            self._open -= len(jobs)
            yield jobs, outcome

    def rest(self) -> Iterator[Done]:
        """Send incomplete batches and yield all open outcomes. Raises the error that stopped the engine."""
        self.engine.flush()
        while self.more():
            yield from self.done()

    def some(self) -> bool:
        """Wait until outcomes have arrived, as `more` does, before all jobs are submitted."""
        if self._open:
            self.engine.wait(lambda: bool(self._done), flush=True)
        return self._open > 0

    def more(self, beside: "Sending | None" = None) -> bool:
        """Wait until outcomes have arrived, here or `beside`; False if no job is open here. Raises the error that
        stopped the engine."""
        if self._open:
            self.engine.wait(lambda: bool(self._done or (beside is not None and beside._done)))
        return self._open > 0


def in_window(output: Any, window: GlobalWindow) -> Any:
    """An output of finish_bundle in its window. The tag goes around the windowed value, or Beam uses the main
    output.
    """
    if isinstance(output, beam.pvalue.TaggedOutput):
        return beam.pvalue.TaggedOutput(output.tag, WindowedValue(output.value, window.max_timestamp(), (window,)))
    return WindowedValue(output, window.max_timestamp(), (window,))
