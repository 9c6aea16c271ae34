"""Dead letters counted by kind, stage and reason, with their fields, files and first examples, in constant memory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_VALUES = 1000
"""Different values that a count keeps apart. Further ones are counted together."""

EXAMPLES = 3

_INDEX = re.compile(r"/\d+(?=/|$)")


class Counts:
    """How often each value occurs. Beyond `most` different values, the others are only counted together.

    >>> counts = Counts(most=2)
    >>> for value in ("a", "b", "c", "b", "d"):
    ...     counts.add(value)
    >>> (counts.top(), counts.others)
    ([('b', 2), ('a', 1)], 2)
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._counts: dict[str, int] = {}
        self.others = 0

    def add(self, value: str) -> None:
        """Count one more of `value`."""
        if value in self._counts or len(self._counts) < self._most:
            self._counts[value] = self._counts.get(value, 0) + 1
        else:
            self.others += 1

    def top(self, most: int | None = None) -> list[tuple[str, int]]:
        """The commonest values with their counts, all of them without `most`; equal counts in order of arrival."""
        return sorted(self._counts.items(), key=lambda entry: -entry[1])[:most]

    def __len__(self) -> int:
        return len(self._counts)


@dataclass(frozen=True, slots=True)
class Example:
    """A dead letter by its record's id (None if unreadable), its place in the input, and the detail."""

    id: str | None
    place: str
    detail: str


@dataclass
class DeadLetterGroup:
    """The dead letters of one kind, stage and reason.

    `fields` counts their JSON pointers, with `*` for each index, and `files` the inputs that they came from.
    `not_replayed` counts why a replay would send nothing of them, and `unmapped` those that need the mapping of their
    job.
    """

    kind: str
    stage: str
    reason: str
    count: int = 0
    unmapped: int = 0
    fields: Counts = field(default_factory=Counts)
    files: Counts = field(default_factory=Counts)
    not_replayed: Counts = field(default_factory=Counts)
    examples: list[Example] = field(default_factory=list)


class DeadLetterSummary:
    """Counts dead letters one by one.

    >>> summary = DeadLetterSummary()
    >>> summary.add({"kind": "orders", "stage": "validate", "reason": "missing_field", "pointer": "/items/3/sku"})
    >>> [(group.reason, group.count, group.fields.top()) for group in summary.groups()]
    [('missing_field', 1, [('/items/*/sku', 1)])]
    """

    def __init__(self, examples: int = EXAMPLES) -> None:
        self.count = 0
        self._examples = examples
        self._groups: dict[tuple[str, str, str], DeadLetterGroup] = {}

    def add(self, dead_letter: Mapping[str, Any], not_replayed: str | None = None, *, unmapped: bool = False) -> None:
        """Count a dead letter by its fields, of which `record` is not read.

        `not_replayed` is why a replay sends nothing of it, `unmapped` whether only a replay with the mapping does.
        """
        self.count += 1
        group = self._group(*(str(dead_letter.get(name) or "") for name in ("kind", "stage", "reason")))
        group.count += 1
        group.unmapped += unmapped
        pointer, source = dead_letter.get("pointer"), dead_letter.get("source")
        if isinstance(pointer, str) and pointer:
            group.fields.add(field_of(pointer))
        group.files.add(input_of(source))
        if not_replayed is not None:
            group.not_replayed.add(not_replayed)
        if len(group.examples) < self._examples:
            group.examples.append(example_of(dead_letter))

    def groups(self) -> list[DeadLetterGroup]:
        """The groups, the largest first."""
        return sorted(self._groups.values(), key=lambda group: (-group.count, group.kind, group.stage, group.reason))

    def _group(self, kind: str, stage: str, reason: str) -> DeadLetterGroup:
        key = kind, stage, reason
        if key not in self._groups and len(self._groups) >= MOST_VALUES:  # files that are no dead letters
            key = "others", "", ""
        return self._groups.setdefault(key, DeadLetterGroup(*key))


def example_of(dead_letter: Mapping[str, Any]) -> Example:
    """A dead letter as an example, from its fields."""
    record_id = dead_letter.get("id")
    shown_id = None if record_id is None else str(record_id)
    return Example(shown_id, place_of(dead_letter.get("source")), str(dead_letter.get("detail") or ""))


def field_of(pointer: str) -> str:
    """A JSON pointer with `*` for each index, so that the same field of all items counts as one.

    >>> field_of("/cartItems/12/price")
    '/cartItems/*/price'
    """
    return _INDEX.sub("/*", pointer)


def input_of(source: Any) -> str:
    """The file or subscription in the `source` of a dead letter; empty if it names none."""
    if not isinstance(source, Mapping):
        return ""
    return str(source.get("file") or source.get("subscription") or source.get("step") or "")


def place_of(source: Any) -> str:
    """Where a record is in its input, for a line of text: `orders.jsonl:7`, or the id of a message.

    >>> place_of({"file": "orders.jsonl", "position": 7, "part": "returns/0/1"})
    'orders.jsonl:7 (returns/0/1)'
    >>> place_of({"subscription": "projects/p/subscriptions/s", "message_id": "42"})
    'projects/p/subscriptions/s message 42'
    """
    if not isinstance(source, Mapping):
        return ""
    place = input_of(source)
    if source.get("message_id") is not None:
        place = f"{place} message {source['message_id']}".strip()
    elif source.get("position") is not None:
        place = f"{place}:{source['position']}"
    return f"{place} ({source['part']})" if source.get("part") else place
