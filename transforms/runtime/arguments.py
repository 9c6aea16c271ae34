"""Arguments of a transform, checked where it is made: text that says false is not a flag, and 1.5 no count.

Each check returns the value, and raises ConfigurationError with a line that names the argument.
"""

import re
from collections.abc import Collection
from numbers import Integral
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from beam_talonone.schemas.decoding.settings import Reading, parse_duration
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.mapping.result import Mapping

MOST = 1_000_000
"""A rate, a number of requests or a time in seconds above it is a mistake."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SURELY_A_NAME = re.compile(r"[A-Z][A-Z0-9]{0,19}(_[A-Z0-9]{1,20})+", re.ASCII)


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that only counts as one of them."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} is True or False, not {shown(value)}")
    return value


def text(name: str, value: Any) -> str:
    """A str. The error does not show another value, which may be a key in the wrong place."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} is text, not {type(value).__name__}")
    return value


def file_name(name: str, value: Any) -> str:
    """A str that can name a file."""
    if not text(name, value).strip() or not value.isprintable():
        raise ConfigurationError(f"{name} is the name of a file, not {shown(value)}")
    return str(value)


def function(name: str, value: Any) -> Any:
    """A callable."""
    if not callable(value):
        raise ConfigurationError(f"{name} is a function, not {shown(value)}")
    return value


def mapping(name: str, value: Any) -> Mapping | None:
    """What turns an element, a document, into records: of what `--mapping` takes, of a path, or of a function that
    gets the document and returns (kind, record) pairs. None for None.
    """
    if value is None:
        return None
    from beam_talonone.transforms.mapping.errors import MappingFileError
    from beam_talonone.transforms.mapping.mapping import FunctionMapping
    from beam_talonone.transforms.mapping.resolve import resolve_mapping

    if callable(value):
        return FunctionMapping(_name_of(value), value)
    if not isinstance(value, str | Path) or not str(value).strip() or not str(value).isprintable():
        raise ConfigurationError(f"{name} is a preset, a file, pkg.mod:func or a function, not {shown(value)}")
    try:
        resolved = resolve_mapping(str(value))
    except MappingFileError as error:
        raise ConfigurationError(f"{name}: {error}") from None
    if resolved.table.makes_documents_of_rows:
        raise ConfigurationError(
            f"{name} {resolved.name} makes documents of several rows (group_by, fill_down or join in `table`):"
            " elements are documents already; use it with backfill, check or verify on one machine"
        )
    return resolved


def _name_of(function: Any) -> str:
    """`pkg.mod:func` of a function, or of the type of another callable such as a partial."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def one_of(name: str, value: Any, allowed: Collection[str | None]) -> Any:
    """One of a few words, or None where that is among them."""
    if not (value is None or isinstance(value, str)) or value not in allowed:
        raise ConfigurationError(f"{name} is one of {', '.join(map(str, allowed))}, not {shown(value)}")
    return value


def reading(zone: Any, ambiguous: Any, max_future: Any, unknown_fields: Any) -> Reading:
    """How records are read, of the arguments of a step."""
    one_of("ambiguous_time", ambiguous, ("earlier", "later", None))
    one_of("unknown_fields", unknown_fields, ("refuse", "ignore", None))
    if zone is not None and text("assume_timezone", zone) not in available_timezones():
        raise ConfigurationError(f"assume_timezone {zone!r} is not a time zone such as Europe/Berlin")
    try:
        ahead = parse_duration(text("max_future", max_future))
    except ValueError as error:
        raise ConfigurationError(f"max_future: {error}") from None
    return Reading(None if zone is None else ZoneInfo(zone), ambiguous, ahead, unknown_fields, in_code=True)


def number(name: str, value: Any, most: float = MOST) -> float:
    """An int or a float above 0 and below `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < most:
        raise ConfigurationError(f"{name} is a number above 0 and below {most:,}, not {shown(value)}")
    return value


def seconds(name: str, value: Any, most: float) -> float:
    """An int or a float from 0 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ConfigurationError(f"{name} is a number of seconds from 0 to {most:,.0f}, not {shown(value)}")
    return float(value)


def whole(name: str, value: Any, most: int = MOST) -> int:
    """An int, or NumPy's, of at least 1 and below `most`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 < int(value) < most:
        raise ConfigurationError(f"{name} is a whole number above 0 and below {most:,}, not {shown(value)}")
    return int(value)


def variable(name: str, value: Any) -> str:
    """The name of an environment variable. The error does not show another value, which may be a key."""
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ConfigurationError(f"{name} is the name of an environment variable that holds the key, not the key")
    return value


def shown_variable(name: str, variable: str) -> str:
    """The environment variable that the argument `name` names, in words.

    The words contain the name only if it cannot be a key: capital words joined by `_`.
    """
    if _SURELY_A_NAME.fullmatch(variable):
        return f"the environment variable {variable}"
    return f"the environment variable that {name} names"


def shown(value: object) -> str:
    """`value` for a line of text: at most 60 characters of it."""
    try:
        return f"{value!r:.60}"
    except ValueError:  # an integer of thousands of digits has no text
        return "an integer of thousands of digits"
