"""verify: what a backfill of the input leads to is read back from the API, and each difference is reported."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.job import JobRun
from beam_talonone.pipelines.backfill.job_kind import Files, JobKind, Report, backfill_report, no_kinds
from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob
from beam_talonone.pipelines.terminal.console import console_for, print_line, run_shown
from beam_talonone.pipelines.terminal.exit_codes import DEAD_LETTERS, FINISHED
from beam_talonone.pipelines.terminal.progress.show import Progress
from beam_talonone.pipelines.terminal.summary import NO_EXAMPLES, WIDTH, Examples, details, table
from beam_talonone.pipelines.verify import targets
from beam_talonone.pipelines.verify.read_back import AGREE, DIFFER, DIFFERENCES, read_back

ENDS = ("filtered", "superseded", "duplicate", "dead_lettered", AGREE, DIFFER)
"""How a record ends here."""


def verify_job(options: BackfillOptions, notice: Callable[[str], None]) -> JobRun:
    """A job that stages its input as a backfill does, and reads the sessions and customers to which that would send.

    Raises ConfigurationError for a base URL that is none.
    """
    kind = JobKind(
        doing="reading back", things="sessions and customers", after_reading=_list_targets,
        count_query="SELECT COUNT(*) FROM targets", count_kinds=no_kinds, send=read_back, report=_report,
    )  # fmt: skip
    return JobRun(options, notice, kind)


def _list_targets(folder: JobFolder, files: Files, staged: int) -> int:
    with closing(staging.reopen(folder.staging)) as connection:
        return targets.list_targets(connection)


def _report(job: ActiveJob) -> Report:
    return verified(job.connection, backfill_report(job))


def verified(connection: Any, report: Report) -> Report:
    """Turn the report of a backfill into that of a verification, with the counts of the same staging database."""
    for kind, counts in report["kinds"].items():
        report["kinds"][kind] = _counts_verified(connection, kind, counts)
    open_records = sum(counts["read"] - sum(counts[end] for end in ENDS) for counts in report["kinds"].values())
    differences: dict[str, dict[str, int]] = {}
    for kind, field, count in connection.execute(
        "SELECT kind, field, COUNT(*) FROM differences GROUP BY kind, field ORDER BY kind, field"
    ):
        differences.setdefault(kind, {})[field] = count
    return {**report, "differences": differences, "unaccounted": open_records}


def _counts_verified(connection: Any, kind: str, counts: dict[str, int]) -> dict[str, int]:
    """The counts of a kind as a verification has them, from those of a backfill."""
    ends = dict(
        connection.execute(
            "SELECT end, COUNT(*) FROM fates JOIN records USING (rec) WHERE kind = ? GROUP BY end", (kind,)
        ).fetchall()
    )
    agree, differ = ends.get(AGREE, 0), ends.get(DIFFER, 0)
    kept = ("read", "invalid", "filtered", "superseded", "duplicate", "dead_lettered", "unknown_fields")
    return {name: counts[name] for name in kept} | {"checked": agree + differ, "agree": agree, "differ": differ}


def run_verify(options: BackfillOptions, progress: Progress = "auto") -> int:
    """Run a verification with progress and report on stderr; returns the exit code.

    It is 3 if a record differs, could not be read or is invalid, else 0.
    """
    console = console_for(progress)
    report = run_shown(console, verify_job, options, summary_lines, progress)
    kinds = report["kinds"].values()
    if any(counts["differ"] for counts in kinds):
        print_line(console, f"the differences: {options.output / DIFFERENCES}")
    if any(counts["dead_lettered"] for counts in kinds):
        print_line(console, f"records not checked, with reasons: {options.output / 'dead-letters'}")
    return DEAD_LETTERS if any(counts["differ"] or counts["dead_lettered"] for counts in kinds) else FINISHED


def summary_lines(report: dict[str, Any], examples: Examples = NO_EXAMPLES, width: int = WIDTH) -> list[str]:
    """The report for a person at the end of a run, as lines of text."""
    lines = table(report, ("read", "agree", "differ", "superseded", "duplicate", "filtered", "dead_lettered"))
    for kind, fields in report["differences"].items():
        lines.append(f"{kind} differ in: " + ", ".join(f"{field} {count:,}" for field, count in fields.items()))
    if _no_order_found(report):
        lines.append("none of the orders was found: check the path and the deployment of --base-url")
    return [*lines, *details(report, examples, width)]


def _no_order_found(report: dict[str, Any]) -> bool:
    checked = report["kinds"].get("orders", {}).get("checked", 0)
    absent = report["differences"].get("orders", {}).get("session", 0)
    return bool(checked) and absent == checked
