"""What makes a kind of job: a backfill, a replay, a lookup, a verification.

All of them run the same steps (pipelines.backfill.job): they stage the input, send, and write a report. A kind passes
a function for each step that it does in its own way.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.report import make_report
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob
from beam_talonone.pipelines.backfill.sending.left_to_send import Kinds, count_kinds
from beam_talonone.pipelines.backfill.sending.outcome_counts import count_unsent
from beam_talonone.pipelines.backfill.sending.send_slices import send_slices
from beam_talonone.transforms.sources.opening import FileInfo

Files = dict[str, list[FileInfo]]
"""The matched files of each kind of records."""

Report = dict[str, Any]
"""report.json as a value."""


def _no_check() -> None:
    pass


def _as_matched(folder: JobFolder, options: InputOptions, files: Files) -> tuple[InputOptions, Files]:
    return options, files


def _all_staged(folder: JobFolder, files: Files, staged: int) -> int:
    return staged


def backfill_report(job: ActiveJob) -> Report:
    """The report of a job that sends its queue; what --limit has left counts as `remaining`."""
    sending, started = job.options.sending, job.folder.manifest["started"]
    report = make_report(job.connection, job.folder.job, sending.rate, started, time.time(), sending.rate_service)
    if job.options.limit is not None:
        report["remaining"] = count_unsent(job.connection)
        report["unaccounted"] -= report["remaining"]
    return report


def no_kinds(connection: Connection) -> Kinds:
    """The counts by kind of a job whose things have no kinds."""
    return {}


def _nothing_to_say(job: ActiveJob, report: Report) -> None:
    pass


@dataclass(frozen=True)
class JobKind:
    """The steps of a job, in the order in which they run. The defaults are those of a backfill."""

    doing: str = "sending"
    things: str = "records"
    """Two phrases for the progress: what the job does, and with what."""
    check: Callable[[], None] = _no_check
    """Checks the options before anything else is opened. Raises ConfigurationError."""
    select_input: Callable[[JobFolder, InputOptions, Files], tuple[InputOptions, Files]] = _as_matched
    """Which input is read, out of what the options say and match. Called in each run, resumed ones too."""
    after_reading: Callable[[JobFolder, Files, int], int] = _all_staged
    """Given the number of records in the queue, completes the staging database; returns how many things are to do."""
    count_query: str = "SELECT COUNT(*) FROM queue"
    """Counts in the staging database what `after_reading` has returned."""
    count_kinds: Callable[[Connection], Kinds] = count_kinds
    """Counts the same by kind: how many are done, of how many. Empty where it has no kinds."""
    send: Callable[[ActiveJob], None] = send_slices
    report: Callable[[ActiveJob], Report] = backfill_report
    finished: Callable[[ActiveJob, Report], None] = _nothing_to_say
    """The report is written; the staging database is closed."""


BACKFILL = JobKind()
