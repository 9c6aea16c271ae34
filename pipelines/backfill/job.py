"""The backfill: everything read and laid down in order, then sent slice by slice, resumable at any moment."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill import limit as limited
from beam_talonone.pipelines.backfill import slices, staging
from beam_talonone.pipelines.backfill.damage import OF_DAMAGE, blame, check_report, check_spool, mark_report
from beam_talonone.pipelines.backfill.ingest import PATIENCE, ingest
from beam_talonone.pipelines.backfill.inputs import match_inputs
from beam_talonone.pipelines.backfill.journal import Journal, Replayed, replay_journal
from beam_talonone.pipelines.backfill.limit import sent_anything
from beam_talonone.pipelines.backfill.options import BackfillOptions, SendingOptions
from beam_talonone.pipelines.backfill.output_folder import DISK_ERRORS, JobFolder, cannot_write, open_job
from beam_talonone.pipelines.backfill.report import check_account, make_report, told_before
from beam_talonone.pipelines.backfill.staging_rows import dead_works
from beam_talonone.pipelines.replay import attempt_history
from beam_talonone.pipelines.runners.runner import bounded_runner, run_bounded
from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.pipelines.terminal.stopping import RESUME, STOP
from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.delivery.request_sender import SendOptions
from beam_talonone.talonone.engine.engine import Engine, EngineSettings
from beam_talonone.talonone.errors import Interrupted, StopRun, TooManyDeadLetters
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.protocols.session_reads import profile_of
from beam_talonone.talonone.state.sealed_lines import Damaged, damaged
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.telemetry.stats import since, snapshot
from beam_talonone.transforms.runtime.engines import (
    EngineConfig,
    check_here,
    check_rate_service,
    close_engine,
    engine_for,
    read_key,
)
from beam_talonone.transforms.sources.opening import FileInfo


class Backfill:
    """One run of a job. `notice` is told lines for the person at the terminal, `tally` counts as it goes."""

    doing, done = "sending", "records sent"
    counted = "SELECT COUNT(*) FROM queue"
    """Tells how much there is to do, once all is read."""

    def __init__(self, options: BackfillOptions, notice: Callable[[str], None]) -> None:
        self.options = options
        self.tally = slices.Tally()
        self.total = 0
        """Records to be sent, over all runs of the job; 0 until all is read."""
        self.already = 0
        """How many of them ended before this run."""
        self.origins: list[Path] = []
        """Spools of the jobs whose dead letters are replayed."""
        self._notice = notice
        self._shown = str(options.output)
        """The job's folder, as it is told."""
        self._config = engine_config(options.sending)
        self._engine: Engine | None = None

    def run(self) -> dict[str, Any]:
        """Run the job to its end, or go on with it; returns its report.

        Raises ConfigurationError before anything was sent, StopRun when it ended early and can be resumed.
        """
        with STOP.taking_signals():
            return self._start()

    def _start(self) -> dict[str, Any]:
        with STOP.raising():
            read_key(self.options.sending.api_key_env, self.options.sending.api_key_secret)
            check_rate_service(self._config)
        check_here(self._config, self._notice)
        bounded_runner(self.options.beam_args)
        files = match_inputs(self.options.input, self._notice)
        folder = open_job(
            self.options.output, self.options.command, self.options.fixed(), files, resume=self.options.resume,
            sent=sent_anything,
        )  # fmt: skip
        try:
            told = None
            if folder.report.exists():
                check_report(folder.report, folder.reported)
                told = told_before(folder.report)
            if told is not None and not told["remaining"]:
                self._notice(f"the job in {folder.root} is finished: nothing was changed")
                return told
            return self._run(folder, files)
        except Damaged as error:
            raise Damaged(str(error).partition(" [while running")[0]) from None
        except OF_DAMAGE + DISK_ERRORS as error:
            folder.kept.check()
            cause = blame(folder.spool, error)
            if cause is error and isinstance(error, DISK_ERRORS):
                cause = cannot_write(f"--output {folder.root}", error, "make room, and go on with --resume")
            raise cause from error
        finally:
            close_engine(self._config)
            folder.close()

    def _run(self, folder: JobFolder, files: dict[str, list[FileInfo]]) -> dict[str, Any]:
        self._read(folder, files)
        with closing(staging.reopen(folder.spool)) as connection:
            folder.kept.note(folder.spool, least=0)
            self._write_input_letters(folder, connection)
            self._judge_input(connection)
            STOP.check(RESUME)
            self._engine = engine_for(self._config)
            with STOP.telling(self._end_in_order):
                self._send(folder, connection)
            STOP.check(RESUME)
            report = self._report(folder, connection)
            if self.options.limit is not None:
                report["remaining"] = self._unsent(connection)
                report["unaccounted"] -= report["remaining"]
            folder.kept.check()
            check_account(report, self._shown)
        data = json.dumps(report, indent=2).encode() + b"\n"
        mark_report(folder.reported, None)
        write_whole_file(folder.report, data)
        mark_report(folder.reported, data)
        return report

    def _read(self, folder: JobFolder, files: dict[str, list[FileInfo]]) -> None:
        if folder.read.exists():
            self.total = check_spool(folder.spool, folder.read.read_bytes(), self.counted)
            return
        if sent_anything(folder.spool.parent):
            raise damaged(folder.read, ": it is gone")
        for leftover in folder.spool.parent.glob("spool.sqlite*"):
            leftover.unlink()
        self._notice("reading and checking the input")
        interruptible(partial(self._fill, folder, files), None, patience=PATIENCE, then=RESUME)
        folder.kept.check()
        write_whole_file(folder.read, str(self.total).encode())

    def _fill(self, folder: JobFolder, files: dict[str, list[FileInfo]]) -> None:
        self.total = ingest(folder.spool, self.options.input, files, folder.job, self.options.beam_args)
        self._after_reading(folder, files)

    def _after_reading(self, folder: JobFolder, files: dict[str, list[FileInfo]]) -> None:
        """What else is to be settled before anything is sent."""

    def _write_input_letters(self, folder: JobFolder, connection: Any) -> None:
        letters = connection.execute(
            "SELECT letter FROM fates JOIN records USING (rec) WHERE letter IS NOT NULL ORDER BY file, position"
        )
        folder.kept.note(
            slices.write_lines(folder.root / "dead-letters" / "input.jsonl", (row[0] for row in letters))
        )

    def _judge_input(self, connection: Any) -> None:
        read, dead = staging.read_and_dead(connection)
        allowed = self.options.sending.max_dead_letters
        if allowed.exceeded(dead, read):
            raise TooManyDeadLetters(
                f"{dead} of the {read} records read are dead letters, more than --max-dead-letters {allowed.text};"
                f" see {self._shown}/dead-letters"
            )

    def _send(self, folder: JobFolder, connection: Any) -> None:
        chosen = self._chosen(folder, connection)
        self.already = self.total - self._unsent(connection)
        for first in range(int(staging.get_meta(connection, "next") or 1), self.total + 1, slices.SLICE):
            last = min(first + slices.SLICE - 1, self.total)
            if chosen is None or any(number in chosen for number in range(first, last + 1)):
                self._slice(folder, connection, first, last, chosen)

    def _chosen(self, folder: JobFolder, connection: Any) -> set[int] | None:
        """The numbers of the records that --limit lets go now. None for all."""
        if self.options.limit is None:
            return None
        for path in sorted(folder.spool.parent.glob("journal-slice-*.jsonl")):  # of a run that was killed
            name = path.stem.removeprefix("journal-")
            self._fold(folder, connection, name, self._told(folder, name))
        return limited.chosen(connection, self.options.limit)

    def _slice(self, folder: JobFolder, connection: Any, first: int, last: int, chosen: set[int] | None) -> None:
        STOP.check(RESUME)
        folder.kept.check()
        engine, name = self._the_engine(), slices.slice_name(first)
        path = folder.journal(name)
        told = self._told(folder, name)
        self._fold(folder, connection, name, told)
        engine.memory.forget()
        if self.options.command == "replay" or staging.any_applied(connection):
            engine.was_accepted_before()
        began = snapshot(engine.stats)
        read, dead = staging.read_and_dead(connection)
        if told.stats == [] and staging.get_meta(connection, f"begun {first}") is not None:
            raise damaged(path, ": it is gone, and requests have left")
        journal = Journal(path, lambda: since(engine.stats, began), folder.kept.check)
        staging.set_meta(connection, f"begun {first}", "")
        run = slices.SliceRun(
            folder.spool, first, last, engine, journal, told, self._send_options(folder, name),
            self.options.sending.max_dead_letters, self.tally, read, dead - self.tally.dead, chosen, self.origins,
        )  # fmt: skip
        try:
            # what is in flight must end before its journal is closed
            with engine.stopped_by_errors(Interrupted("the pipeline failed")):
                self._name_returns(connection, first, last, chosen)
                self._carry_out(str(folder.root / name), run)
                folder.kept.check()
        finally:
            try:
                journal.close()
            finally:
                folder.kept.check()
            told = replay_journal(path)
            self._fold(folder, connection, name, told)
        whole = len(told.done) == last - first + 1
        if not whole and chosen is None:
            raise StopRun(
                f"{path} tells of {len(told.done):,} records, and {last - first + 1:,} were sent: go on with --resume"
            )
        # of slices that --limit has touched, the later ones wait for the first
        if whole and first == int(staging.get_meta(connection, "next") or 1):
            staging.set_meta(connection, "next", str(last + 1))
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the journal that could tell it again goes
            self._slice_ended(folder, name)
            path.unlink()

    def _carry_out(self, name: str, run: slices.SliceRun) -> None:
        runner, beam_options = bounded_runner(self.options.beam_args)
        with slices.known(name, run):
            run_bounded(slices.create_pipeline(name, runner, beam_options))

    def _told(self, folder: JobFolder, name: str) -> Replayed:
        """What is known of a slice before it is sent."""
        return replay_journal(folder.journal(name))

    def _slice_ended(self, folder: JobFolder, name: str) -> None:
        """What is to be tidied up when a slice is complete."""

    def _fold(self, folder: JobFolder, connection: Any, name: str, told: Replayed) -> None:
        for path in slices.fold(connection, name, told, folder.root, folder.job, results=self.options.input.results):
            folder.kept.note(path)
        dead = list(dead_works(connection, told))
        for kept in self._kept_by(connection) if dead else ():
            kept.execute("BEGIN")
            for work, outcome, origin in dead:
                attempt, before = ("", ()) if origin is None else (origin.attempt, origin.parts_done)
                attempt_history.note(kept, work, outcome, attempt, before)
            kept.execute("COMMIT")
        number = int(name.rsplit("-", 1)[1])
        for process, (stats, seconds) in enumerate(told.stats):
            connection.execute(
                "INSERT OR REPLACE INTO stats VALUES (?, ?, ?, ?)",
                (number, process, msgspec.json.encode(stats), seconds),
            )

    def _kept_by(self, connection: Any) -> Iterator[Any]:
        """The spools that keep what became of what was not applied."""
        yield connection

    def _name_returns(self, connection: Any, first: int, last: int, chosen: set[int] | None) -> None:
        """Ask the API for the customers of returns whose order is not in the input."""
        unnamed = [
            (rec, session)
            for number, rec, session in staging.unnamed_returns(connection, first, last)
            if chosen is None or number in chosen
        ]
        sessions = sorted({session for _, session in unnamed})
        answers = self._the_engine().answers([get_customer_session(session) for session in sessions], helping=True)
        found = {session: profile_of(answer) for session, answer in zip(sessions, answers, strict=True)}
        connection.executemany(
            "UPDATE records SET customer = ? WHERE rec = ?", [(found[session] or "", rec) for rec, session in unnamed]
        )

    def _send_options(self, folder: JobFolder, name: str) -> SendOptions:
        options = self.options
        return SendOptions(
            dry=options.input.dry, edit_closed=options.sending.edit_closed, effects=options.input.results
        )

    def _report(self, folder: JobFolder, connection: Any) -> dict[str, Any]:
        started = folder.manifest["started"]
        sending = self.options.sending
        return make_report(connection, folder.job, sending.rate, started, time.time(), sending.rate_service)

    def _unsent(self, connection: Any) -> int:
        row = connection.execute("SELECT COUNT(*) FROM queue WHERE rec NOT IN (SELECT rec FROM fates)").fetchone()
        return int(row[0])

    def _the_engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("nothing can be sent before the engine is there")
        return self._engine

    def _end_in_order(self, name: str) -> None:
        self._notice(f"{name}: finishing what is in flight")
        self._the_engine().stop(Interrupted(f"stopped by {name}{RESUME}"))


def engine_config(sending: SendingOptions) -> EngineConfig:
    """What a backfill sends with. Raises ConfigurationError for a base URL that is none."""
    settings = EngineSettings(
        check_base_url(sending.base_url), sending.rate, sending.concurrency, sending.give_up_after, http=sending.http
    )
    return EngineConfig(settings, sending.api_key_env, sending.api_key_secret, sending.rate_service)
