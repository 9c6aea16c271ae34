"""The report of a job, made from its staging database: the same after a resume as without one."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill.output_folder import decoded
from beam_talonone.pipelines.backfill.sending.outcome_counts import OutcomeCounts, outcome_counts
from beam_talonone.pipelines.backfill.staging import get_meta
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas.kinds import KINDS, LETTERS, LOOKUPS, RECORDS
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.requests.outcome import DONE, End
from beam_talonone.talonone.requests.output_lines import rfc3339
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.telemetry.stats import Latencies, OperationStats, Stats

NAMES_SHOWN = 20

WARNING = "warning"
"""The note in the staging database about what a mapping reads in vain."""

CUT = "cut"
"""The note in the staging database that a run ended without its last statistics."""

NOT_COUNTED = (
    "a run was killed: the outcomes are complete, but the requests, answers and latencies of its last moments are not"
    " counted"
)


def make_report(
    connection: Any, job: str, rate: float, started: float, ended: float, rate_service: str | None = None
) -> dict[str, Any]:
    """report.json as a value. `rate` in requests a second, times in seconds since 1970. Where a `rate_service`
    (HOST:PORT) shared out the rate, it is named: `rate` was then the most of each process."""
    # of a replay, what is no dead letter has no kind of its own
    read_kinds = (get_meta(connection, "kinds") or "").split()
    outcomes_counted = outcome_counts(connection)
    possible = {kind: _kind(outcomes_counted, kind) for kind in (*KINDS, RECORDS, LETTERS, LOOKUPS)}
    kinds = {kind: counts for kind, counts in possible.items() if counts["read"] or kind in read_kinds}
    stats = all_stats(connection)
    outcomes = ("filtered", "applied", "superseded", "duplicate", "skipped", "dead_lettered")
    read = sum(counts["read"] for counts in kinds.values())
    seconds = connection.execute("SELECT COALESCE(SUM(seconds), 0) FROM stats").fetchone()[0]
    return {
        "job": job,
        "kinds": kinds,
        "operations": stats.report(),
        "rate": rate,
        **({} if rate_service is None else {"rate_service": rate_service}),
        "requests_per_second": round(stats.requests / max(seconds, 1.0), 2),
        "started": rfc3339(started),
        "ended": rfc3339(ended),
        "reasons": _reasons(outcomes_counted),
        **({"filtered_by": rules} if (rules := _reasons(outcomes_counted, filtered=True)) else {}),
        "unknown_names": _unknown_names(connection, "unknown", "kind"),
        "unknown_api_fields": _unknown_names(connection, "unknown_api", "operation"),
        **({"warnings": warnings} if (warnings := _warnings(connection)) else {}),
        "remaining": 0,
        "unaccounted": read - sum(counts[name] for counts in kinds.values() for name in outcomes),
    }


def _kind(counts: OutcomeCounts, kind: str) -> dict[str, int]:
    ends: Counter[str] = Counter()
    reused = by_rule = 0
    for way, records in counts.ended.items():
        if way.kind == kind:
            ends[way.end] += records
            reused += records if way.mapped and way.stage == Stage.VALIDATE.value else 0
            # what a mapping filters was never made into work
            by_rule += records if not way.mapped and way.end == End.FILTERED.value else 0
    read = counts.read[kind]
    filtered = ends[End.FILTERED.value]
    invalid = read - counts.mapped[kind] - by_rule + reused
    return {
        "read": read,
        "invalid": invalid,
        "filtered": filtered,
        "mapped": read - invalid - filtered,
        "applied": sum(ends[end] for end in DONE),
        "superseded": ends[End.SUPERSEDED.value],
        "duplicate": ends[End.DUPLICATE.value],
        "skipped": ends[End.SKIPPED.value],
        "dead_lettered": ends[End.DEAD.value],
        "unknown_fields": counts.unknown_fields[kind],
    }


def _reasons(counts: OutcomeCounts, *, filtered: bool = False) -> dict[str, dict[str, int]]:
    """Dead letters and skipped records by kind and reason; with `filtered` records by the rule that filtered them."""
    totals: Counter[tuple[str, str]] = Counter()
    for way, records in counts.ended.items():
        if way.reason and (way.end == End.FILTERED.value) == filtered:
            totals[way.kind, way.reason] += records
    reasons: dict[str, dict[str, int]] = {}
    for (kind, reason), records in sorted(totals.items()):
        reasons.setdefault(kind, {})[reason] = records
    return reasons


def _warnings(connection: Any) -> list[str]:
    cut = [] if get_meta(connection, CUT) is None else [NOT_COUNTED]
    return [*filter(None, (get_meta(connection, WARNING),)), *cut]


def _unknown_names(connection: Any, table: str, by: str) -> dict[str, dict[str, int]]:
    """The commonest names of a table, by kind of records or operation, with in how many records they stood."""
    counts: dict[str, dict[str, int]] = {}
    rows = connection.execute(f"SELECT {by}, name, records FROM {table} ORDER BY {by}, records DESC, name")  # nosec B608
    for kind, name, records in rows:
        names = counts.setdefault(kind, {})
        if len(names) < NAMES_SHOWN:
            names[name] = records
    return counts


def all_stats(connection: Any) -> Stats:
    """What all processes of the job sent, added up."""
    total = Stats()
    for (value,) in connection.execute("SELECT value FROM stats"):
        add_stats(total, msgspec.json.decode(value, type=Stats, strict=False))
    return total


def add_stats(total: Stats, more: Stats) -> None:
    """Add `more` to `total`."""
    for name, stats in more.operations.items():
        into = total.operations.setdefault(name, OperationStats())
        into.requests += stats.requests
        into.retries += stats.retries
        for status, count in stats.statuses.items():
            into.statuses[status] = into.statuses.get(status, 0) + count
        _add_latencies(into.latencies, stats.latencies)


def _add_latencies(total: Latencies, more: Latencies) -> None:
    for bucket, count in more.counts.items():
        total.counts[bucket] = total.counts.get(bucket, 0) + count


def read_report(path: Path) -> dict[str, Any]:
    """The report of a job that has ended; one that has sent a part, with --limit, has `remaining`. Raises Damaged."""
    report = decoded(path.read_bytes(), path)
    counts = report.get("kinds") if isinstance(report, dict) else None
    if not isinstance(counts, dict) or not isinstance(report.setdefault("remaining", 0), int):
        raise damaged(path, "")
    if report.get("unaccounted") != 0 or not all(isinstance(count, dict) for count in counts.values()):
        raise damaged(path, "")
    return dict(report)


def check_summary(report: dict[str, Any], output: str) -> None:
    """Raises StopRun when the outcomes are not as many as the records: the job in `output` is not finished then."""
    left = abs(report["unaccounted"])
    if left:
        raise StopRun(
            f"{counted(left, 'record')} {'is' if left == 1 else 'are'} unaccounted for: the files in {output} do not"
            " show all outcomes, so no report.json was written; go on with --resume"
        )


def ignored(names: dict[str, int]) -> str:
    """Names of ignored fields with their counts, for a line of text."""
    return ", ".join(f"{name} in {count:,}" for name, count in names.items())
