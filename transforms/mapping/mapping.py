"""A mapping: one foreign document in, records of our shape out, or the reason why not. It never raises."""

import hashlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from beam_talonone.schemas.decoding.decode import plain_json
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import ID_FIELDS, MODELS
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.mapping.errors import NOWHERE, EvaluationError
from beam_talonone.transforms.mapping.expressions.environment import Environment
from beam_talonone.transforms.mapping.expressions.places import pointer_to
from beam_talonone.transforms.mapping.expressions.values import brief
from beam_talonone.transforms.mapping.files.loader import load
from beam_talonone.transforms.mapping.files.mentions import Mentions, mentions
from beam_talonone.transforms.mapping.files.rules import filled
from beam_talonone.transforms.mapping.result import NO_RULE, Filtered, MappedRecord, MappingFailure, MappingResult
from beam_talonone.transforms.tables.table import PLAIN

LONGEST_REASON = 300
"""Characters of the text of an error in a dead letter."""

MOST_RECORDS = 100_000
"""Records that a Python function may make of one document."""

_PAIRS = f"expected pairs of a kind ({', '.join(MODELS)}) and a dict"


class FileMapping:
    """A mapping file, loaded from its text. Raises MappingFileError for what is wrong with it.

    >>> mapping = FileMapping("mine.yaml", '''
    ... version: 1
    ... profiles:
    ...   fields: {customer_id: mail, event_time: since}
    ... ''')
    >>> mapping({"mail": "ann@example.com", "since": "2026-05-01T12:00:00Z"}).records[0].fields
    {'customer_id': 'ann@example.com', 'event_time': '2026-05-01T12:00:00Z'}
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text
        loaded = load(text)
        self.description = loaded.description
        self.table = loaded.table
        self._variables = loaded.variables
        self._rules = loaded.rules

    def mentions(self) -> Mentions:
        """The names that its expressions read."""
        return mentions(self._text, self.table)

    @property
    def fingerprint(self) -> str:
        """Tells this mapping from one that makes other records."""
        return f"{self.name} {hashlib.sha256(self._text.encode()).hexdigest()[:16]}"

    def __reduce__(self) -> tuple[Any, ...]:
        return FileMapping, (self.name, self._text)  # closures do not travel, and the text says it all

    def __call__(self, document: Any) -> MappingResult:
        """The records of a document, or what stops it. Never raises."""
        environment = Environment(document, self._variables)
        try:
            return self._mapped(document, environment)
        except EvaluationError as error:
            return MappingResult(failure=self._failure(document, error))
        except RecursionError:
            deep = EvaluationError("too many variables that build on one another", Reason.OVER_LIMIT)
            return MappingResult(failure=self._failure(document, deep))
        except Exception as error:  # a defect of ours must not stop a stream
            return MappingResult(failure=_defect(self.name, error))

    def _mapped(self, document: Any, environment: Environment) -> MappingResult:
        records: list[MappedRecord] = []
        filtered: list[Filtered] = []
        numbers: dict[str, int] = {}
        for kind, block in self._rules:
            rule_number = numbers[kind] = numbers.get(kind, -1) + 1
            for number, element in enumerate(block.elements(document, environment)):
                part = f"{kind}/{rule_number}/{number}"
                refused = block.refused_by(element, environment) if block.conditions else None
                if refused is not None:
                    filtered.append(Filtered(kind, refused, part))
                else:
                    records.append(MappedRecord(kind, filled(block.fields, element, environment), part))
        if not records and not filtered:
            filtered.append(Filtered(self._rules[0][0], NO_RULE, ""))
        return MappingResult(tuple(records), tuple(filtered))

    def _failure(self, document: Any, error: EvaluationError) -> MappingFailure:
        place = self.name if error.line is None else f"{self.name}:{error.line}"
        detail = f"{place}: {error.target}: {error.detail}" if error.target else f"{place}: {error.detail}"
        pointer = None if error.context is NOWHERE else pointer_to(document, error.context, error.path)
        return MappingFailure(error.reason, detail, error.line, pointer, dict(self._ids(document)))

    def _ids(self, document: Any) -> Iterator[tuple[str, Any]]:
        """Of each kind, the id of the first record that the rules make, where its rule can be evaluated alone."""
        kinds: set[str] = set()
        for kind, block in self._rules:
            rule = next((field.rule for field in block.fields if field.name == ID_FIELDS[kind]), None)
            if kind in kinds or rule is None:
                continue
            environment = Environment(document, self._variables)
            try:
                for element in block.elements(document, environment):
                    if block.refused_by(element, environment) is None:
                        record_id = rule(element, environment)
                        if record_id is not None:
                            yield kind, record_id
                            kinds.add(kind)
                        break
            except Exception:  # also a defect of ours: the id is only an aid  # nosec B112
                continue


Converter = Callable[[dict[str, Any]], Iterable[tuple[str, dict[str, Any]]] | None]
"""A Python function as a mapping: document -> (kind, record) pairs. None or no pair filters the document."""


class FunctionMapping:
    """A Python function as a mapping. Its errors become the failures of documents."""

    def __init__(self, name: str, function: Converter) -> None:
        self.name = name
        self.table = PLAIN
        self._function = function

    @property
    def fingerprint(self) -> str:
        """The name, and a digest of the file that defines the function. What that file imports is not included."""
        try:
            path = inspect.getsourcefile(inspect.unwrap(self._function))
            source = None if path is None else Path(path).read_bytes()
        except (TypeError, OSError):  # no plain function, or one without a file
            source = None
        return self.name if source is None else f"{self.name} {hashlib.sha256(source).hexdigest()[:16]}"

    def __call__(self, document: Any) -> MappingResult:
        """The records that the function returns. Raises only signals to stop, such as KeyboardInterrupt."""
        try:
            records = tuple(_records(self._function(document) or ()))
        except EvaluationError as error:
            return MappingResult(failure=MappingFailure(error.reason, f"{self.name}: {error.detail}"))
        except (Exception, SystemExit) as error:  # sys.exit() in a function must not stop the job without a record
            detail = f"{self.name}: {error_line(error, LONGEST_REASON)}"
            return MappingResult(failure=MappingFailure(Reason.MAPPING_FAILED, detail))
        if not records:
            return MappingResult(filtered=(Filtered("orders", NO_RULE, ""),))
        return MappingResult(records)


def _records(result: Any) -> Iterator[MappedRecord]:
    """The records in what a function returned, which may be a generator without an end."""
    if isinstance(result, dict | str | bytes) or not isinstance(result, Iterable):
        raise EvaluationError(f"{_PAIRS}, found {type(result).__name__}")
    for number, pair in enumerate(result):
        if number == MOST_RECORDS:
            raise EvaluationError(f"more than {MOST_RECORDS:,} records of one document", Reason.OVER_LIMIT)
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise EvaluationError(f"{_PAIRS}, found {type(pair).__name__}")
        kind, fields = pair
        yield _record(kind, fields, number)


def _record(kind: Any, fields: Any, number: int) -> MappedRecord:
    if not isinstance(kind, str) or kind not in MODELS:
        raise EvaluationError(f"{_PAIRS}, found the kind {brief(kind)}")
    if not isinstance(fields, dict):
        raise EvaluationError(f"{_PAIRS}, found {type(fields).__name__} as the record")
    try:
        return MappedRecord(str(kind), plain_json(fields), f"{kind}/0/{number}")
    except InvalidRecord as error:
        raise EvaluationError(f"{error.detail} at {error.pointer}") from None


def _defect(name: str, error: Exception) -> MappingFailure:
    return MappingFailure(Reason.DEFECT, f"{name}: {error_line(error, LONGEST_REASON)}")
