"""The summary of dead letters as lines of text."""

from collections.abc import Iterator

from beam_talonone.pipelines.dead_letters.aggregate import Counts, DeadLetterGroup, DeadLetterSummary
from beam_talonone.schemas.reasons import Reason

MOST_LINES = 10
"""Fields and files of a group that are listed."""

MEANINGS = {reason.value: reason.meaning for reason in Reason}


def summary_lines(summary: DeadLetterSummary) -> Iterator[str]:
    """A table of all groups, then each group with its fields, files and examples."""
    groups = summary.groups()
    rows = [(f"{group.count:,}", group.kind, group.stage, group.reason) for group in groups]
    yield from _table([("count", "kind", "stage", "reason"), *rows])
    for group in groups:
        yield ""
        yield from _group_lines(group)


def _table(rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for count, *texts in rows:
        cells = [count.rjust(widths[0]), *(text.ljust(width) for text, width in zip(texts, widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()


def _group_lines(group: DeadLetterGroup) -> Iterator[str]:
    meaning = MEANINGS.get(group.reason)
    title = ", ".join(name for name in (group.kind, group.stage, group.reason) if name)
    yield f"{title}: {meaning}" if meaning else title
    yield from _counted("field", group.fields)
    yield from _counted("file", group.files)
    for example in group.examples:
        yield f"  example {example.id or '(no id)'} at {example.place or '(no place)'}: {example.detail}"
    for problem, count in group.not_replayed.top(MOST_LINES):
        yield f"  not replayed {count:,}: {problem}"
    if group.unmapped:
        yield f"  replayed with --mapping {group.unmapped:,}: a mapping made these records"


def _counted(name: str, counts: Counts) -> Iterator[str]:
    shown = counts.top(MOST_LINES)
    for value, count in shown:
        yield f"  {name} {value or '(none)'} {count:,}"
    hidden = len(counts) - len(shown)
    if hidden or counts.others:
        rest = sum(count for _, count in counts.top()[MOST_LINES:]) + counts.others
        number = f"{hidden:,}" if not counts.others else f"more than {hidden:,}"
        yield f"  {name}s: {number} {'other' if number == '1' else 'others'} {rest:,}"
