"""What a mapping leaves aside: source fields that no rule reads, names that no document has, fields never set."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

import msgspec

from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import listed
from beam_talonone.schemas.records import MODELS
from beam_talonone.transforms.mapping.files.mentions import Mentions
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.result import NO_RULE, Mapping, MappingResult
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind
from beam_talonone.transforms.tables.table import ROWS, Table

MOST_PATHS = 5000
"""Different paths that are remembered: some documents have ids as names."""

MOST_LISTS = 5
"""Lists of documents without a rule that are named."""

_LIST = "[]"


class _Place(msgspec.Struct):
    """What documents have at one place: the names of an object there, or the elements of a list, which share one."""

    below: dict[str, "_Place | None"] = {}
    """Each name in the order of the documents, with its place if it had an object or a list."""
    filled: set[str] = set()
    """The names that had a value other than null, an object or a list."""
    done: set[str] = set()
    """Those of `filled` at whose values nothing more is to be seen, unless they are objects, lists or JSON texts."""
    elements: "_Place | None" = None


class _Findings(msgspec.Struct):
    """What one process has collected, as another process gets it."""

    documents: int
    without: dict[str, int]
    lists: dict[str, int]
    root: _Place
    names: set[str]
    fields: dict[str, set[str]]


_FINDINGS = msgspec.msgpack.Decoder(_Findings)


class Coverage:
    """Collects the names in the documents of a run, and the fields of their records. It is for one thread.

    With `parses_json`, it also looks into texts that are JSON objects or arrays. Beyond MOST_PATHS it remembers only
    the names that are `mentioned`, so that documents with ids as names take a bounded amount of memory. `joins` names
    the joins of the run: documents without rows of one are counted, as keys that are written differently look like
    that.

    >>> coverage = Coverage(mentioned={"id", "mail"})
    >>> coverage.add({"id": 7, "note": "x"}, MappingResult())
    >>> list(coverage.lines(Mentions({"id": 3, "mail": 4}, frozenset(), frozenset()), Table()))
    ['no rule reads 1 source field: note', 'no document has mail (line 4)']
    """

    def __init__(
        self, *, parses_json: bool = False, mentioned: Collection[str] = (), joins: Iterable[str] = ()
    ) -> None:
        self._parses_json = parses_json
        self._mentioned = frozenset(mentioned)
        self._joins = tuple(joins)
        self.forget()

    def forget(self) -> None:
        """Forget all documents."""
        self._without = dict.fromkeys(self._joins, 0)
        self._documents = 0
        self._lists: Counter[str] = Counter()
        """Names of lists of objects, in documents that no rule concerns: those are often answers of an API, whole."""
        self._root = _Place()
        self._paths = 0
        self._names: set[str] = set()
        self._set: dict[str, set[str]] = {}

    def add(self, document: Any, result: MappingResult) -> None:
        """Look at a document, and at the records that a mapping made of it."""
        if isinstance(document, dict):
            self._look_at(document, self._root)
            self._documents += 1
            for name in self._without:
                self._without[name] += document.get(name) == []
            if not result.records and any(filtered.rule == NO_RULE for filtered in result.filtered):
                self._lists.update(
                    name for name in document if name in self._names and _holds_objects(document[name])
                )
        for record in result.records:
            self._set.setdefault(record.kind, set()).update(record.fields)

    def findings(self) -> bytes:
        """All that was collected, for `merge`."""
        return msgspec.msgpack.encode(
            _Findings(self._documents, self._without, self._lists, self._root, self._names, self._set)
        )

    def merge(self, findings: bytes) -> None:
        """Add what another process has collected of later documents of the same run.

        Beyond MOST_PATHS, each process has remembered its own first paths, so fewer may be found than by one.
        """
        more = _FINDINGS.decode(findings)
        self._documents += more.documents
        for name, number in more.without.items():
            self._without[name] += number
        self._merge(more.root, self._root)
        self._names |= more.names & self._mentioned
        self._lists.update({name: count for name, count in more.lists.items() if name in self._names})
        for kind, fields in more.fields.items():
            self._set.setdefault(kind, set()).update(fields)

    def _merge(self, more: _Place, place: _Place) -> None:
        for name, below in more.below.items():
            if below is not None:
                self._merge(below, self._place_of(name, place))
            elif name not in place.below and self._is_new(name):
                place.below[name] = None
        known = place.below.keys()
        place.filled |= more.filled & known
        place.done |= more.done & known
        if more.elements is not None:
            if place.elements is None:
                place.elements = _Place()
            self._merge(more.elements, place.elements)

    def lines_of(self, mapping: Mapping) -> Iterator[str]:
        """The findings about a mapping, each with its name."""
        mentions = mapping.mentions() if isinstance(mapping, FileMapping) else None
        return (f"{mapping.name}: {line}" for line in self.lines(mentions, mapping.table))

    def lines(self, mentions: Mentions | None, table: Table) -> Iterator[str]:
        """The findings; without `mentions`, as for a Python function, only those about records."""
        if mentions is not None:
            unread = list(dict.fromkeys(self._unread(mentions, table)))
            if unread:
                yield f"no rule reads {counted(len(unread), 'source field')}: {listed(unread)}"
        for name, without in self._without.items():
            if without:
                yield f"{without:,} of {counted(self._documents, 'document')} without rows of --join {name}"
        for name, count in self._lists.most_common(MOST_LISTS):
            documents = "document without a rule has" if count == 1 else "documents without a rule have"
            extract = f"jq -c '.{name}[]'"
            yield f"{count:,} {documents} a list {name}: if its elements are the documents, extract them: {extract}"
        for kind, names in self._set.items():
            never = [name for name in MODELS[kind].model_fields if name not in names]
            if never:
                yield f"{kind} never have {listed(never)}"
        if mentions is not None:
            absent = self.absent(mentions)
            if absent:
                yield f"no document has {listed(absent)}"

    def absent(self, mentions: Mentions) -> list[str]:
        """The names that a mapping reads and no document has, each with its place, and the name that may be meant."""
        return [
            f"{name} ({f'line {line}' if line else 'table'}{self._meant(name)})"
            for name, line in mentions.names.items()
            if name not in self._names and name not in mentions.made
        ]

    def _meant(self, name: str) -> str:
        close = get_close_matches(name, self._names, 1, 0.8)
        return f", did you mean {close[0]}?" if close else ""

    def _look_at(self, document: dict[str, Any], place: _Place) -> None:
        """Note the names below an object. It runs for every value of every document, so most of them cost one look
        at the type and one at `done`."""
        done = place.done
        for name, inner in document.items():
            kind = type(inner)
            if kind is dict:
                self._look_at(inner, self._place_of(name, place))
            elif kind is list:
                self._look_through(inner, self._place_of(name, place))
            elif (name not in done or (kind is str and self._parses_json)) and (
                inner is not None or name not in place.below
            ):
                self._note(name, inner, place)

    def _look_through(self, elements: list[Any], place: _Place) -> None:
        if place.elements is None:
            place.elements = _Place()
        for element in elements:
            if type(element) is dict:
                self._look_at(element, place.elements)
            elif type(element) is list:
                self._look_through(element, place.elements)
            else:
                self._note(_LIST, element, place)

    def _note(self, name: str, value: Any, place: _Place) -> None:
        """Note a name and its value, which is no object or list."""
        inside = _json_in(value) if self._parses_json else None
        if inside is not None:
            self._look_at({name: inside}, place)
            return
        if name not in place.below and self._is_new(name):
            place.below[name] = None
        if value is not None and name in place.below:
            place.filled.add(name)
            if not (self._parses_json and type(value) is str):
                place.done.add(name)

    def _place_of(self, name: str, place: _Place) -> _Place:
        below = place.below.get(name)
        if below is None:
            below = _Place()
            if name in place.below or self._is_new(name):
                place.below[name] = below
        return below

    def _is_new(self, name: str) -> bool:
        """Count a path that was not there before; whether it is remembered."""
        self._paths += 1
        if name != _LIST and (self._paths <= MOST_PATHS or name in self._mentioned):
            self._names.add(name)
        return self._paths <= MOST_PATHS

    def _places(self, place: _Place, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """The paths to values that are not null."""
        for name, below in place.below.items():
            if name in place.filled:
                yield (*path, name)
            if below is not None:
                yield from self._places(below, (*path, name))
        if place.elements is not None:
            yield from self._places(place.elements, (*path, _LIST))

    def _unread(self, mentions: Mentions, table: Table) -> Iterator[str]:
        for path in self._places(self._root):
            names = [step for step in path if step != _LIST]
            if names[-1] not in mentions.names and mentions.whole.isdisjoint(names):
                rows = (ROWS, _LIST)
                inner = path[2:] if table.group_by and path[:2] == rows else path
                yield ".".join(step or '""' for step in inner).replace(".[]", "[]")


def _holds_objects(value: Any) -> bool:
    return type(value) is list and bool(value) and type(value[0]) is dict


def _json_in(value: Any) -> Any:
    """The object or array that a text holds; None for any other value."""
    if type(value) is not str or value.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return jsonio.loads(value)
    except ValueError:
        return None


def coverage_of(mapping: Mapping | None, joins: Iterable[str] = ()) -> Coverage:
    """The empty coverage of a mapping and of a run with `joins`."""
    if not isinstance(mapping, FileMapping):
        return Coverage(joins=joins)
    mentions = mapping.mentions()
    return Coverage(parses_json=mentions.parses_json, mentioned=mentions.names, joins=joins)


COVERAGE = Kind[str, Coverage]("coverage of a mapping")
"""By the name of the run. The steps of a pipeline hold copies of their mapping, and find the one coverage here."""


class ObservedMapping:
    """A mapping whose documents and records are added to the coverage of `run`, while its scope lasts."""

    def __init__(self, mapping: Mapping, run: str) -> None:
        self.name = mapping.name
        self.table = mapping.table
        self.fingerprint = mapping.fingerprint
        self.observed = mapping
        self._run = run

    def __call__(self, document: Any) -> MappingResult:
        """The result of the mapping. Never raises."""
        result = self.observed(document)
        coverage = PROCESS.find(COVERAGE, self._run)
        if coverage is not None:
            coverage.add(document, result)
        return result
