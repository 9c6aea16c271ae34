"""The expression that reads a field of a record from a path of the sample, and what to check about it."""

import json
import re
from typing import Any, NamedTuple

from beam_talonone.pipelines.mappings.notation import Path, path_expression, yaml_flow
from beam_talonone.pipelines.mappings.null_words import null_words
from beam_talonone.pipelines.mappings.statuses import status_of

_PATTERNS = (
    (re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)"), None),
    (re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?"), "iso"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}"), "%Y-%m-%d %H:%M:%S %z"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "%Y-%m-%d"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d:\d\d"), "%d.%m.%Y %H:%M:%S"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4} \d{1,2}:\d\d"), "%d.%m.%Y %H:%M"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
)
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/\d{4}( \d{1,2}:\d\d(:\d\d)?)?")
_MAIL_TIME = re.compile(r"(\w{3}, )?\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d .+")
_ZONE = "UTC is a guess: write the zone of these times, such as 'Europe/Berlin'"
_BIRTH = re.compile("birth|geburt|dob$")
_COMMA_DECIMAL = re.compile(r"-?[\d.]*\d,\d{1,4}")


class Guess(NamedTuple):
    """A field and its expression."""

    field: str
    value: str
    note: str = ""
    """What to check, behind the expression."""
    above: tuple[str, ...] = ()
    """What to decide: lines of a comment above the field."""


def is_time(path: Path, values: list[Any]) -> bool:
    """Whether these values are times, and not those of a birthday."""
    return not _BIRTH.search(".".join(path).lower()) and all(map(_is_time, values))


def guess(field: str, path: Path, values: list[Any]) -> Guess:
    """The expression that reads `field` at `path`, where the sample has `values`."""
    expression = path_expression(path)
    if words := null_words(values):
        expression = f"empty_to_null({', '.join((expression, *map(_raw, words)))})"
        values = [None if value in words else value for value in values]
    if field == "status":
        return _status(expression, values)
    if field == "event_time":
        return _time(expression, values)
    if field == "unit_price":
        comma = any(isinstance(value, str) and _COMMA_DECIMAL.fullmatch(value) for value in values)
        return Guess(field, f"decimal({expression}, ',', '.')" if comma else f"decimal({expression})")
    if field == "quantity":
        return Guess(field, f"integer({expression})")
    if field == "coupon_codes":
        return Guess(field, f"split({expression}, ',')[].trim(@)", "codes separated by commas")
    return Guess(field, expression)


def with_date_kept(guessed: Guess) -> Guess:
    """The `event_time` of an order, with a comment on how Talon.One keeps the date of the order."""
    above = (
        "Talon.One dates a session itself, when the request arrives. event_time only puts records in order. To keep",
        "the date of the order, create an attribute of sessions in Talon.One, and add it to the fields:",
        f"  attributes: {{ordered_at: {yaml_flow(guessed.value)}}}",
    )
    return guessed._replace(above=(*guessed.above, *above))


def _raw(word: str) -> str:
    """A text as a literal of an expression."""
    return f"'{word}'"


def _is_time(value: Any) -> bool:
    text = value if isinstance(value, str) else ""
    return any(pattern.fullmatch(text) for pattern in (*(pattern for pattern, _ in _PATTERNS), _SLASHES, _MAIL_TIME))


def _status(expression: str, values: list[Any]) -> Guess:
    """The known words of the sample, translated. The others are left out: an order that is closed by mistake stays
    closed."""
    words = sorted({str(value) for value in values if isinstance(value, str | int)})
    table = {word: status for word in words if (status := status_of(word)) is not None}
    unknown = [word for word in words if word not in table]
    above: tuple[str, ...] = ()
    if unknown:
        named = ", ".join(json.dumps(word, ensure_ascii=False) for word in unknown[:20])
        above = (
            f"Words that are not known: {named}{' and others' if len(unknown) > 20 else ''}.",
            'Add each below as "open", "completed" or "cancelled". Until then, such orders are dead letters',
            "(unmapped_value). A completed order closes its session.",
        )
    entries = json.dumps(table, ensure_ascii=not all(map(str.isprintable, table))).replace("`", "\\`")
    return Guess("status", f"translate({expression}, `{entries}`)", "the words of the sample only", above)


def _time(expression: str, values: list[Any]) -> Guess:
    some = next((value for value in values if value is not None), "")
    if isinstance(some, int):
        return Guess("event_time", f"epoch({expression}, '{'ms' if some > 10**11 else 's'}')")
    if _MAIL_TIME.fullmatch(str(some)):
        return Guess("event_time", f"rfc2822({expression})")
    for pattern, directives in _PATTERNS:
        if pattern.fullmatch(str(some)):
            if directives is None:
                return Guess("event_time", expression)
            if "%z" in directives:
                return Guess("event_time", f"time({expression}, '{directives}')")
            return _local_time(expression, directives)
    if dates := [match for value in values if (match := _SLASHES.fullmatch(str(value)))]:
        return _time_with_slashes(expression, dates)
    return Guess("event_time", expression, "the format was not guessed")


def _time_with_slashes(expression: str, dates: list[re.Match[str]]) -> Guess:
    """The month goes first if some date shows it. Where none does, the note says that this is open."""
    is_american = any(int(date[2]) > 12 for date in dates)
    of_day = "" if not dates[0][3] else " %H:%M:%S" if dates[0][4] else " %H:%M"
    guessed = _local_time(expression, ("%m/%d/%Y" if is_american else "%d/%m/%Y") + of_day)
    if is_american or any(int(date[1]) > 12 for date in dates):
        return guessed
    return guessed._replace(note=f"{guessed.note}. The day goes first: that is a guess, too")


def _local_time(expression: str, directives: str) -> Guess:
    return Guess("event_time", f"time({expression}, '{directives}', 'UTC', 'earlier')", _ZONE)
