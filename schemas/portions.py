"""Bodies that are too large for one request, split into portions within the limits, in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from beam_talonone.schemas.operation import Bulk


@dataclass(frozen=True, slots=True)
class Portion:
    """A body for one request, with the length of its list (`entries`) and the index of its first entry in the whole
    list.
    """

    body: Any
    entries: int = 1
    first: int = 0


def portions(bulk: Bulk | None, body: Any) -> list[Portion]:
    """Split `body` into portions: consecutive runs of its list, each as long as the operation allows.

    A body that is small enough or has no such list is one portion. The body is not validated here.
    """
    entries = body.get(bulk.field) if bulk is not None and isinstance(body, dict) else None
    if bulk is None or not isinstance(entries, list):
        return [Portion(body)]
    if not entries:
        return [Portion(body, 0)]
    runs = list(_runs(bulk, entries))
    if len(runs) == 1:
        return [Portion(body, len(entries))]
    later = {name: value for name, value in body.items() if name not in bulk.first_only}
    return [
        Portion({**(later if start else body), bulk.field: entries[start:end]}, end - start, start)
        for start, end in runs
    ]


def _runs(bulk: Bulk, entries: list[Any]) -> Iterator[tuple[int, int]]:
    start = 0
    seen: set[str] = set()
    for place, entry in enumerate(entries):
        alike = _at(entry, bulk.alike)
        distinct = _at(entry, bulk.distinct)
        if place - start >= bulk.limit or alike != _at(entries[start], bulk.alike) or distinct in seen:
            yield start, place
            start = place
            seen.clear()
        if distinct is not None:
            seen.add(distinct)
    yield start, len(entries)


def _at(entry: Any, place: str | None) -> str | None:
    """The text or number at `place` within an entry, as text, or None."""
    if place is None:
        return None
    for name in place.split("/"):
        entry = entry.get(name) if isinstance(entry, dict) else None
    return str(entry) if isinstance(entry, str | int) else None


def in_whole(pointer: str | None, bulk: Bulk | None, first: int) -> str | None:
    """Convert a JSON pointer into the body of a portion to one into the whole body. `first` is the portion's."""
    if not pointer or bulk is None or not first:
        return pointer
    before, name, rest = pointer.partition(f"/{bulk.field}/")
    number, slash, within = rest.partition("/")
    return f"{before}{name}{int(number) + first}{slash}{within}" if number.isdecimal() and not before else pointer
