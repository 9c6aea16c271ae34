"""The settings for reading records: the meaning of times, and which fields a record may have."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from beam_talonone.schemas.decoding.account_attributes import AccountAttributes

UnknownFields = Literal["refuse", "ignore"]
Ambiguous = Literal["earlier", "later"]

MAX_FUTURE = "1d"
"""The default of max_future."""

_DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def utc_now() -> datetime:
    """The time of this machine's clock, in UTC."""
    return datetime.now(UTC)


def parse_duration(text: str) -> timedelta:
    """Parse a duration such as `90s`, `30m`, `12h` or `7d`. Raises ValueError for other text."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r:.60} is not a duration such as 90s, 30m, 12h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def setting(name: str, *, in_code: bool) -> str:
    """The user's spelling of a setting: `base_url` in code and YAML, `--base-url` on the command line."""
    return name if in_code else "--" + name.replace("_", "-")


@dataclass(frozen=True)
class Reading:
    """The checked settings. They are pickled into graphs.

    * `assume_timezone`: the zone of times without an offset.
    * `ambiguous_time`: the choice if such a time stands for two instants.
    * `max_future`: a record with an event time further ahead of `now` is refused.
    * `unknown_fields`: "refuse" makes records with unknown fields dead letters, "ignore" none, None those with near
      misses of a known field.
    * `attributes`: those that the account defines; None: they are not checked.
    * `in_code`: messages name the settings as arguments, not as options of the command line.
    """

    assume_timezone: tzinfo | None = None
    ambiguous_time: Ambiguous | None = None
    max_future: timedelta = timedelta(days=1)
    unknown_fields: UnknownFields | None = None
    in_code: bool = False
    attributes: AccountAttributes | None = None
    now: Callable[[], datetime] = utc_now

    def setting(self, name: str) -> str:
        """The spelling of the setting `name` for the user of these settings."""
        return setting(name, in_code=self.in_code)


AS_USUAL = Reading()
"""The defaults of all settings."""
