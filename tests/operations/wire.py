"""A request as it goes on the wire, ours and the official SDK's, in a form in which they can be compared."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.calls import check_request
from beam_talonone.schemas.decoding.parse import parse, parse_lookup
from beam_talonone.schemas.operations import OPERATIONS, Operation
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.requests.build import BuildOptions, build

from .table import Case


@dataclass(frozen=True)
class Wire:
    """`segments` is the path, cut while still encoded and then decoded; numbers with a fraction are decimals."""

    method: str
    segments: list[str]
    query: dict[str, list[str]]
    body: Any


def wire(method: str, target: str, body: Any) -> Wire:
    """`target` is path and query as they stand in the request line, `body` is JSON text or None."""
    path, _, query = target.partition("?")
    values: dict[str, list[str]] = {}
    for name, text in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), errors="strict"):
        values.setdefault(name, []).append(text)
    segments = [unquote(step, errors="strict") for step in path.split("/")]
    return Wire(method, segments, values, None if body is None else json.loads(body, parse_float=Decimal))


def case_record(case: Case, body: Any) -> dict[str, Any]:
    """The `call` record of a case for one of its bodies, or the lookup. A body that is None is left out."""
    record = {"call_id": f"k-{case.operation}", "operation": case.operation, "event_time": "2026-05-01T12:00:00Z"}
    return record | {"path": case.path, "query": case.query} | ({} if body is None else {"body": body})


def our_requests(record: dict[str, Any]) -> list[Request]:
    """The requests that become of a record, as of one from a file; raises InvalidRecord."""
    value = jsonio.loads(json.dumps(record, ensure_ascii=False))
    row = OPERATIONS[value["operation"]]
    if not row.is_read:
        work = build("calls", parse("calls", value).record, BuildOptions())
        return [part.request for part in work.parts]
    lookup, _ = parse_lookup(value)
    return [called.request for called in check_request(row, lookup, Reason.INVALID_LOOKUP)]


def our_wire(record: dict[str, Any]) -> Wire:
    """The one request of a record."""
    (request,) = our_requests(record)
    return wire(request.method, request.target(), request.body)


def times_of(row: Operation) -> set[str]:
    """The names of the query parameters and body fields that are times."""
    found = {name for name, kind in row.query.items() if _is_time(kind.json_schema())}
    return found | (_times(row.body.model_json_schema()) if row.body is not None else set())


def _is_time(schema: dict[str, Any]) -> bool:
    return any(one.get("format") == "date-time" for one in (schema, *schema.get("anyOf", ())))


def _times(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return {name for one in schema for name in _times(one)}
    if not isinstance(schema, dict):
        return set()
    own = {name for name, one in schema.get("properties", {}).items() if _is_time(one)}
    return own | {name for one in schema.values() for name in _times(one)}


def assert_same(ours: Wire, theirs: Wire, times: Collection[str]) -> None:
    """Assert that two requests are the same.

    Texts are equal in every character, numbers by value, and `times` as instants; absent differs from null.
    """
    assert ours.method == theirs.method, (ours.method, theirs.method)
    assert ours.segments == theirs.segments, (ours.segments, theirs.segments)
    assert ours.query.keys() == theirs.query.keys(), (ours.query, theirs.query)
    for name, texts in ours.query.items():
        assert _comparable(texts, name in times) == _comparable(theirs.query[name], name in times), (
            name,
            texts,
            theirs.query[name],
        )
    differences = list(_differences(ours.body, theirs.body, "", times))
    assert differences == [], differences


def _comparable(texts: list[str], are_times: bool) -> list[Any]:
    return [datetime.fromisoformat(text) for text in texts] if are_times else texts


def _differences(ours: Any, theirs: Any, place: str, times: Collection[str]) -> list[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = [f"{place}/{name}: only one has it" for name in ours.keys() ^ theirs.keys()]
        for name in ours.keys() & theirs.keys():
            found += _differences(ours[name], theirs[name], f"{place}/{name}", times)
        return found
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [line for at, (one, other) in pairs for line in _differences(one, other, f"{place}/{at}", times)]
    if place.rpartition("/")[2] in times and isinstance(ours, str) and isinstance(theirs, str):
        same = datetime.fromisoformat(ours) == datetime.fromisoformat(theirs)
    elif isinstance(ours, bool) or isinstance(theirs, bool):
        same = ours is theirs
    else:
        same = ours == theirs
    return [] if same else [f"{place}: {ours!r} and {theirs!r}"]
