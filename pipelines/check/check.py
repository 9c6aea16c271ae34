"""check: all of a backfill but the sending. It uses no network, except to read input files that are there."""

import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import READ_GRACE, ingest
from beam_talonone.pipelines.backfill.inputs import match_inputs
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.reading_ahead.observer import OBSERVERS
from beam_talonone.pipelines.backfill.report import make_report
from beam_talonone.pipelines.check.answers import EXAMPLES, Answers, Problem
from beam_talonone.pipelines.check.counting import count_requests, shown_requests
from beam_talonone.pipelines.check.facts import closing_lines, orphan_lines, shape_lines
from beam_talonone.pipelines.check.findings import Findings
from beam_talonone.pipelines.check.forecast import ForecastBlobs
from beam_talonone.pipelines.check.problem_fields import ProblemFields
from beam_talonone.pipelines.check.report_page import check_target, write_check_page
from beam_talonone.pipelines.check.temporary_folder import temporary_folder
from beam_talonone.pipelines.mappings.coverage import COVERAGE, ObservedMapping, coverage_of
from beam_talonone.pipelines.terminal.exit_codes import DEAD_LETTERS, FINISHED
from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas import jsonio
from beam_talonone.talonone.telemetry.logs import printable_json, printable_line
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sources.opening import FileInfo


def run_check(
    options: InputOptions, rate: float, show: int, beam_args: tuple[str, ...], report: Path | None = None
) -> int:
    """Print what a backfill of the input would send at `rate` requests a second; returns the exit code.

    The answers go to stderr, and as a page to the file `report`; the first `show` requests go to stdout. Raises
    ConfigurationError, and StopRun if the page cannot be written.
    """
    if report is not None:
        check_target(report)
    STOP.check()
    files = match_inputs(options, _say)
    answers = _answers(options, files, rate, show, beam_args)
    for request in answers.requests:
        print(printable_json(request))
    sys.stdout.flush()
    for line in answers.lines():
        _say(line)
    if report is not None:
        write_check_page(report, answers, files)
    STOP.check()
    return DEAD_LETTERS if answers.dead else FINISHED


def _say(line: str) -> None:
    print(printable_line(line), file=sys.stderr)  # names and values of the input may hold anything


def _answers(
    options: InputOptions, files: dict[str, list[FileInfo]], rate: float, show: int, beam_args: tuple[str, ...]
) -> Answers:
    mapping = options.mapping
    findings = Findings(coverage_of(mapping, sorted(options.joins)))
    with temporary_folder() as folder, PROCESS.scope() as scope:
        path = folder / "spool.sqlite"
        scope.enter(OBSERVERS, str(path), findings)
        if mapping is not None:
            scope.enter(COVERAGE, str(folder), findings.coverage)
            options = replace(options, mapping=ObservedMapping(mapping, str(folder)))
        blobs = ForecastBlobs(show, dry=options.dry)
        interruptible(partial(ingest, path, options, files, "check", beam_args, blobs), None, grace=READ_GRACE)
        with closing(staging.connect(path)) as connection:
            report = make_report(connection, "check", rate, 0.0, 0.0)
            operations, guests = count_requests(connection)
            return Answers(
                report,
                {kind: tuple(_problems(connection, kind, report, findings.fields)) for kind in report["kinds"]},
                operations,
                rate,
                tuple(_facts(connection, guests, dry=options.dry)),
                () if mapping is not None else tuple(shape_lines(connection, list(report["kinds"]))),
                () if mapping is None else tuple(findings.coverage.lines_of(mapping)),
                tuple(shown_requests(connection, show, dry=options.dry)),
            )


def _problems(connection: Any, kind: str, report: dict[str, Any], fields: ProblemFields) -> Iterator[Problem]:
    for reason, number in report["reasons"].get(kind, {}).items():
        yield Problem(reason, number, fields.listed(kind, reason), tuple(_examples(connection, kind, reason)))


def _examples(connection: Any, kind: str, reason: str) -> Iterator[str]:
    rows = connection.execute(
        "SELECT letter FROM fates JOIN records USING (rec) WHERE kind = ? AND reason = ? AND letter IS NOT NULL"  # nosec B608
        f" ORDER BY {staging.FILE_NAME}, position LIMIT ?",
        (kind, reason, EXAMPLES),
    )
    for (blob,) in rows:
        dead_letter = jsonio.loads_around(blob)
        place = dead_letter["source"]
        yield f"{place['file']}:{place['position']}: {dead_letter['detail']}"


def _facts(connection: Any, guests: int, *, dry: bool) -> Iterator[str]:
    if not dry:
        yield from closing_lines(connection)
    if guests:
        yield f"{counted(guests, 'order')} of guests: each gets a profile guest-<order_id>"
    yield from orphan_lines(connection)
    longest = connection.execute(
        "SELECT customer, COUNT(*) FROM queue JOIN records USING (rec) WHERE customer IS NOT NULL"
        " GROUP BY customer ORDER BY COUNT(*) DESC, customer LIMIT 1"
    ).fetchone()
    if longest:
        records = counted(longest[1], "record")
        yield f"the longest single customer is {longest[0]} with {records}, sent one after the other"
