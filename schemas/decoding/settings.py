"""How records are read: the settings that decide what a field means and which fields a record may have."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

UnknownFields = Literal["refuse", "ignore"]
Ambiguous = Literal["earlier", "later"]

MAX_FUTURE = "1d"
"""The default of max_future."""

_DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def parse_duration(text: str) -> timedelta:
    """`90s`, `30m`, `12h` or `7d` as a timedelta. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r:.60} is not a duration such as 90s, 30m, 12h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def setting(name: str, *, in_code: bool) -> str:
    """A setting as its user writes it: `base_url` in code and YAML, `--base-url` on the command line."""
    return name if in_code else "--" + name.replace("_", "-")


@dataclass(frozen=True)
class Reading:
    """The settings, checked. It travels in graphs, so all of it pickles.

    `assume_timezone` is the zone of times without an offset, and `ambiguous_time` chooses where such a time stands
    for two instants. An event time more than `max_future` ahead of `now` is refused. `unknown_fields` is "refuse"
    (every unknown field is a dead letter), "ignore" (none is) or None (near misses of a known field are). With
    `in_code` messages name the settings as arguments, else as options of the command line.
    """

    assume_timezone: tzinfo | None = None
    ambiguous_time: Ambiguous | None = None
    max_future: timedelta = timedelta(days=1)
    unknown_fields: UnknownFields | None = None
    in_code: bool = False
    now: Callable[[], datetime] = utc_now

    def setting(self, name: str) -> str:
        """The setting `name` as the user of these settings writes it."""
        return setting(name, in_code=self.in_code)


AS_USUAL = Reading()
"""The defaults of all settings."""
