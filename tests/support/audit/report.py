"""What a run wrote: dead letters against the input, the report against both, results against the outcomes."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .final import Found
from .match import Record
from .records import Line, canon, loads

BEFORE_SENDING = frozenset({"decode", "map", "validate"})
ABOUT_OTHER_RECORDS = frozenset({"id_reused", "order_dead_lettered"})
"""Reasons that refuse a record which is valid by itself."""
OUTCOMES = ("filtered", "applied", "superseded", "duplicate", "skipped", "dead_lettered")


def read_jsonl(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for raw in file:
                yield loads(raw)


def attach_letters(
    output: Path, lines: Sequence[Line], found: Found
) -> tuple[dict[int, Mapping[str, Any]], Counter[str]]:
    """The dead letter of each line (by the line's id()), and by kind how many are about a file instead of a line.

    Each must name one input line, hold that line's record, and be the only one of it.
    """
    by_place = {(line.kind, Path(line.file).name, line.position): line for line in lines}
    dead_letters: dict[int, Mapping[str, Any]] = {}
    of_files: Counter[str] = Counter()
    for dead_letter in read_jsonl(output / "dead-letters"):
        if dead_letter["reason"] == "unreadable_file":
            of_files[dead_letter["kind"]] += 1
            continue
        source = dead_letter["source"]
        line = by_place.get((dead_letter["kind"], Path(str(source.get("file"))).name, source.get("position")))
        if line is None:
            found("dead_letter", f"a dead letter ({dead_letter['reason']}) names {source}, where no record is")
            continue
        if id(line) in dead_letters:
            found("dead_letter", f"{line} has two dead letters")
        dead_letters[id(line)] = dead_letter
        if not line.typed and not _is_record(dead_letter.get("record"), line.raw):
            found(
                "dead_letter",
                f"the dead letter of {line} holds another record: {canon(dead_letter.get('record'))[:200]}",
            )
        if (
            line.problem is None
            and dead_letter["stage"] in BEFORE_SENDING
            and dead_letter["reason"] not in ABOUT_OTHER_RECORDS
        ):
            found(
                "dead_letter",
                f"{line} is valid, and was refused before sending: {dead_letter['reason']},"
                f" {dead_letter.get('detail')}",
            )
        elif line.problem is not None and dead_letter["stage"] not in BEFORE_SENDING:
            found("dead_letter", f"{line} is invalid ({line.problem}), and was refused only by the API")
    dead_orders = {line.id for line in lines if line.kind == "orders" and id(line) in dead_letters}
    for line in lines:
        reason = dead_letters.get(id(line), {}).get("reason")
        if reason == "order_dead_lettered" and line.session not in dead_orders:
            found("dead_letter", f"{line} is called order_dead_lettered, but no record of its order is a dead letter")
    return dead_letters, of_files


def _is_record(record: Any, raw: bytes) -> bool:
    try:
        return canon(loads(raw)) == canon(record)
    except (ValueError, RecursionError):
        return isinstance(record, str) and record.strip() == raw.decode(errors="replace").strip()


def check_report(
    output: Path,
    lines: Mapping[str, int],
    outcomes: Mapping[str, Counter[str]],
    of_files: Counter[str],
    found: Found,
    balances_only: bool,
) -> None:
    """report.json must balance, and agree with what the input, the ledger and the dead letters say.

    `lines`, `outcomes` and `of_files` (dead letters of whole files) are by kind. With `balances_only` the outcomes
    are not compared: a dry run has no ledger.
    """
    report = json.loads((output / "report.json").read_bytes())
    if report.get("unaccounted") != 0:
        found("unaccounted", f"unaccounted is {report.get('unaccounted')}, not 0")
    dead_letters = Counter(dead_letter["kind"] for dead_letter in read_jsonl(output / "dead-letters"))
    for kind in sorted({*lines, *dead_letters, *report["kinds"]}):
        reported = report["kinds"].get(kind, dict.fromkeys(("read", *OUTCOMES), 0))
        ended = sum(reported[name] for name in OUTCOMES)
        if reported["read"] != ended:
            found("report", f"{kind}: {reported['read']} read, but {ended} ended")
        if not lines.get(kind, 0) <= reported["read"] <= lines.get(kind, 0) + of_files[kind]:
            found("report", f"{kind}: {reported['read']} read, but the input has {lines.get(kind, 0)}")
        if reported["dead_lettered"] != dead_letters[kind]:
            found(
                "report", f"{kind}: {reported['dead_lettered']} dead-lettered, but {dead_letters[kind]} dead letters"
            )
        if balances_only:
            continue
        counted = outcomes[kind]
        applied = counted["applied"] + counted["already_applied"]
        for name, number in (("applied", applied), ("skipped", counted["skipped"]), ("superseded", 0)):
            if reported[name] != number:
                found("report", f"{kind}: {reported[name]} {name}, but by the ledger {number}")
        # a copy of a record that --since or --until leaves out is either of both
        left_out = counted["filtered"] + counted["duplicate"]
        if reported["filtered"] + reported["duplicate"] != left_out or reported["duplicate"] < counted["duplicate"]:
            found(
                "report",
                f"{kind}: {reported['filtered']} filtered and {reported['duplicate']} duplicate, but by the input"
                f" {counted['filtered']} and {counted['duplicate']}",
            )


def check_results(output: Path, records: Iterable[Record], found: Found) -> None:
    """results/*.jsonl must have one line for each record that was applied, or applied already."""
    reported: Counter[tuple[str, str, str]] = Counter()
    for row in read_jsonl(output / "results"):
        reported[row["kind"], str(row["id"]), row["outcome"]] += 1
    real = Counter(
        (record.line.kind, record.line.id, record.outcome)
        for record in records
        if record.outcome in ("applied", "already_applied")
    )
    for (kind, id, outcome), number in (reported - real).items():
        found("results", f"{number} lines too many say that {kind} {id!r} was {outcome}")
    for (kind, id, outcome), number in (real - reported).items():
        found("results", f"{number} lines are missing that {kind} {id!r} was {outcome}")
