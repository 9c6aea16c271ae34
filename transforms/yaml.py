"""WriteToTalonOne and LookupTalonOne for Beam YAML: rows in, rows out, and errors where `error_handling` says.

A pipeline lists them in its `providers`, as docs/library.md shows. They run in the process that builds the pipeline,
so they need no service.
"""

import inspect
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Optional

import apache_beam as beam
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.typehints.schemas import named_fields_from_element_type

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.talonone.errors import ConfigurationError, TalonOneError
from beam_talonone.transforms.reads import lookup
from beam_talonone.transforms.reads.prepare import nested
from beam_talonone.transforms.sink import write
from beam_talonone.transforms.sources.elements import plain

MAIN = "good"
"""Beam YAML's name of the output without errors."""

# Beam evaluates these types, and requires Optional
_TEXT, _NUMBER = Optional[str], Optional[int]  # noqa: UP045

WRITTEN = RowTypeConstraint.from_fields(
    [("kind", str), ("id", str), ("outcome", str), ("reason", _TEXT), ("operation", _TEXT), ("status", _NUMBER),
     ("attempts", _NUMBER), ("effects", _TEXT), ("response", _TEXT)]
)  # fmt: skip
"""A row of the output of WriteToTalonOne: `outcome` is applied, already_applied, superseded, duplicate or skipped.
`effects` and `response` are JSON."""

ERRORS = RowTypeConstraint.from_fields(
    [("element", str), ("msg", str), ("kind", str), ("id", _TEXT), ("stage", str), ("reason", str),
     ("operation", _TEXT), ("status", _NUMBER), ("letter", str)]
)  # fmt: skip
"""A row of an error: `element` is the record as JSON, `letter` the dead letter as a line that replay accepts."""

ANSWER = [("lookup_status", int), ("lookup_pages", int), ("lookup_response", str)]
"""The fields that a lookup adds to a row; `lookup_response` is JSON."""


class WriteToTalonOne(beam.PTransform):  # type: ignore[misc]
    """Writes rows to Talon.One as records of one kind.

    The output has a row for each record that is not an error; see docs/library.md. The settings have the names of the
    library's WriteToTalonOne: base_url, api_key_env, api_key_secret, rate, concurrency, give_up_after and so on.
    With the setting mapping (a preset, a file, or pkg.mod:func), rows are documents that become records of any kinds.
    Unbounded rows need DataflowRunner or FlinkRunner, and error_handling.

    Args:
        kind: orders, returns, profiles, events or calls.
        error_handling: the output for records that cannot be applied. Without it, the first one fails the pipeline.
        settings: the settings of the library's transform.

    >>> orders = beam.Pipeline() | beam.Create([beam.Row(order_id="3001", customer_id="c-17", status="open")])
    >>> url = "https://yourcompany.europe-west1.talon.one"
    >>> sorted(orders | WriteToTalonOne("orders", {"output": "errors"}, base_url=url))
    ['errors', 'good']
    """

    def __init__(self, kind: str, error_handling: dict[str, str] | None = None, **settings: Any) -> None:
        super().__init__()
        _check_settings(write.WriteToTalonOne, settings)
        self._write = write.WriteToTalonOne(kind, **settings)
        self._errors = _errors_output(error_handling)

    def expand(self, rows: beam.PCollection[Any]) -> Any:
        """Add the steps. Called by Beam; raises ConfigurationError for unbounded rows without `error_handling`."""
        if not rows.is_bounded and self._errors is None:
            raise ConfigurationError(
                f"{self.label} needs error_handling for unbounded rows: without it, the first error fails the stream"
            )
        written = rows | self._write
        done = (written.applied, written.others) | "Done" >> beam.Flatten()
        good = done | "As rows" >> beam.Map(_written).with_output_types(WRITTEN)
        return _outputs(good, written.dead_letters, self._errors)


class LookupTalonOne(beam.PTransform):  # type: ignore[misc]
    """Adds the answer of the API to each row, as the fields lookup_status, lookup_pages and lookup_response.

    The parameters of the request are the fields of the row with the names of the operation's parameters, such as
    integrationId. The settings have the names of the library's LookupTalonOne: base_url, api_key_env, rate and so on.

    Args:
        operation: the name of an operation that reads, from docs/operations.md.
        error_handling: the output for rows that the API refuses. Without it, the first one fails the pipeline.
        settings: the settings of the library's transform.

    >>> rows = beam.Pipeline() | beam.Create([beam.Row(loyaltyProgramId=7, integrationId="c-17")])
    >>> url = "https://yourcompany.europe-west1.talon.one"
    >>> outputs = rows | LookupTalonOne("get_loyalty_balances", {"output": "errors"}, base_url=url)
    >>> [name for name, _ in named_fields_from_element_type(outputs["good"].element_type)]
    ['loyaltyProgramId', 'integrationId', 'lookup_status', 'lookup_pages', 'lookup_response']
    """

    def __init__(self, operation: str, error_handling: dict[str, str] | None = None, **settings: Any) -> None:
        super().__init__()
        _check_settings(lookup.LookupTalonOne, settings)
        self._lookup = lookup.LookupTalonOne(operation, FieldsOf(operation), **settings)
        self._operation = operation
        self._reading = Reading(unknown_fields=settings.get("unknown_fields"), in_code=True)
        self._errors = _errors_output(error_handling)

    def expand(self, rows: beam.PCollection[Any]) -> Any:
        """Add the steps. Called by Beam; raises ConfigurationError for rows without the parameters."""
        fields = _fields(rows.element_type, self.label)
        _check_names([name for name, _ in fields], self._operation, self._reading, self.label)
        looked = rows | self._lookup
        row_type = RowTypeConstraint.from_fields([*fields, *ANSWER])
        good = looked.found | "As rows" >> beam.Map(_answered).with_output_types(row_type)
        return _outputs(good, looked.dead_letters, self._errors)


