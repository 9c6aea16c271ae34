"""A job on one machine: everything is read and staged in order, then sent slice by slice, resumable at any moment."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from sqlite3 import Connection

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.damage import (
    DAMAGE_ERRORS,
    cause_of,
    check_report,
    mark_report,
)
from beam_talonone.pipelines.backfill.inputs import match_inputs
from beam_talonone.pipelines.backfill.job_kind import BACKFILL, Files, JobKind, Report
from beam_talonone.pipelines.backfill.options import BackfillOptions, SendingOptions
from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS, JobFolder, cannot_write, discard, open_job
from beam_talonone.pipelines.backfill.reading import check_dead_letters, read_input, write_input_dead_letters
from beam_talonone.pipelines.backfill.report import check_summary, read_report
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, StagedJob
from beam_talonone.pipelines.backfill.sending.fold import fold_open_journals
from beam_talonone.pipelines.backfill.sending.left_to_send import count_closing, question
from beam_talonone.pipelines.backfill.sending.limit import sent_anything
from beam_talonone.pipelines.backfill.sending.outcome_counts import complete_counts, count_read_and_dead
from beam_talonone.pipelines.backfill.sending.slices import SLICE
from beam_talonone.pipelines.backfill.sending.tally import KindTally, Tally
from beam_talonone.pipelines.report.recording.run_settings import run_settings
from beam_talonone.pipelines.report.recording.sampler import Sampler
from beam_talonone.pipelines.runners.runner import bounded_runner
from beam_talonone.pipelines.terminal.command_line import command_line
from beam_talonone.pipelines.terminal.confirm import Declined
from beam_talonone.pipelines.terminal.stopping import RESUME, STOP
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import ConfigurationError, Interrupted
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.state.sealed_lines import Damaged
from beam_talonone.talonone.state.temporary_files import temporary_files_in
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.runtime.engines import (
    EngineConfig,
    check_here,
    check_rate_service,
    close_engine,
    engine_for,
    read_key,
)


class JobRun:
    """One run of a job of any kind. `notice` gets lines for the person at the terminal.

    `tally` counts while the job runs, and `things` is the word for what it counts. `engine` sends; it is None before
    the first request may leave.
    """

    def __init__(self, options: BackfillOptions, notice: Callable[[str], None], kind: JobKind = BACKFILL) -> None:
        """Raises ConfigurationError for a base URL that is none."""
        self.tally = Tally()
        self.things = kind.things
        self.engine: Engine | None = None
        self.confirm: Callable[[str], None] | None = None
        """Asks the person at the terminal a question before the first request. Raises Declined for a no."""
        self._declined = False
        self._options, self._notice, self._kind = options, notice, kind
        self._config = engine_config(options.sending)

    def run(self) -> Report:
        """Run the job to its end, or go on with it; returns its report.

        Raises ConfigurationError before anything was sent, StopRun when it ended early and can be resumed.
        """
        with STOP.taking_signals():
            files = self._check()
            existed = self._options.output.exists()
            folder = self._open_folder(files)
            try:
                with _failures_explained(folder), temporary_files_in(folder.staging.parent):
                    report = _finished_report(folder)
                    if report is None:
                        return self._run(folder, files)
                    self._notice(f"the job in {folder.root} is finished: nothing was changed")
                    return report
            finally:
                close_engine(self._config)
                folder.close()
                if self._declined and not folder.resumed:
                    discard(folder.root, existed=existed)

    def _check(self) -> Files:
        """Find what is wrong before the folder is touched; returns the matched input. Raises ConfigurationError."""
        sending = self._options.sending
        with STOP.raising():
            read_key(sending.api_key_env, sending.api_key_secret)
        self._kind.check()
        with STOP.raising():
            check_rate_service(self._config)
        check_here(self._config, self._notice)
        bounded_runner(self._options.beam_args)
        return match_inputs(self._options.input, self._notice)

    def _open_folder(self, files: Files) -> JobFolder:
        options = self._options
        try:
            return open_job(
                options.output, options.command, options.fixed(), files, resume=options.resume, sent=sent_anything
            )
        except PermissionError as error:
            raise ConfigurationError(
                f"--output {options.output} cannot be used: {error.strerror}: {error.filename}; start the job as the"
                " folder's owner, or name a folder of your own"
            ) from error
        except OSError as error:
            then = "and go on with --resume" if options.resume else "and begin again"
            raise cannot_write(f"--output {options.output}", error, then) from error

    def _run(self, folder: JobFolder, files: Files) -> Report:
        input_options, files = self._kind.select_input(folder, self._options.input, files)
        options = replace(self._options, input=input_options)
        total = read_input(folder, options, files, self._kind, self._notice, self.tally)
        with closing(staging.reopen(folder.staging)) as connection:
            folder.watch.note(folder.staging, least=0)
            complete_counts(connection, SLICE)
            fold_open_journals(StagedJob(options, folder, connection), total)
            write_input_dead_letters(folder, connection)
            check_dead_letters(connection, options.sending.max_dead_letters, str(options.output))
            STOP.check(RESUME)
            self._before_sending(connection, total)
            self.engine = engine_for(self._config)
            job = ActiveJob(options, folder, connection, self.engine, self.tally, self._notice)
            with STOP.telling(lambda signal: _end_in_order(job, signal)), self._sampler(job):
                self._kind.send(job)
            STOP.check(RESUME)
            self.tally.begin("writing the report")
            report = self._kind.report(job)
            folder.watch.check()
            check_summary(report, str(options.output))
        _write_report(folder, report)
        self._write_page(folder)
        self._kind.finished(job, report)
        return report

    def _write_page(self, folder: JobFolder) -> None:
        """Write report.html. Without it the job is complete all the same."""
        from beam_talonone.pipelines.report.write import write_page

        try:
            write_page(folder.root, running=False)
        except Exception as error:
            command = command_line(["report", str(folder.root)])
            self._notice(f"report.html was not written ({error_line(error)}); to write it: {command}")

    def _sampler(self, job: ActiveJob) -> Sampler:
        settings = run_settings(self._options, sys.argv)
        return Sampler(job.folder.series, job.engine, self.tally.outcomes, settings)

    def _before_sending(self, connection: Connection, total: int) -> None:
        """Count what earlier runs have left of `total` things, and ask whether to go on. Raises Declined."""
        tally, options = self.tally, self._options
        tally.begin("preparing")
        _, tally.dead_before = count_read_and_dead(connection)
        kinds = self._kind.count_kinds(connection)
        tally.kinds = {kind: KindTally(*counts) for kind, counts in kinds.items()}
        if self.confirm is not None:
            closing = count_closing(connection)
            asked = question(options.sending.base_url, kinds, closing, tally.dead_before, options.limit)
            try:
                if asked is not None:
                    self.confirm(asked)
            except Declined:
                self._declined = True
                raise
        tally.total, tally.doing = total, self._kind.doing


@contextmanager
def _failures_explained(folder: JobFolder) -> Iterator[None]:
    """A block whose errors are raised as what they come from: files that vanished, damage, or a full disk."""
    try:
        yield
    except Damaged as error:
        raise Damaged(str(error).partition(" [while running")[0]) from None
    except DAMAGE_ERRORS + DISK_ERRORS as error:
        folder.watch.check()
        # until all was read, the staging database is written without a rollback: an error leaves it broken, and the
        # next run begins it again
        cause = cause_of(folder.staging, error) if folder.read.exists() else error
        if cause is error and isinstance(error, DISK_ERRORS):
            cause = cannot_write(f"--output {folder.root}", error, "and go on with --resume")
        raise cause from error


def _finished_report(folder: JobFolder) -> Report | None:
    """The report of a job that has nothing left to do; None where there is something. Raises Damaged."""
    if not folder.report.exists():
        return None
    check_report(folder.report, folder.reported)
    report = read_report(folder.report)
    return None if report["remaining"] else report


def _write_report(folder: JobFolder, report: Report) -> None:
    data = json.dumps(report, indent=2).encode() + b"\n"
    mark_report(folder.reported, None)
    write_whole_file(folder.report, data)
    mark_report(folder.reported, data)


def _end_in_order(job: ActiveJob, signal: str) -> None:
    job.notice(f"{signal}: finishing what is in flight")
    job.engine.stop(Interrupted(f"stopped by {signal}{RESUME}"))


def engine_config(sending: SendingOptions) -> EngineConfig:
    """The engine that a backfill sends with. Raises ConfigurationError for a base URL that is none."""
    settings = EngineSettings(
        check_base_url(sending.base_url), sending.rate, sending.concurrency, sending.give_up_after,
        sending.api_is_up, http=sending.http,
    )  # fmt: skip
    return EngineConfig(settings, sending.api_key_env, sending.api_key_secret, sending.rate_service)
