"""Numbers as they are typed, understood or refused in our own words: rates, seconds, and counts."""

import re
from collections.abc import Callable

from beam_talonone.talonone.errors import ConfigurationError

_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_A_TIME = {
    "": 1.0,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
_UNITS = {
    **_A_TIME,
    "seconds": 1.0,
    "minutes": 60.0,
    "hours": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
    "days": 86_400.0,
}


def a_second(typed: str | float) -> float:
    """A rate: 100, 100/s or 6000/min. Raises ConfigurationError."""
    if not isinstance(typed, str):
        return typed  # a default
    match = re.fullmatch(rf"{_NUMBER}(?:\s*/\s*([a-z]+))?", typed.strip().lower(), re.ASCII)
    if match is None or (match[2] or "") not in _A_TIME:
        raise ConfigurationError(f"--rate takes requests a second, such as 100, 100/s or 6000/min, not {typed!r}")
    return float(match[1]) / _A_TIME[match[2] or ""]


def seconds_of(option: str) -> Callable[[str | float], float]:
    """What reads the seconds of an option: 300, 300s or 5m. It raises ConfigurationError."""

    def read(typed: str | float) -> float:
        if not isinstance(typed, str):
            return typed
        match = re.fullmatch(rf"{_NUMBER}\s*([a-z]*)", typed.strip().lower(), re.ASCII)
        if match is None or match[2] not in _UNITS:
            raise ConfigurationError(f"{option} takes seconds, such as 300, or a time such as 5m, not {typed!r}")
        return float(match[1]) * _UNITS[match[2]]

    return read


def whole(option: str, least: int = 1, most: int | None = None) -> Callable[[str | int], int]:
    """What reads a whole number of an option, from `least` to `most`. It raises ConfigurationError."""
    allowed = f"from {least:,} up" if most is None else f"from {least:,} to {most:,}"

    def read(typed: str | int) -> int:
        text = str(typed).strip()
        number = int(text) if re.fullmatch(r"-?\d{1,18}", text, re.ASCII) else None
        if number is None or number < least or (most is not None and number > most):
            raise ConfigurationError(f"{option} takes a whole number {allowed}, not {str(typed)!r:.60}")
        return number

    return read


def positive(name: str, value: float) -> float:
    """`value`, if it is above 0 and finite. Raises ConfigurationError that names the option."""
    if not 0 < value < 1e6:
        raise ConfigurationError(f"{name} takes a number above 0 and below a million, not {value:g}")
    return value


def within(name: str, value: float, most: float) -> float:
    """The seconds `value`, if from 0 to `most`. Raises ConfigurationError that names the option."""
    if not 0.0 <= value <= most:
        raise ConfigurationError(f"{name} takes seconds from 0 to {most:g}, not {value:g}")
    return value