class FieldsOf:
    """Callable: from a row to the lookup of an operation, by the fields with the names of its parameters."""

    def __init__(self, operation: str) -> None:
        self._operation = operation

    def __call__(self, row: Any) -> dict[str, Any]:
        """The lookup of a row."""
        fields, operation = plain(row), OPERATIONS[self._operation]
        parameters = {name: fields[name] for name in ("lookup_id", "body") if name in fields}
        if isinstance(parameters.get("body"), str):
            with suppress(ValueError):  # the check of the lookup refuses text that is not JSON
                parameters["body"] = jsonio.loads(parameters["body"])
        for part in ("path", "query"):
            parameters[part] = {name: fields[name] for name in getattr(operation, part) if name in fields}
        return parameters


def _check_settings(transform: type[beam.PTransform], settings: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for settings that `transform` does not have."""
    parameters = inspect.signature(transform).parameters.values()
    names = [item.name for item in parameters if item.kind is item.KEYWORD_ONLY]
    unknown = [name for name in settings if name not in names]
    if unknown:
        raise ConfigurationError(
            f"{transform.__name__} has no setting {', '.join(map(repr, unknown))}; the settings are"
            f" {', '.join(names)}"
        )


def _fields(element_type: Any, label: str) -> list[tuple[str, Any]]:
    try:
        return list(named_fields_from_element_type(element_type))
    except (TypeError, ValueError):
        raise ConfigurationError(f"{label} takes rows with a schema, not {element_type}") from None


def _check_names(names: list[str], operation: str, reading: Reading, label: str) -> None:
    """Raise ConfigurationError if rows with these fields cannot be looked up."""
    taken = sorted({name for name, _ in ANSWER} & set(names))
    if taken:
        raise ConfigurationError(f"{label} adds {', '.join(taken)}, which the rows have already")
    row = OPERATIONS[operation]
    try:
        path = nested(row, dict.fromkeys(names), reading)["path"]
    except InvalidRecord as problem:
        raise ConfigurationError(f"{label}: {problem.detail}") from None
    missing = [name for name in row.path if name not in path]
    if missing:
        raise ConfigurationError(f"{label}: {operation} needs the fields {', '.join(missing)} in each row")


def _errors_output(error_handling: Mapping[str, Any] | None) -> str | None:
    """The name of the output for errors, None without one. Raises ConfigurationError."""
    if error_handling is None:
        return None
    name = error_handling.get("output") if isinstance(error_handling, Mapping) else None
    if not isinstance(name, str) or not name or name == MAIN or len(error_handling) != 1:
        raise ConfigurationError("error_handling is {output: NAME}, NAME the name of the output for errors")
    return name


def _outputs(good: Any, dead: Any, errors: str | None) -> Any:
    if errors is None:
        _ = dead | "No errors" >> beam.Map(_fail)
        return good
    return {MAIN: good, errors: dead | "Errors as rows" >> beam.Map(_error).with_output_types(ERRORS)}


def _fail(line: dict[str, Any]) -> None:
    raise TalonOneError(f"{_message(line)} (error_handling would let the others go on)")


def _message(line: dict[str, Any]) -> str:
    return f"{line['kind']} {line['id']}: {line['reason']}: {line['detail']}"


def _json(value: Any) -> str:
    return jsonio.dumps(value).decode()


def _written(line: dict[str, Any]) -> beam.Row:
    return beam.Row(
        kind=line["kind"],
        id=line["id"],
        outcome=line["outcome"],
        reason=line.get("reason"),
        operation=line.get("operation"),
        status=line.get("status"),
        attempts=line.get("attempts"),
        effects=_json(line["effects"]) if line.get("effects") else None,
        response=_json(line["response"]) if "response" in line else None,
    )


def _answered(line: dict[str, Any]) -> beam.Row:
    return beam.Row(
        **line["element"]._asdict(),
        lookup_status=line["status"],
        lookup_pages=line["pages"],
        lookup_response=_json(line["response"]),
    )


def _error(line: dict[str, Any]) -> beam.Row:
    return beam.Row(
        element=_json(line["record"]),
        msg=_message(line),
        kind=line["kind"],
        id=line["id"],
        stage=line["stage"],
        reason=line["reason"],
        operation=line["operation"],
        status=line["status"],
        letter=_json(line),
    )
