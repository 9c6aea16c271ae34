"""Texts: defaults, enums, pieces, digests, JSON. Null in is null out, so that an optional field stays optional."""

import hashlib
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.telemetry.error_text import in_one_line
from beam_talonone.transforms.mapping.errors import EvaluationError
from beam_talonone.transforms.mapping.expressions.compiler import MANY, Function
from beam_talonone.transforms.mapping.expressions.environment import Environment
from beam_talonone.transforms.mapping.expressions.values import brief, copied, text_of
from beam_talonone.transforms.mapping.functions.arguments import expected, mapping, text

LONGEST_MESSAGE = 300
"""Characters of the message of `fail` in a dead letter."""


def _default(environment: Environment, *values: Any) -> Any:
    for value in values:
        if value is not None and value != "":
            return value
    return None


def _translate(environment: Environment, value: Any, table: Any, *other: Any) -> Any:
    if value is None:
        return None
    entries = mapping(table)
    name = text(value)
    if name in entries:
        return entries[name]
    if other:
        return other[0]
    known = ", ".join(list(entries)[:10])
    raise EvaluationError(f"no entry for {brief(value)}; the table has {known}", Reason.UNMAPPED_VALUE)


def _empty_to_null(environment: Environment, value: Any, *words: Any) -> Any:
    if type(value) is str:
        environment.charge_text(len(value))
        stripped = value.strip()
        return None if not stripped or stripped in words else value
    return value


def _text(environment: Environment, value: Any) -> str | None:
    return None if value is None else text(value)


def _changed(change: Any) -> Any:
    def call(environment: Environment, value: Any) -> Any:
        if value is None:
            return None
        found = text(value)
        environment.charge_text(len(found))
        return change(found)

    return call


def _concat(environment: Environment, *values: Any) -> str | None:
    if any(value is None for value in values):
        return None
    pieces = [text(value) for value in values]
    environment.charge_text(sum(map(len, pieces)))
    return "".join(pieces)


def _split(environment: Environment, value: Any, separator: Any) -> list[str] | None:
    if value is None:
        return None
    found, by = text(value), text(separator)
    if not by:
        raise EvaluationError("an empty separator")
    environment.charge(1 + len(found))
    return found.split(by)


def _replace(environment: Environment, value: Any, old: Any, new: Any) -> str | None:
    if value is None:
        return None
    found, before, after = text(value), text(old), text(new)
    if not before:
        raise EvaluationError("an empty text to replace")
    environment.charge_text(len(found) + found.count(before) * len(after))
    return found.replace(before, after)


def _sha256(environment: Environment, value: Any) -> str | None:
    if value is None:
        return None
    found = text(value)
    environment.charge_text(len(found))
    try:
        return hashlib.sha256(found.encode()).hexdigest()
    except UnicodeEncodeError:
        raise expected("text that UTF-8 can carry", "a lone surrogate") from None


def _guest(environment: Environment, customer: Any, email: Any, prefix: Any = "guest-") -> Any:
    """The customer's id; without one the prefix and the SHA-256 of the e-mail address; without both null."""
    if customer is not None and customer != "":
        return customer
    if email is None or not (address := text(email).strip().lower()):
        return None
    return text(prefix) + str(_sha256(environment, address))


def _to_string(environment: Environment, value: Any) -> str:
    if type(value) is str:
        return value
    try:
        found = jsonio.dumps(copied(value, environment)).decode()
    except ValueError as error:
        raise EvaluationError(str(error)) from None
    environment.charge_text(len(found))
    return found


def _to_number(environment: Environment, value: Any) -> Any:
    if type(value) is not str:
        return None if text_of(value) is None or type(value) is bool else value
    environment.charge_text(len(value))
    try:
        found = jsonio.loads(value.strip())
    except ValueError:
        return None
    return found if type(found) not in (bool, str) and text_of(found) is not None else None


def _parse_json(environment: Environment, value: Any) -> Any:
    """The value of a JSON text; what is no text is JSON already, as some exports have it."""
    if type(value) is not str:
        return value
    environment.charge_text(len(value))
    try:
        return jsonio.loads(value)
    except ValueError as error:
        raise EvaluationError(f"expected JSON in a text, found {brief(value)}: {error}") from None


def _fail(environment: Environment, message: Any) -> Any:
    raise EvaluationError(in_one_line(text(message), LONGEST_MESSAGE))


FUNCTIONS = {
    "default": Function(_default, 2, MANY),
    "translate": Function(_translate, 2, 3),
    "empty_to_null": Function(_empty_to_null, 1, MANY),
    "text": Function(_text, 1, 1),
    "lower": Function(_changed(str.lower), 1, 1),
    "upper": Function(_changed(str.upper), 1, 1),
    "trim": Function(_changed(str.strip), 1, 1),
    "concat": Function(_concat, 2, MANY),
    "split": Function(_split, 2, 2),
    "replace": Function(_replace, 3, 3),
    "sha256": Function(_sha256, 1, 1),
    "guest": Function(_guest, 2, 3),
    "to_string": Function(_to_string, 1, 1),
    "to_number": Function(_to_number, 1, 1),
    "parse_json": Function(_parse_json, 1, 1),
    "fail": Function(_fail, 1, 1),
}
