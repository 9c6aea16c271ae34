"""The sessions and customers of a verification, read back in chunks and compared with the input."""

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import dead_letter_of
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob
from beam_talonone.pipelines.backfill.sending.fold import write_watched
from beam_talonone.pipelines.backfill.sending.outcome_counts import count_read_and_dead
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.pipelines.verify import targets
from beam_talonone.pipelines.verify.targets import Target
from beam_talonone.schemas import jsonio
from beam_talonone.talonone.compare.differences import Line
from beam_talonone.talonone.errors import Interrupted, TooManyDeadLetters
from beam_talonone.talonone.http.responses import Answer
from beam_talonone.talonone.protocols.session_reads import CannotRead
from beam_talonone.talonone.requests.outcome import End, Outcome, refused
from beam_talonone.talonone.state.whole_file import write_whole_file

CHUNK = 50
"""Targets that are read, and written down, together."""

UNDER_WAY = 20
"""Chunks that the engine has at a time: it stays busy while one is compared, and while some keep failing."""

AGREE, DIFFER = "agree", "differ"
"""The ends of a record that was compared, beside those of a backfill."""

DIFFERENCES = "differences.jsonl"

UnderWay = dict[Future[list[Answer]], list[Target]]


def read_back(job: ActiveJob) -> None:
    """Read all targets that are not done, and write differences.jsonl.

    Raises TooManyDeadLetters when too many cannot be read, StopRun when the reading ended early.
    """
    run = _ReadBack(job)
    job.tally.begin_doing(targets.count_done(job.connection))
    with ThreadPoolExecutor(UNDER_WAY) as pool:
        try:
            # threads that still wait for answers must get an error
            with job.engine.stopped_by_errors(Interrupted("the reading failed")):
                under_way: UnderWay = {}
                for chunk in targets.left_to_read(job.connection, job.tally.total, CHUNK):
                    under_way[pool.submit(job.engine.answers, [target.request for target in chunk])] = chunk
                    if len(under_way) == UNDER_WAY:
                        run.take_answered(under_way)
                while under_way:
                    run.take_answered(under_way)
        finally:
            run.save_stats()
    lines = job.connection.execute("SELECT line FROM differences ORDER BY target, at")
    # without a line too: an empty file says that nothing differs
    write_whole_file(job.folder.root / DIFFERENCES, (row[0] + b"\n" for row in lines))


@dataclass
class Compared:
    """What a chunk of answers has led to."""

    outcomes: list[staging.OutcomeRow]
    differences: list[tuple[Target, list[Line]]]
    dead_letters: list[bytes]


class _ReadBack:
    """One run of a verification: the records it has compared, and the time it has taken."""

    def __init__(self, job: ActiveJob) -> None:
        self._job = job
        row = job.connection.execute("SELECT COALESCE(MAX(slice), 0) + 1 FROM stats").fetchone()
        self._number = int(row[0])
        self._began = time.monotonic()
        self._records = 0

    def take_answered(self, under_way: UnderWay) -> None:
        """Take the chunks that are answered first: a slow one, or one that fails for minutes, holds up no other."""
        for future in wait(under_way, return_when=FIRST_COMPLETED).done:
            self._take(under_way.pop(future), future.result())

    def save_stats(self) -> None:
        """Keep what this run has sent, and in how many seconds."""
        self._job.connection.execute(
            "INSERT OR REPLACE INTO stats VALUES (?, 0, ?, ?)",
            (self._number, msgspec.json.encode(self._job.engine.stats), time.monotonic() - self._began),
        )

    def _take(self, chunk: list[Target], answers: list[Answer]) -> None:
        """Compare a chunk's answers with the input, and write down at once all that came of it."""
        job, compared = self._job, compare_answers(self._job, chunk, answers)
        # a run that was killed here writes them again: under the same name, so that nothing stands twice
        job.folder.watch.check()
        path = job.folder.root / "dead-letters" / f"reads-{chunk[0].number:09d}.jsonl"
        write_watched(job.folder, path, compared.dead_letters)
        job.connection.execute("BEGIN")
        targets.keep_differences(job.connection, compared.differences)
        staging.save_outcomes(job.connection, compared.outcomes)
        targets.note_done(job.connection, chunk)
        self.save_stats()
        job.connection.execute("COMMIT")
        job.tally.ended += len(chunk)
        job.tally.dead += len(compared.dead_letters)
        job.tally.outcomes.update(row[1] for row in compared.outcomes)
        self._records += len(compared.outcomes)
        if compared.dead_letters:
            self._check_dead_letters(compared.dead_letters[-1])

    def _check_dead_letters(self, last: bytes) -> None:
        """Raises TooManyDeadLetters when too much cannot be read; a backfill ends so when too much cannot be sent."""
        read, _ = count_read_and_dead(self._job.connection)
        in_all = self._job.tally.dead_before + self._job.tally.dead
        dead, allowed = self._job.tally.dead, self._job.options.sending.max_dead_letters
        if allowed.exceeded(dead, self._records) or allowed.exceeded(in_all, read):
            dead_letter = jsonio.loads_around(last)
            raise TooManyDeadLetters(
                f"{counted(in_all, 'dead letter')} ({dead:,} of {counted(self._records, 'record')} read back now),"
                f" more than --max-dead-letters {allowed.text}; the last: {dead_letter['reason']}; see"
                " dead-letters in --output"
            )


def compare_answers(job: ActiveJob, chunk: list[Target], answers: list[Answer]) -> Compared:
    """The outcomes of the records of a chunk, with their differences, and dead letters for what cannot be read."""
    compared = Compared([], [], [])
    for target, answer in zip(chunk, answers, strict=True):
        compared.outcomes += [(rec, End.SUPERSEDED.value, None, None, None) for rec in target.superseded]
        try:
            lines = differences_of(target, answer)
        except CannotRead as error:
            outcome = unread(target, answer, str(error))
            for rec in sorted(target.records):
                compared.outcomes.append((rec, End.DEAD.value, outcome.stage.value, outcome.reason, None))
                compared.dead_letters.append(
                    dead_letter_of(job.connection, rec, outcome, job.folder.job, time.time())
                )
            continue
        differing = {(line["kind"], line["id"]) for line in lines}
        for rec, record in target.records.items():
            compared.outcomes.append((rec, DIFFER if record in differing else AGREE, None, None, None))
        compared.differences.append((target, lines))
    return compared


def differences_of(target: Target, answer: Answer) -> list[Line]:
    """How the session or customer in an answer differs from what the input leads to. Raises CannotRead."""
    shown = targets.entity_in(target, answer)
    try:
        return target.compare(shown)
    except (TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise CannotRead(f"the answer of {target.request.operation} has an odd shape: {error!r}") from None


def unread(target: Target, answer: Answer, why: str) -> Outcome:
    """The outcome of the records of a target that could not be read."""
    return msgspec.structs.replace(refused(target.request.operation, answer, answer.tries), detail=why)
