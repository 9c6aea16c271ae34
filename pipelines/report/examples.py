"""The first dead letters of each reason, read from their files in one pass, in constant memory."""

from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.dead_letters.aggregate import place_of
from beam_talonone.pipelines.report.model import Example, ReasonGroup
from beam_talonone.schemas import jsonio

EXAMPLES = 20
"""Of a kind, stage and reason."""

LONGEST_TEXT = 2_000
"""Characters of an example that are shown."""

LONGEST_VALUE = 200
"""Characters of an id, a place and a detail that are shown."""

MOST_CHARACTERS = 400_000
"""Of all examples together, which bounds the page."""

LARGEST_INDENTED = 50_000
"""Bytes of a line that is broken into several before its beginning is shown."""

Key = tuple[str, str, str]
"""Kind, stage and reason."""


class _Head(msgspec.Struct):
    kind: str
    reason: str
    stage: str = ""


def dead_letter_lines(folder: Path, without: Set[str] = frozenset()) -> Iterator[bytes]:
    """The lines of dead-letters/*.jsonl in the folder of a job: the files by name, one line in memory at a time.
    Files with a name in `without`, such as `slice-000002`, are left out."""
    for path in sorted((folder / "dead-letters").glob("*.jsonl")):
        if path.stem not in without:
            with path.open("rb") as lines:
                yield from lines


def reason_groups(lines: Iterable[bytes], counts: Mapping[Key, int] | None) -> tuple[ReasonGroup, ...]:
    """The groups of dead letters, the largest first, with examples from `lines`. Without `counts`, all lines are read
    and counted; with them, reading ends when each group has its examples."""
    counted: dict[Key, int] = {}
    examples: dict[Key, list[Example]] = {}
    missing = None if counts is None else sum(min(count, EXAMPLES) for count in counts.values())
    for line in lines:
        if missing == 0:
            break
        try:
            head = msgspec.json.decode(line, type=_Head)
        except (msgspec.DecodeError, UnicodeError):
            continue
        key = head.kind, head.stage, head.reason
        counted[key] = counted.get(key, 0) + 1
        if len(of_key := examples.setdefault(key, [])) < EXAMPLES:
            of_key.append(example_of(line))
            missing = missing - 1 if missing is not None and key in (counts or {}) else missing
    totals = counted if counts is None else counts
    order = sorted(totals, key=lambda key: (-totals[key], key))
    shown = _within_budget({key: examples.get(key, []) for key in order})
    return tuple(ReasonGroup(*key, totals[key], tuple(shown[key])) for key in order)


def _within_budget(examples: Mapping[Key, list[Example]]) -> dict[Key, list[Example]]:
    """The first example of each group, then the second of each, and so on, until they are long enough together."""
    shown: dict[Key, list[Example]] = {key: [] for key in examples}
    left = MOST_CHARACTERS
    for place in range(EXAMPLES):
        for key, of_key in examples.items():
            if place < len(of_key) and left > 0:
                shown[key].append(of_key[place])
                left -= len(of_key[place].text)
    return shown


def example_of(line: bytes) -> Example:
    """A dead letter (one line of JSON) as it is shown."""
    parts = jsonio.parts(line)
    indented = bytes(msgspec.json.format(line)) if len(line) <= LARGEST_INDENTED else line.strip()
    return Example(
        cut(_text(parts.get("id")), LONGEST_VALUE), cut(place_of(_value(parts.get("source"))), LONGEST_VALUE),
        cut(_text(parts.get("detail")), LONGEST_VALUE), cut(indented.decode("utf-8", "replace"), LONGEST_TEXT),
    )  # fmt: skip


def cut(text: str, longest: int) -> str:
    """`text`, or its beginning with the number of all its characters.

    >>> cut("abcdef", 3)
    'abc… (6 characters)'
    """
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def _value(part: bytes | None) -> Any:
    try:
        return None if part is None else jsonio.loads(part)
    except ValueError:
        return part.decode("utf-8", "replace") if part else None


def _text(part: bytes | None) -> str:
    value = _value(part)
    return "" if value is None else str(value)
