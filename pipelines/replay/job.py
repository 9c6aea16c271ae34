"""Replay: dead letters sent again in one bounded pass, never over what their job has applied since."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import READ_GRACE
from beam_talonone.pipelines.backfill.job import JobRun
from beam_talonone.pipelines.backfill.job_kind import Files, JobKind, Report, backfill_report
from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions
from beam_talonone.pipelines.backfill.output_folder import MANIFEST, JobFolder
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob
from beam_talonone.pipelines.backfill.sending.send_order import set_send_order
from beam_talonone.pipelines.backfill.sending.send_slices import SliceSteps, send_slices
from beam_talonone.pipelines.replay.altered import WHAT_TO_DO
from beam_talonone.pipelines.replay.left_to_send import end_by_origins
from beam_talonone.pipelines.replay.origins import Origins, origin_of
from beam_talonone.pipelines.replay.stream_conflicts import REPLAYS, no_stream_in
from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.pipelines.terminal.stopping import RESUME, STOP
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.outcome import End
from beam_talonone.transforms.sources.opening import FileInfo

PULLED = "input"
"""The folder in the output folder that holds dead letters pulled from a subscription."""


@dataclass(frozen=True)
class ReplayOptions(BackfillOptions):
    """All of `replay`. A `subscription` takes the place of files. `state` is the state folder of the stream that
    wrote the dead letters, where the place of the files does not say which it is."""

    command: str = "replay"
    subscription: str | None = None
    state: Path | None = None

    def fixed(self) -> dict[str, Any]:
        """The options that must be the same when the job is resumed, by name."""
        pulled = {} if self.subscription is None else {"DEAD_LETTERS_GLOB": self.subscription}
        return {**super().fixed(), **pulled, "--state": None if self.state is None else str(self.state.resolve())}


def replay_job(options: ReplayOptions, notice: Callable[[str], None]) -> JobRun:
    """A job whose input are dead letters. What their job or stream has applied since decides what may still be sent,
    and what this replay applies is noted there. Raises ConfigurationError for a base URL that is none."""
    replay = _Replay(options, notice)
    kind = JobKind(
        check=replay.check, select_input=replay.select_input, after_reading=replay.complete, send=replay.send,
        report=replay.report,
    )  # fmt: skip
    return JobRun(options, notice, kind)


class _Replay:
    """The steps of a replay; it remembers from one to the next where the dead letters came from."""

    def __init__(self, options: ReplayOptions, notice: Callable[[str], None]) -> None:
        self._options, self._notice = options, notice
        self._origins = Origins.of([])

    def check(self) -> None:
        """Raises ConfigurationError for a state folder or a subscription that cannot be used."""
        options = self._options
        if options.state is not None:
            problem = no_stream_in(options.state, options.sending.base_url)
            if problem is not None:
                raise ConfigurationError(f"--state: {problem}")
        if options.subscription is not None and not options.resume:
            if (options.output / PULLED).exists() and not (options.output / MANIFEST).exists():
                raise ConfigurationError(f"{options.output / PULLED} exists already: name another --output")
            from beam_talonone.pipelines.replay.pull import check_subscription

            with STOP.raising():
                check_subscription(options.subscription)

    def select_input(self, folder: JobFolder, options: InputOptions, files: Files) -> tuple[InputOptions, Files]:
        """Pull the dead letters of a subscription, and find where they all came from."""
        if self._options.subscription is not None and not folder.read.exists():
            pull = partial(self._pull, folder, self._options.subscription)
            path = interruptible(pull, None, grace=READ_GRACE, then=RESUME)
            options = replace(options, globs={LETTERS: str(path)})
            files = {LETTERS: [FileInfo(str(path), path.stat().st_size, path.stat().st_mtime)]}
        origins = [self._origin_of(Path(info.path)) for info in files.get(LETTERS, ())]
        if self._options.state is not None:
            origins.append(self._options.state.resolve() / REPLAYS)
        self._origins = Origins.of(origins)
        return options, files

    def _pull(self, folder: JobFolder, subscription: str) -> Path:
        from beam_talonone.pipelines.replay.pull import pull_dead_letters

        return pull_dead_letters(subscription, folder.root / PULLED, self._notice, resumed=folder.resumed)

    def _origin_of(self, dead_letters: Path) -> Path | None:
        if self._options.state is not None:
            return self._options.state.resolve() / REPLAYS
        if self._options.subscription is not None:
            return None
        return origin_of(dead_letters, self._options.sending.base_url)

    def complete(self, folder: JobFolder, files: Files, staged: int) -> int:
        """End what is not to be sent any more; returns how many records are left in the send order."""
        self._tell_lost(files)
        with self._origins.explained(), closing(staging.reopen(folder.staging)) as connection:
            end_by_origins(connection, self._origins.databases, folder.job)
            total = set_send_order(connection)
            self._tell_altered(connection)
            self._tell_left_out(connection)
            first = str(self._origins.databases[0]) if self._origins.databases else ""
            staging.set_meta(connection, "origin", first)
            return total

    def _tell_lost(self, files: Files) -> None:
        lost = [info.path for info in files[LETTERS] if self._origin_of(Path(info.path)) is None]
        if self._options.subscription is not None and lost:
            self._notice("no --state was given: records that their stream has sent since are not taken into account")
        elif lost:
            self._notice(
                f"the job of {lost[0]} is not beside it, was a dry run, or sent to another deployment: records that"
                " it has applied since are not taken into account. To include them, replay dead letters in the"
                " folder where the job wrote them"
            )

    def _tell_altered(self, connection: Connection) -> None:
        (count,) = connection.execute(
            "SELECT COUNT(*) FROM fates WHERE end = ? AND reason = ?", (End.DEAD.value, Reason.ALTERED_RECORD.value)
        ).fetchone()
        if count:
            dead_letters = "1 dead letter does" if count == 1 else f"{count:,} dead letters do"
            self._notice(
                f"{dead_letters} not hold the record as it came and {'is' if count == 1 else 'are'} not sent; each is"
                f" in {self._options.output / 'dead-letters'} with the reason {Reason.ALTERED_RECORD.value}:"
                f" {WHAT_TO_DO}"
            )

    def _tell_left_out(self, connection: Connection) -> None:
        rows = connection.execute(
            "SELECT reason, COUNT(*) FROM fates WHERE end = ? AND reason LIKE '--%' GROUP BY reason ORDER BY reason",
            (End.FILTERED.value,),
        )
        for rule, count in rows:
            dead_letters = (
                "1 dead letter stays in its file" if count == 1 else f"{count:,} dead letters stay in their files"
            )
            self._notice(f"{dead_letters}, left out by {rule}")

    def report(self, job: ActiveJob) -> Report:
        """The report, with the options that select and change dead letters, where there are any."""
        selected = self._options.input.replay_selection.as_json()
        options = {name.removeprefix("--"): values for name, values in selected.items()}
        return {**backfill_report(job), **({"selection": options} if options else {})}

    def send(self, job: ActiveJob) -> None:
        """Send what is left, slice by slice."""
        origins = self._origins
        steps = SliceSteps(
            before=origins.give_way, folded=origins.note_applied, origins=origins.databases, accepted_before=True
        )
        with origins.explained():
            send_slices(job, steps)
