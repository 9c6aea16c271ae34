"""The end of a run for the person at the terminal: report.json as lines of text. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from beam_talonone.pipelines.backfill.report import ignored
from beam_talonone.pipelines.dead_letters.aggregate import Example
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas.reasons import Reason, Skip
from beam_talonone.transforms.mapping.result import NO_RULE

Examples = Mapping[tuple[str, str], Example]
"""The first dead letter of each kind and reason."""

NO_EXAMPLES: Examples = MappingProxyType({})

OUTCOMES = {
    "superseded": "this version or a newer one was applied before, so nothing was sent",
    "duplicate": "the same record came before",
    "skipped": "nothing had to be sent, and nothing is wrong",
    "filtered": "left out by an option or by the mapping",
}
"""The outcomes whose names do not say what happened."""

SKIPS = {
    Skip.NOTHING_TO_CANCEL: "a cancelled order that the API does not have",
    Skip.NOT_DRY: "the API cannot try this request without effect",
    Skip.ORDER_NOT_SENT: "it follows on an order of the same dry run",
    Skip.NOTHING_TO_REPLAY: "a dead letter without a record, such as an unreadable file",
    Skip.PART_BEFORE_REFUSED: "it builds on a refused request",
}

TRIED_AGAIN = (
    (("429",), "after 429 (too many requests)"),
    (("500", "501", "502", "503", "504"), "after an error of the API (5xx)"),
    (("none",), "without an answer"),
    (("408", "409", "425"), "after a timeout or a conflict (408, 409, 425)"),
)
"""The answers after which a request is sent again, where that is safe, and their cause."""

COLUMNS = ("read", "applied", "superseded", "duplicate", "skipped", "filtered", "dead_lettered")

WIDTH = 100
"""Characters of a line that quotes a dead letter, where there is no terminal."""


def summary_lines(
    report: Mapping[str, Any],
    examples: Examples = NO_EXAMPLES,
    width: int = WIDTH,
    columns: tuple[str, ...] = COLUMNS,
) -> list[str]:
    """The counts and their meaning, dead letters with `examples` of at most `width` characters, and requests."""
    return [*table(report, columns, width), *details(report, examples, width), *remaining(report)]


def details(report: Mapping[str, Any], examples: Examples = NO_EXAMPLES, width: int = WIDTH) -> list[str]:
    """All lines below the counts."""
    return [
        *explanations(report),
        *_dead_letters(report, examples, width),
        *_unknown(report),
        *_requests(report),
    ]


def table(report: Mapping[str, Any], columns: tuple[str, ...], width: int = WIDTH) -> list[str]:
    """The counts in `columns`, a line for each kind. Beyond `width`, columns of zeros are left out."""
    full = _table(report, columns)
    if len(full[0]) <= width:
        return full
    kinds = report["kinds"].values()
    return _table(report, tuple(name for name in columns if any(counts[name] for counts in kinds)))


def _table(report: Mapping[str, Any], columns: tuple[str, ...]) -> list[str]:
    heads = ("", *("dead letters" if name == "dead_lettered" else name for name in columns))
    rows = [(kind, *(f"{counts[name]:,}" for name in columns)) for kind, counts in report["kinds"].items()]
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]


def remaining(report: Mapping[str, Any]) -> list[str]:
    """A line about the records that --limit has left; none if there are none."""
    left = report.get("remaining", 0)
    if not left:
        return []
    remain = "remains" if left == 1 else "remain"
    return [f"{counted(left, 'record')} {remain} because of --limit: check the results, and go on with --resume"]


def explanations(report: Mapping[str, Any]) -> list[str]:
    """What the counts mean whose names do not say so, and why records were filtered or skipped. Reasons of dead
    letters, which the report counts beside those of skipped records, are left out."""
    return [*_meanings(report), *_filtered(report), *_skipped(report)]


def _meanings(report: Mapping[str, Any]) -> Iterator[str]:
    for name, meaning in OUTCOMES.items():
        if any(counts.get(name) for counts in report["kinds"].values()):
            yield f"{name}: {meaning}"


def why_filtered(rule: str) -> str:
    """Why a rule left records out.

    >>> why_filtered("--only naive_time"), why_filtered("no test order")
    ('left out by --only naive_time', 'condition not met: no test order')
    """
    if rule == NO_RULE:
        return "no rule of the mapping makes a record of it"
    return f"left out by {rule}" if rule.startswith("--") else f"condition not met: {rule}"


def _filtered(report: Mapping[str, Any]) -> Iterator[str]:
    for kind, rules in report.get("filtered_by", {}).items():
        for rule, count in rules.items():
            yield f"  {_of_kind(count, kind)} filtered: {why_filtered(rule)}"


def _skipped(report: Mapping[str, Any]) -> Iterator[str]:
    for kind, reason, count in _reasons(report):
        if reason in SKIPS:
            yield f"  {_of_kind(count, kind)} skipped, {reason}: {SKIPS[Skip(reason)]}"


def _dead_letters(report: Mapping[str, Any], examples: Examples, width: int) -> Iterator[str]:
    dead = [(kind, reason, count) for kind, reason, count in _reasons(report) if reason not in SKIPS]
    if dead:
        yield "dead letters by reason, with the first of each:"
    for kind, reason, count in sorted(dead, key=lambda entry: -entry[2]):
        meaning = Reason(reason).meaning if reason in Reason._value2member_map_ else ""
        yield f"  {_of_kind(count, kind)} {reason}{f': {meaning}' if meaning else ''}"
        example = examples.get((kind, reason))
        if example is not None:
            which = " ".join(filter(None, (example.id, f"({example.place})")))
            yield cut(f"    {which}: {example.detail}" if example.detail else f"    {which}", width)


def _unknown(report: Mapping[str, Any]) -> Iterator[str]:
    yield from report.get("warnings", ())
    for kind, names in report["unknown_names"].items():
        yield f"{kind}: fields that are not known were ignored: {ignored(names)}"
    for operation, names in report.get("unknown_api_fields", {}).items():
        yield f"{operation}: sent although not known: {ignored(names)}"


def _requests(report: Mapping[str, Any]) -> Iterator[str]:
    operations = report["operations"]
    statuses: Counter[str] = Counter()
    for entry in operations.values():
        statuses.update(entry["statuses"])
    if statuses:
        shown = (f"{statuses[status]:,} x {status}" for status in sorted(statuses))
        yield f"answers: {', '.join(shown)}".replace("x none", "without an answer")
    causes = ((sum(statuses[status] for status in group), why) for group, why in TRIED_AGAIN)
    if again := [f"{count:,} {why}" for count, why in causes if count]:
        yield f"tried again where that is safe: {', '.join(again)}"
    requests = sum(entry["requests"] for entry in operations.values())
    retries = sum(entry["retries"] for entry in operations.values())
    yield (
        f"{counted(requests, 'request')}, {retries:,} of them {'a retry' if retries == 1 else 'retries'};"
        f" {report['requests_per_second']:g} a second {allowed(report)}; unaccounted {report['unaccounted']}"
    )


def allowed(report: Mapping[str, Any]) -> str:
    """The allowed rate, in words, beside the requests a second that were sent."""
    rate, service = f"{report['rate']:g}", report.get("rate_service")
    if service is None:
        return f"of {rate} allowed"
    return f"of what the rate limit service at {service} granted, {rate} at most for each process"


def cut(line: str, width: int) -> str:
    """`line` with single spaces for line ends, and at most `width` characters.

    >>> cut("abc  def", 6), cut("abc", 3)
    ('abc...', 'abc')
    """
    indent = line[: len(line) - len(line.lstrip(" "))]
    text = indent + " ".join(line.split())
    return text if len(text) <= width else text[: max(0, width - 3)].rstrip() + "..."


def _reasons(report: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    for kind, reasons in report["reasons"].items():
        for reason, count in reasons.items():
            yield kind, reason, count


def _of_kind(count: int, kind: str) -> str:
    """`count` with the singular or plural of a kind: "1 order"."""
    thing = "dead letter" if kind == "dead_letters" else kind.removesuffix("s")
    return counted(count, thing)
