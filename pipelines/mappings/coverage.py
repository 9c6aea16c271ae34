"""What a mapping leaves aside: source fields that no rule reads, names that no document has, fields never set."""

from collections.abc import Iterator
from typing import Any

from beam_talonone.schemas.decoding.parse import listed
from beam_talonone.schemas.records import MODELS
from beam_talonone.transforms.mapping.files.mentions import Mentions
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.result import Mapping, MappingResult
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind
from beam_talonone.transforms.tables.table import ROWS, Table

MOST_PATHS = 5000
"""Different paths that are remembered: some documents have ids as names."""

_LIST, _VALUE = "[]", object()


class Coverage:
    """Collects the names in the documents of a run, and the fields of their records. It is for one thread.

    >>> coverage = Coverage()
    >>> coverage.add({"id": 7, "note": "x"}, MappingResult())
    >>> list(coverage.lines(Mentions({"id": 3, "mail": 4}, frozenset(), frozenset()), Table()))
    ['no rule reads 1 source field: note', 'no document has mail (line 4)']
    """

    def __init__(self) -> None:
        self._root: dict[Any, Any] = {}  # name or _LIST -> what was found there; _VALUE -> True
        self._paths = 0
        self._names: set[str] = set()
        self._set: dict[str, set[str]] = {}

    def add(self, document: Any, result: MappingResult) -> None:
        """Look at a document, and at the records that a mapping made of it."""
        if isinstance(document, dict):
            self._look(document, self._root)
        for record in result.records:
            self._set.setdefault(record.kind, set()).update(record.fields)

    def lines_of(self, mapping: Mapping) -> Iterator[str]:
        """The findings about a mapping, each with its name."""
        mentions = mapping.mentions() if isinstance(mapping, FileMapping) else None
        return (f"{mapping.name}: {line}" for line in self.lines(mentions, mapping.table))

    def lines(self, mentions: Mentions | None, table: Table) -> Iterator[str]:
        """The findings; without `mentions`, as for a Python function, only those about records."""
        if mentions is not None:
            unread = list(dict.fromkeys(self._unread(mentions, table)))
            if unread:
                yield f"no rule reads {_counted(len(unread), 'source field')}: {listed(unread)}"
            absent = [
                f"{name} ({f'line {line}' if line else 'table'})"
                for name, line in mentions.names.items()
                if name not in self._names and name not in mentions.made
            ]
            if absent:
                yield f"no document has {listed(absent)}"
        for kind, names in self._set.items():
            never = [name for name in MODELS[kind].model_fields if name not in names]
            if never:
                yield f"{kind} never have {listed(never)}"

    def _look(self, value: dict[str, Any] | list[Any], place: dict[Any, Any]) -> None:
        """Note the names and places below a value. It runs for every value of every document, so it is terse."""
        for name, inner in value.items() if isinstance(value, dict) else ((_LIST, inner) for inner in value):
            below = place.get(name)
            if below is None:
                self._paths += 1
                self._names.add(name)
                below = {}
                if self._paths <= MOST_PATHS:
                    place[name] = below
            if isinstance(inner, dict | list):
                self._look(inner, below)
            elif inner is not None:
                below[_VALUE] = True

    def _places(self, place: dict[Any, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """The paths to values that are not null."""
        for name, below in place.items():
            if name is _VALUE:
                yield path
            else:
                yield from self._places(below, (*path, name))

    def _unread(self, mentions: Mentions, table: Table) -> Iterator[str]:
        for path in self._places(self._root):
            names = [step for step in path if step != _LIST]
            if names[-1] not in mentions.names and mentions.whole.isdisjoint(names):
                rows = (ROWS, _LIST)
                inner = path[2:] if table.group_by and path[:2] == rows else path
                yield ".".join(step or '""' for step in inner).replace(".[]", "[]")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


COVERAGE = Kind[str, Coverage]("coverage of a mapping")
"""By the name of the run. The steps of a pipeline hold copies of their mapping, and find the one coverage here."""


class ObservedMapping:
    """A mapping whose documents and records are added to the coverage of `run`, while its scope lasts."""

    def __init__(self, mapping: Mapping, run: str) -> None:
        self.name = mapping.name
        self.table = mapping.table
        self.fingerprint = mapping.fingerprint
        self._mapping = mapping
        self._run = run

    def __call__(self, document: Any) -> MappingResult:
        """The result of the mapping. Never raises."""
        result = self._mapping(document)
        coverage = PROCESS.find(COVERAGE, self._run)
        if coverage is not None:
            coverage.add(document, result)
        return result
