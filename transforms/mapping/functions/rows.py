"""Arrays of rows: line references, repeated rows, and lists of names and values."""

from typing import Any

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.errors import EvaluationError
from beam_talonone.transforms.mapping.expressions.compiler import Function
from beam_talonone.transforms.mapping.expressions.environment import Environment, Evaluate
from beam_talonone.transforms.mapping.expressions.values import brief, text_of
from beam_talonone.transforms.mapping.functions.arguments import array, expected


def _position_of(environment: Environment, rows: Any, key: Evaluate, reference: Any) -> int | None:
    """Where the one row stands (from 0) whose key is the reference. An id counts as its digits."""
    if reference is None:
        return None
    entries = array(rows)
    environment.charge(len(entries))
    wanted = _id(reference)
    places = [at for at, row in enumerate(entries) if _id(key(row, environment)) == wanted]
    if len(places) != 1:
        often = "no row has" if not places else f"{len(places)} rows have"
        raise EvaluationError(f"{often} the key {brief(reference)}", Reason.UNKNOWN_LINE)
    return places[0]


def _id(value: Any) -> str | None:
    return None if value is None else text_of(value)


def _group_rows(environment: Environment, rows: Any, key: Evaluate) -> list[dict[str, Any]]:
    """Rows of one key as one object: `key`, `first` (the first row), `count`, `rows`; ordered by the first rows."""
    entries = array(rows)
    environment.charge(2 * len(entries))
    groups: dict[Any, dict[str, Any]] = {}
    for row in entries:
        value = key(row, environment)
        if type(value) in (list, dict):
            raise expected("a text or number as the key of a row", value)
        group = groups.setdefault((type(value) is bool, value), {"key": value, "first": row, "count": 0, "rows": []})
        group["count"] += 1
        group["rows"].append(row)
    return list(groups.values())


def _to_object(environment: Environment, rows: Any, name: Evaluate, value: Evaluate) -> dict[str, Any] | None:
    """An object of the rows' names and values. A row without a name is left out; the last of a name counts."""
    if rows is None:
        return None
    entries = array(rows)
    environment.charge(len(entries))
    found: dict[str, Any] = {}
    for row in entries:
        title = name(row, environment)
        if title is None or title == "":
            continue
        spelt = text_of(title)
        if spelt is None:
            raise expected("a text as a name", title)
        found[spelt] = value(row, environment)
    return found


FUNCTIONS = {
    "position_of": Function(_position_of, 3, 3, expressions=(1,)),
    "group_rows": Function(_group_rows, 2, 2, expressions=(1,)),
    "to_object": Function(_to_object, 3, 3, expressions=(1, 2)),
}
