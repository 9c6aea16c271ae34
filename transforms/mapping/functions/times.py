"""Times: by pattern, RFC 2822, epochs. All come out as RFC 3339 text in UTC, and what is not clear is refused.

A date stays the date that was written: it has no zone.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from beam_talonone.schemas.decoding.settings import Ambiguous
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.types import AmbiguousTime, NaiveTime, parse_instant
from beam_talonone.transforms.mapping.errors import EvaluationError
from beam_talonone.transforms.mapping.expressions.compiler import Function
from beam_talonone.transforms.mapping.expressions.environment import Environment
from beam_talonone.transforms.mapping.expressions.values import brief
from beam_talonone.transforms.mapping.functions.arguments import EXACT, expected, number
from beam_talonone.transforms.mapping.functions.patterns import MAX_LENGTH, time_pattern

ISO = "iso"
"""The pattern for RFC 3339 times that lack an offset: 2026-05-01T12:00:00."""

_UNKNOWN_PLACE = re.compile(r"\s-0000\b", re.ASCII)
"""The offset of RFC 2822 for a time in UTC whose writer is anywhere."""

_ODD_OFFSET = re.compile(r"\s[+-](?!\d{4}\b)\d", re.ASCII)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"s": 1_000_000, "ms": 1000, "us": 1}


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _time(pattern: Any, zone: Any = None, ambiguous: Any = "refuse") -> Callable[..., Any]:
    if ambiguous not in ("earlier", "later", "refuse"):
        raise ValueError("local times that occur twice or never: 'earlier', 'later' or 'refuse'")
    read = _reader(str(pattern), None if zone is None else _zone(str(zone)))
    choice = cast(Ambiguous | None, None if ambiguous == "refuse" else ambiguous)

    def time(environment: Environment, value: Any) -> str | None:
        if value is None or value == "":
            return None
        if type(value) is not str or len(value) > MAX_LENGTH:
            raise expected("a time as text", value)
        try:
            return _rfc3339(read(value, choice))
        except AmbiguousTime as error:
            raise EvaluationError(
                f"{error}, or a third argument 'earlier' or 'later' to `time`", Reason.AMBIGUOUS_TIME
            ) from None
        except NaiveTime:
            raise EvaluationError(f"{brief(value)} has no offset: name its zone", Reason.NAIVE_TIME) from None
        except (ValueError, OverflowError) as error:
            raise EvaluationError(f"{brief(value)} does not fit {brief(pattern)}: {error}") from None

    return time


def _date(pattern: Any) -> Callable[..., Any]:
    read = time_pattern(str(pattern)).read

    def date(environment: Environment, value: Any) -> str | None:
        if value is None or value == "":
            return None
        if type(value) is not str or len(value) > MAX_LENGTH:
            raise expected("a date as text", value)
        try:
            return read(value).date().isoformat()
        except (ValueError, OverflowError) as error:
            raise EvaluationError(f"{brief(value)} does not fit {brief(pattern)}: {error}") from None

    return date


def _reader(pattern: str, zone: ZoneInfo | None) -> Callable[[str, Ambiguous | None], datetime]:
    if pattern == ISO:
        return lambda value, choice: parse_instant(value.strip(), zone, choice)
    found = time_pattern(pattern)
    if found.has_offset and zone is not None:
        raise ValueError("the pattern has %z, so the time needs no zone: leave out the third argument")
    if not found.has_offset and zone is None:
        raise ValueError("the zone is missing: name it as the third argument, such as 'Europe/Berlin'")
    return lambda value, choice: parse_instant(found.read(value), zone, choice)


def _zone(name: str) -> ZoneInfo:
    """Read when the mapping is loaded: no expression reads a file."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {brief(name)}, expected a name such as 'Europe/Berlin'") from None


def _rfc2822(environment: Environment, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if type(value) is not str or len(value) > MAX_LENGTH:
        raise expected("a time as text", value)
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None and _UNKNOWN_PLACE.search(value):
            moment = moment.replace(tzinfo=UTC)
        # The email package reads CEST or +02:00 as no zone, and +2 as two minutes.
        if moment.tzinfo is None or _ODD_OFFSET.search(value):
            raise EvaluationError(f"{brief(value)} has no zone of RFC 2822, such as +0200 or GMT", Reason.NAIVE_TIME)
        return _rfc3339(moment)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        raise expected("an RFC 2822 time such as Fri, 01 May 2026 12:00:00 +0200", value) from None


def _epoch(unit: Any) -> Callable[..., Any]:
    if unit not in _UNITS:
        raise ValueError("the unit of an epoch is 's', 'ms' or 'us'")
    factor = Decimal(_UNITS[unit])

    def epoch(environment: Environment, value: Any) -> str | None:
        if value is None or value == "":
            return None
        micros = EXACT.multiply(number(value), factor)
        try:
            return _rfc3339(_EPOCH + timedelta(microseconds=int(micros)))
        except OverflowError:
            raise expected(f"a time since 1970 in {unit}", value) from None

    return epoch


def _to_epoch(unit: Any) -> Callable[..., Any]:
    if unit not in _UNITS:
        raise ValueError("the unit of an epoch is 's', 'ms' or 'us'")
    factor = _UNITS[unit]

    def to_epoch(environment: Environment, value: Any) -> int | None:
        if value is None or value == "":
            return None
        if type(value) is not str or len(value) > MAX_LENGTH:
            raise expected("a time as text", value)
        try:
            return (parse_instant(value) - _EPOCH) // timedelta(microseconds=1) // factor
        except ValueError as error:
            raise EvaluationError(f"{brief(value)}: {error}") from None

    return to_epoch


FUNCTIONS = {
    "time": Function(_time, 2, 4, literals=1, prepare=_time),
    "date": Function(_date, 2, 2, literals=1, prepare=_date),
    "rfc2822": Function(_rfc2822, 1, 1),
    "epoch": Function(_epoch, 2, 2, literals=1, prepare=_epoch),
    "to_epoch": Function(_to_epoch, 2, 2, literals=1, prepare=_to_epoch),
}
