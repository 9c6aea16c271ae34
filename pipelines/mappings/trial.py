"""`mappings try`: each document of a sample, the records that a mapping makes of it, and their requests."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from beam_talonone.pipelines.mappings.coverage import coverage_of
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.transforms.mapping.result import MappedRecord, Mapping

MAX_LINES = 60
"""Of one JSON text; the rest is left out, with its number of lines."""

MAX_PROBLEMS = 20
"""Problems that are listed."""

_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")
"""What differs between details about the same problem: values and numbers."""


def try_mapping(mapping: Mapping, documents: list[Any], show: int) -> tuple[list[str], bool]:
    """The lines to print for the first `show` documents and a summary of all, and whether all became valid records.

    >>> from beam_talonone.transforms.mapping.resolve import resolve_mapping
    >>> lines, valid = try_mapping(resolve_mapping("shopify"), [{"topic": "ping"}], show=0)
    >>> (lines[-1], valid)
    ('1 document: 0 records, 1 filtered, 0 invalid, 0 documents not mapped', True)
    """
    lines: list[str] = []
    problems = _Problems()
    coverage = coverage_of(mapping)
    records = filtered = invalid = failed = 0
    for number, document in enumerate(documents, 1):
        result = mapping(document)
        coverage.add(document, result)
        shown = [f"document {number}", *_pretty(document)]
        failed += result.failure is not None
        if result.failure is not None:
            at = f" (at {result.failure.pointer})" if result.failure.pointer else ""
            shown.append(f"  not mapped: {result.failure.detail}{at}")
            problems.add("not mapped", result.failure.reason, result.failure.detail, number)
        for left_out in result.filtered:
            filtered += 1
            shown.append(f"  filtered: {left_out.kind}: {left_out.rule}")
        for record in result.records:
            records += 1
            made, problem = _record(record)
            invalid += problem is not None
            shown += made
            if problem is not None:
                problems.add(f"{record.kind} invalid", problem.reason, _told(problem), number)
        if number <= show:
            lines += [*shown, ""]
    lines += coverage.lines_of(mapping)
    lines += problems.lines()
    lines.append(
        f"{counted(len(documents), 'document')}: {counted(records, 'record')}, {filtered:,} filtered,"
        f" {invalid:,} invalid, {counted(failed, 'document')} not mapped"
    )
    return lines, not invalid and not failed


class _Problems:
    """Counts what is wrong with the documents of a sample, with the first example of each."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._examples: dict[tuple[str, str, str], str] = {}

    def add(self, what: str, reason: Reason, detail: str, document: int) -> None:
        """Count a problem. Details that differ only in their values are one problem."""
        key = (what, reason.value, _VALUES.sub("", detail))
        self._counts[key] += 1
        self._examples.setdefault(key, f"{detail} (first in document {document:,})")

    def lines(self) -> Iterator[str]:
        """The problems, the commonest first."""
        for key, count in self._counts.most_common(MAX_PROBLEMS):
            yield f"{count:,} {key[0]}, {key[1]}: {self._examples[key]}"
        if len(self._counts) > MAX_PROBLEMS:
            yield f"... and {len(self._counts) - MAX_PROBLEMS:,} other problems"


def _record(record: MappedRecord) -> tuple[list[str], InvalidRecord | None]:
    lines = [f"  record {record.part}", *_pretty(record.fields, "    ")]
    try:
        work = build(record.kind, parse(record.kind, record.fields, AS_USUAL).record, BuildOptions())
    except InvalidRecord as error:
        return [*lines, f"    invalid: {error.reason}: {_told(error)}"], error
    for part in work.parts:
        request = part.request
        lines.append(f"    request {request.operation} {json.dumps(request.path)}")
        if request.body is not None:
            lines += _pretty(jsonio.loads_around(request.body), "      ")
    return lines, None


def _told(problem: InvalidRecord) -> str:
    return f"{problem.pointer or ''} {problem.detail}".strip()


def _pretty(value: Any, indent: str = "  ") -> Iterator[str]:
    text = msgspec.json.format(jsonio.dumps(value), indent=2).decode()
    lines = text.splitlines()
    yield from (indent + line for line in lines[:MAX_LINES])
    if len(lines) > MAX_LINES:
        yield f"{indent}... {len(lines) - MAX_LINES:,} more lines"
