"""Times by pattern, with the directives of strptime that mean the same everywhere. One pass over the text."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

_MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
]  # fmt: skip
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

_NUMBERS = {
    "Y": ("year", 4, 4), "y": ("short_year", 2, 2), "m": ("month", 1, 2), "d": ("day", 1, 2), "H": ("hour", 1, 2),
    "I": ("half_hour", 1, 2), "M": ("minute", 1, 2), "S": ("second", 1, 2),
}  # fmt: skip
_NAMES = {"B": _MONTHS, "b": [name[:3] for name in _MONTHS], "A": _DAYS, "a": [name[:3] for name in _DAYS]}

MAX_LENGTH = 100
"""Characters of a pattern, and of a time."""


@dataclass
class _Reading:
    text: str
    at: int
    parts: dict[str, int]

    def digits(self, least: int, most: int) -> str:
        end = self.at
        while end < len(self.text) and end - self.at < most and self.text[end] in "0123456789":
            end += 1
        if end - self.at < least:
            raise ValueError(f"expected {least if least == most else f'{least} to {most}'} digits at {self._place()}")
        digits, self.at = self.text[self.at : end], end
        return digits

    def literal(self, text: str) -> None:
        if not self.text.startswith(text, self.at):
            raise ValueError(f"expected '{text}' at {self._place()}")
        self.at += len(text)

    def spaces(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def one_of(self, names: list[str]) -> int:
        rest = self.text[self.at : self.at + 10].lower()
        for number, name in enumerate(names):
            if rest.startswith(name):
                self.at += len(name)
                return number
        raise ValueError(f"expected one of {', '.join(names)} at {self._place()}")

    def _place(self) -> str:
        return f"character {self.at + 1}"


_Step = Callable[[_Reading], None]


@dataclass(frozen=True)
class Pattern:
    """A pattern, ready to read times. `has_offset` says that the time itself has one (%z)."""

    steps: tuple[_Step, ...]
    has_offset: bool

    def read(self, text: str) -> datetime:
        """The time in `text`; without a zone where the pattern has none. Raises ValueError."""
        if len(text) > MAX_LENGTH:
            raise ValueError(f"a time of more than {MAX_LENGTH} characters")
        reading = _Reading(text.strip(), 0, {})
        for step in self.steps:
            step(reading)
        if reading.at < len(reading.text):
            raise ValueError(f"'{reading.text[reading.at :][:20]}' is left over")
        return _moment(reading.parts)


def time_pattern(pattern: str) -> Pattern:
    """The pattern, checked. Raises ValueError for an unknown directive, or a pattern without a whole date."""
    if len(pattern) > MAX_LENGTH:
        raise ValueError(f"a pattern has at most {MAX_LENGTH} characters")
    steps: list[_Step] = []
    directives: set[str] = set()
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "%":
            at += 1
            directive = pattern[at : at + 1]
            directives.add(directive)
            steps.append(_step(directive))
        elif letter.isspace():
            steps.append(_Reading.spaces)
        else:
            steps.append(_literal(letter))
        at += 1
    for choices in ("Yy", "mBb", "d"):
        if not directives & set(choices):
            raise ValueError(f"the pattern '{pattern}' lacks %{' or %'.join(choices)}")
    if ("I" in directives) != ("p" in directives):
        raise ValueError("%I and %p go together")
    return Pattern(tuple(steps), "z" in directives)


def _step(directive: str) -> _Step:
    if directive in _NUMBERS:
        name, least, most = _NUMBERS[directive]
        return lambda reading: reading.parts.__setitem__(name, int(reading.digits(least, most)))
    if directive in ("B", "b"):
        return lambda reading: reading.parts.__setitem__("month", 1 + reading.one_of(_NAMES[directive]))
    if directive in ("A", "a"):
        return lambda reading: reading.parts.__setitem__("weekday", reading.one_of(_NAMES[directive]))
    if directive == "p":
        return lambda reading: reading.parts.__setitem__("afternoon", reading.one_of(["am", "pm"]))
    if directive == "f":
        return lambda reading: reading.parts.__setitem__("microsecond", int(reading.digits(1, 9)[:6].ljust(6, "0")))
    if directive == "z":
        return _offset
    if directive == "%":
        return _literal("%")
    raise ValueError(f"%{directive} is not known: use %Y %y %m %B %b %d %H %I %p %M %S %f %z %A %a")


def _literal(text: str) -> _Step:
    return lambda reading: reading.literal(text)


def _offset(reading: _Reading) -> None:
    sign = reading.text[reading.at : reading.at + 1]
    if sign in ("Z", "z"):
        reading.at += 1
        reading.parts["offset"] = 0
        return
    if sign not in ("+", "-"):
        reading.literal("+")
    reading.at += 1
    hours = int(reading.digits(2, 2))
    if reading.text[reading.at : reading.at + 1] == ":":
        reading.at += 1
    minutes = int(reading.digits(2, 2))
    if hours > 23 or minutes > 59:
        raise ValueError("an offset has at most 23:59")
    reading.parts["offset"] = (1 if sign == "+" else -1) * (60 * hours + minutes)


def _moment(parts: dict[str, int]) -> datetime:
    year = parts.get("year", 0)
    if "short_year" in parts:  # as POSIX reads two digits: 1969 to 2068
        year = parts["short_year"] + (1900 if parts["short_year"] >= 69 else 2000)
    hour = parts.get("hour", 0)
    if "half_hour" in parts:
        if not 1 <= parts["half_hour"] <= 12:
            raise ValueError("an hour of am or pm is 1 to 12")
        hour = parts["half_hour"] % 12 + 12 * parts["afternoon"]
    zone = timezone(timedelta(minutes=parts["offset"])) if "offset" in parts else None
    return datetime(
        year, parts["month"], parts["day"], hour, parts.get("minute", 0), parts.get("second", 0),
        parts.get("microsecond", 0), zone,
    )  # fmt: skip
