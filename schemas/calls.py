"""Checks of a `call` record against the operation table, before anything is sent."""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from beam_talonone.schemas.operation import encode_body
from beam_talonone.schemas.operations import OPERATIONS, Operation
from beam_talonone.schemas.parse import InvalidRecord, escape, invalid
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import Call


@dataclass(frozen=True, slots=True)
class Called:
    """A call that the table allows: what to send, and the sessions and profiles it holds."""

    operation: Operation
    path: dict[str, str]
    query: dict[str, Any]
    body: bytes | None
    sessions: list[str]
    profiles: list[str]


def check_call(call: Call) -> Called:
    """What `call` sends. Raises InvalidRecord when the table or the body's model refuses it."""
    row = OPERATIONS.get(call.operation)
    if row is None:
        raise InvalidRecord(Reason.UNKNOWN_OPERATION, f"there is no operation {call.operation!r}", "/operation")
    if row.is_read:
        raise InvalidRecord(
            Reason.READ_OPERATION,
            f"{row.name} reads; a call writes. Use `beam-talonone lookup`",
            "/operation",
        )
    _check_names("path", call.path, set(row.path_names), required=True)
    _check_names("query", call.query, set(row.query), required=False)
    query = {name: _query_value(row, name, value) for name, value in call.query.items() if value is not None}
    body = _body(row, call.body)
    places = {"path": call.path, "body": call.body}
    return Called(row, call.path, query, body, _ids(row.sessions, places), _ids(row.profiles, places))


def _check_names(where: str, given: dict[str, Any], known: set[str], *, required: bool) -> None:
    for name in given:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise InvalidRecord(
                Reason.INVALID_CALL,
                f"unknown {where} name {name!r}; known: {listed}",
                f"/{where}/{escape(name)}",
            )
    missing = sorted(known - set(given))
    if required and missing:
        raise InvalidRecord(Reason.INVALID_CALL, f"missing {where} name {missing[0]!r}", f"/{where}")


def _query_value(row: Operation, name: str, value: Any) -> Any:
    try:
        return row.query[name].validate_python(value)
    except ValidationError as error:
        found = invalid(error.errors(include_url=False), f"/query/{escape(name)}")
        raise InvalidRecord(Reason.INVALID_CALL, found.detail, found.pointer) from None


def _body(row: Operation, body: Any) -> bytes | None:
    if row.body is None:
        if body is not None:
            raise InvalidRecord(Reason.INVALID_CALL, f"{row.name} takes no body", "/body")
        return None
    if body is None:
        raise InvalidRecord(Reason.INVALID_CALL, f"{row.name} needs a body", "/body")
    try:
        return encode_body(row.body.model_validate(body))
    except ValidationError as error:
        found = invalid(error.errors(include_url=False), "/body")
        raise InvalidRecord(Reason.INVALID_CALL, found.detail, found.pointer) from None


def _ids(places: tuple[str, ...], values: dict[str, Any]) -> list[str]:
    """The ids found at `places` (see Operation), each once, in order."""
    found: list[str] = []
    for place in places:
        where, _, rest = place.partition(":")
        found += _walk(values[where], rest.split("/"))
    return list(dict.fromkeys(found))


def _walk(value: Any, names: list[str]) -> list[str]:
    if isinstance(value, list):
        return [found for entry in value for found in _walk(entry, names)]
    if not names:
        return [] if value is None or value == "" else [str(value)]
    return _walk(value.get(names[0]), names[1:]) if isinstance(value, dict) else []
