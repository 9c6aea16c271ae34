"""Checks of `call` and `lookup` records against the operation table, before anything is sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.beyond import Unknown, checked_body, checked_value, is_query_value, unknown_in
from beam_talonone.schemas.decoding.near import near_name
from beam_talonone.schemas.decoding.parse import InvalidRecord, escape, invalid
from beam_talonone.schemas.operation import encode_body, values_at
from beam_talonone.schemas.operations import OPERATIONS, Operation
from beam_talonone.schemas.portions import Portion, in_whole, portions
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request, render_query


class Parameters(Protocol):
    """The parameters of one request, as a `call` or `lookup` record holds them."""

    @property
    def path(self) -> Mapping[str, str]:
        """The API's names of path parameters -> values before percent-encoding."""
        ...

    @property
    def query(self) -> Mapping[str, Any]:
        """The API's names of query parameters -> values; None counts as absent."""
        ...

    @property
    def body(self) -> Any:
        """The decoded JSON body, None without one."""
        ...


@dataclass(frozen=True, slots=True)
class Called:
    """One checked request, with the ids of the sessions, profiles and other objects that it holds.

    `entries` is the number of entries of a bulk's list, and `first` the index of the first one in the record's list.
    """

    request: Request
    sessions: list[str]
    profiles: list[str]
    others: list[tuple[str, str]]
    entries: int = 1
    first: int = 0
    beyond: tuple[str, ...] = ()
    """Names and enum values that were allowed although the table lacks them: `query/name`, `body/field/name`."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Whether names and enum values that the table lacks are allowed. `option` is the setting for that, in the user's
    spelling.
    """

    allowed: bool = False
    option: str = "allow_unknown_api_fields"


STRICT = Beyond()


def check_call(
    operation: str,
    parameters: Parameters,
    *,
    more: Mapping[str, Any] | None = None,
    dry: bool = False,
    beyond: Beyond = STRICT,
) -> list[Called]:
    """The requests of a call: one, or several in order if one would exceed the limits of the API.

    `more` are defaults of query parameters. With `dry`, the request has no effect, if the operation supports that.
    `beyond` decides about names that are not in the table. Raises InvalidRecord when the table or the model of the
    body refuses the call.
    """
    row = OPERATIONS.get(operation)
    if row is None:
        raise InvalidRecord(
            Reason.UNKNOWN_OPERATION, f"there is no operation {operation!r}{_meant(operation)}", "/operation"
        )
    if row.is_read:
        raise InvalidRecord(Reason.READ_OPERATION, f"{row.name} reads; a call writes: use a lookup", "/operation")
    return check_request(row, parameters, Reason.INVALID_CALL, more=more, dry=dry, beyond=beyond)


def check_request(
    row: Operation,
    parameters: Parameters,
    reason: Reason,
    *,
    more: Mapping[str, Any] | None = None,
    dry: bool = False,
    beyond: Beyond = STRICT,
) -> list[Called]:
    """The requests of `row` with these parameters, as `check_call`. Raises InvalidRecord with `reason`."""
    try:
        path = _path(parameters.path, row.path)
        values, names = _query(parameters.query, row.query, beyond)
        query = {**(more or {}), **values}
        if dry and row.can_be_dry and ("dry" not in row.needs or query.get(row.needs["dry"])):
            query["dry"] = True
        for name, other in row.needs.items():
            if query.get(name) and not query.get(other):
                raise _wrong(f"{name} works with {other}=true alone", f"/query/{name}")
        text = render_query(query)
        requests = _portions(row, parameters.body, beyond)
        return [_called(row, path, text, portion, names, beyond) for portion in requests]
    except InvalidRecord as problem:
        raise InvalidRecord(reason, problem.detail, problem.pointer) from None


