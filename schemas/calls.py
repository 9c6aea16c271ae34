"""Checks of `call` and `lookup` records against the operation table, before anything is sent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from pydantic import ValidationError

from beam_talonone.schemas.operation import encode_body, values_at
from beam_talonone.schemas.operations import OPERATIONS, Operation
from beam_talonone.schemas.parse import InvalidRecord, escape, invalid
from beam_talonone.schemas.portions import Portion, in_whole, portions
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request, render_query


class Asked(Protocol):
    """What a record says of a request."""

    @property
    def path(self) -> Mapping[str, str]: ...
    @property
    def query(self) -> Mapping[str, Any]: ...
    @property
    def body(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Called:
    """One request that the table allows, with the sessions, profiles and other things that it holds.

    `entries` counts the entries of a bulk's list, `first` says which one of the record's own list is its first.
    """

    request: Request
    sessions: list[str]
    profiles: list[str]
    others: list[tuple[str, str]]
    entries: int = 1
    first: int = 0


def check_call(
    operation: str, asked: Asked, *, more: Mapping[str, Any] | None = None, dry: bool = False
) -> list[Called]:
    """What a call sends: one request, or several in order where one would be too much. `more` are query parameters
    that are added where they are not given; `dry` tries it without effect, where the operation can.

    Raises InvalidRecord when the table or the body's model refuses it.
    """
    row = OPERATIONS.get(operation)
    if row is None:
        raise InvalidRecord(
            Reason.UNKNOWN_OPERATION, f"there is no operation {operation!r}{_meant(operation)}", "/operation"
        )
    if row.is_read:
        raise InvalidRecord(
            Reason.READ_OPERATION, f"{row.name} reads; a call writes. Use `beam-talonone lookup`", "/operation"
        )
    return check_request(row, asked, Reason.INVALID_CALL, more=more, dry=dry)


def check_request(
    row: Operation, asked: Asked, reason: Reason, *, more: Mapping[str, Any] | None = None, dry: bool = False
) -> list[Called]:
    """The requests of `row` for what is asked. Raises InvalidRecord with `reason`."""
    try:
        path = _checked("path", asked.path, row.path, required=True)
        query = {**(more or {}), **_checked("query", asked.query, row.query, required=False)}
        if dry and row.can_be_dry and ("dry" not in row.needs or query.get(row.needs["dry"])):
            query["dry"] = True
        for name, other in row.needs.items():
            if query.get(name) and not query.get(other):
                raise _wrong(f"{name} works with {other}=true alone", f"/query/{name}")
        text = render_query(query)
        return [_called(row, path, text, portion) for portion in _portions(row, asked.body)]
    except InvalidRecord as problem:
        raise InvalidRecord(reason, problem.detail, problem.pointer) from None


def _checked(where: str, given: Mapping[str, Any], known: Mapping[str, Any], *, required: bool) -> dict[str, Any]:
    for name in given:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise _wrong(f"unknown {where} name {name!r}; known: {listed}", f"/{where}/{escape(name)}")
    missing = sorted(set(known) - set(given))
    if required and missing:
        raise _wrong(f"missing {where} name {missing[0]!r}", f"/{where}")
    found = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            found[name] = known[name].validate_python(value)
        except ValidationError as error:
            raise invalid(error.errors(include_url=False), f"/{where}/{escape(name)}") from None
    return found


def _portions(row: Operation, body: Any) -> list[Portion]:
    if row.body is None:
        if body is not None:
            raise _wrong(f"{row.name} takes no body", "/body")
        return [Portion(None)]
    if body is None:
        raise _wrong(f"{row.name} needs a body", "/body")
    return portions(row.bulk, body)


def _called(row: Operation, path: dict[str, str], query: dict[str, str | list[str]], portion: Portion) -> Called:
    encoded = None
    if row.body is not None:
        try:
            encoded = encode_body(row.body.model_validate(portion.body))
        except ValidationError as error:
            problem = invalid(error.errors(include_url=False), "", portion.body)
            pointer = in_whole(problem.pointer, row.bulk, portion.first)
            place = f"/body{pointer or ''}"
            _, _, what = problem.detail.partition(": ")
            raise InvalidRecord(problem.reason, f"{place[1:]}: {what}", place) from None
    return Called(
        Request(row.name, row.method, row.template, path, query, encoded),
        values_at(row.sessions, path, portion.body),
        values_at(row.profiles, path, portion.body),
        [(kind, value) for kind, place in row.others for value in values_at((place,), path, portion.body)],
        portion.entries,
        portion.first,
    )


def _meant(operation: str) -> str:
    """A guess at the operation whose name was misspelt, or spelt as other languages do."""
    spelt = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()
    near = get_close_matches(spelt, OPERATIONS, n=1, cutoff=0.8)
    return f"; is {near[0]} meant?" if near else ""


def _wrong(detail: str, pointer: str) -> InvalidRecord:
    return InvalidRecord(Reason.INVALID_FIELD, detail, pointer)