def _path(values: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    for name in values:
        if name not in expected:
            raise _not_known("path", name, expected)
    missing = sorted(set(expected) - set(values))
    if missing:
        raise _wrong(f"missing path name {', '.join(map(repr, missing))}", "/path")
    return {
        name: _valid("path", name, expected[name], value)[0] for name, value in values.items() if value is not None
    }


def _query(
    values: Mapping[str, Any], expected: Mapping[str, Any], beyond: Beyond
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The checked values without those that are None, and the names that are beyond the table."""
    checked: dict[str, Any] = {}
    names: list[str] = []
    for name, value in values.items():
        if name in expected:
            if value is not None:
                checked[name], texts = _valid("query", name, expected[name], value, beyond)
                names += [f"query/{name}={text}" for text in texts]
            continue
        meant = near_name(name, expected, values)
        if meant is not None or not beyond.allowed:
            raise _not_known("query", name, expected, _advice(meant, beyond))
        if value is not None:
            if not is_query_value(value):
                what = "a text, a number, true or false, or a list of these"
                raise _wrong(f"query/{name}: a value of a query is {what}", f"/query/{escape(name)}")
            checked[name] = value
            names.append(f"query/{name}")
    return checked, tuple(names)


def _valid(
    where: str, name: str, known: TypeAdapter[Any], value: Any, beyond: Beyond = STRICT
) -> tuple[Any, tuple[str, ...]]:
    """A value of a known name, and the enum values in it that are beyond the table."""
    try:
        return checked_value(known, value) if beyond.allowed else (known.validate_python(value), ())
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problem = invalid(errors, None, f"/{where}/{escape(name)}".__add__)
        raise _advised(problem, unknown_in(None, errors[0], value), beyond) from None


def _portions(row: Operation, body: Any, beyond: Beyond) -> list[Portion]:
    if row.body is None:
        if body is not None and not (beyond.allowed and isinstance(body, Mapping)):
            raise _wrong(f"{row.name} takes no body", "/body")
        return [Portion(body)]
    if body is None:
        raise _wrong(f"{row.name} needs a body", "/body")
    return portions(row.bulk, body)


def _called(
    row: Operation,
    path: dict[str, str],
    query: dict[str, str | list[str]],
    portion: Portion,
    names: tuple[str, ...],
    beyond: Beyond,
) -> Called:
    encoded, more = _body(row, portion, beyond)
    return Called(
        Request(row.name, row.method, row.template, path, query, encoded),
        values_at(row.sessions, path, portion.body),
        values_at(row.profiles, path, portion.body),
        [(kind, value) for kind, place in row.others for value in values_at((place,), path, portion.body)],
        portion.entries,
        portion.first,
        (*names, *(f"body/{name}" for name in more)),
    )


def _body(row: Operation, portion: Portion, beyond: Beyond) -> tuple[bytes | None, tuple[str, ...]]:
    """The encoded body, and the names in it that are beyond the table."""
    if row.body is None:
        return (None, ()) if portion.body is None else (jsonio.dumps(portion.body), tuple(portion.body))
    try:
        if not beyond.allowed:
            return encode_body(row.body.model_validate(portion.body)), ()
        sent, names = checked_body(row.body, portion.body)
        return jsonio.dumps(sent), names
    except ValidationError as error:
        errors = error.errors(include_url=False)
        refused = invalid(errors, portion.body, partial(_in_body, row, portion))
        raise _advised(refused, unknown_in(row.body, errors[0], portion.body), beyond) from None


def _advice(meant: str | None, beyond: Beyond) -> str:
    if meant is not None:
        return f"; is {meant!r} meant?"
    return "" if beyond.allowed else f"; {beyond.option} sends it all the same"


def _advised(problem: InvalidRecord, unknown: Unknown | None, beyond: Beyond) -> InvalidRecord:
    """`problem` with advice if it concerns an unknown name or enum value."""
    if unknown is None:
        return problem
    return InvalidRecord(problem.reason, problem.detail + _advice(unknown.meant, beyond), problem.pointer)


def _not_known(where: str, name: str, known: Mapping[str, Any], advice: str = "") -> InvalidRecord:
    listed = ", ".join(sorted(known)) or "none"
    return _wrong(f"unknown {where} name {name!r}; known: {listed}{advice}", f"/{where}/{escape(name)}")


def _in_body(row: Operation, portion: Portion, pointer: str) -> str:
    """The pointer into the record for a pointer into the body of a portion."""
    return f"/body{in_whole(pointer, row.bulk, portion.first)}"


def _meant(operation: str) -> str:
    """A guess at the intended operation, if its name is misspelt or in the spelling of another language."""
    spelt = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()
    near = get_close_matches(spelt, OPERATIONS, n=1, cutoff=0.8)
    return f"; is {near[0]} meant?" if near else ""


def _wrong(detail: str, pointer: str) -> InvalidRecord:
    return InvalidRecord(Reason.INVALID_FIELD, detail, pointer)
