"""The settings of a run, checked, and apart from how they were typed."""

import re
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path, PurePath
from typing import Any, Literal
from zoneinfo import ZoneInfo

from beam_talonone.pipelines.replay.selection import ALL, ReplaySelection
from beam_talonone.schemas.decoding.account_attributes import AccountAttributes
from beam_talonone.schemas.decoding.settings import MAX_FUTURE, Ambiguous, Reading, UnknownFields, parse_duration
from beam_talonone.schemas.kinds import KINDS, LETTERS, LOOKUPS
from beam_talonone.schemas.types import AmbiguousTime, NaiveTime, parse_instant
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.client_choice import DEFAULT, HttpSettings
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.mapping.result import Mapping
from beam_talonone.transforms.tables.table import Table

NAMED = {LOOKUPS: "--input", LETTERS: "DEAD_LETTERS_GLOB"}
"""The options of inputs that are not named after the kind."""


@dataclass(frozen=True)
class MaxDeadLetters:
    """How many dead letters a run tolerates: a number, or a share that is checked from 1,000 records on."""

    count: int | None = None
    share: float | None = None
    text: str = ""

    FROM = 1000

    def exceeded(self, dead: float, of: int) -> bool:
        """True when `dead` of `of` records are too many."""
        if self.count is not None:
            return dead > self.count
        return self.share is not None and of >= self.FROM and dead > self.share * of


def parse_max_dead_letters(text: str) -> MaxDeadLetters:
    """`N` or `P%`. Raises ConfigurationError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text.strip(), re.ASCII)
    if match is None or (not match[2] and "." in match[1]) or (match[2] and float(match[1]) > 100):
        raise ConfigurationError(f"--max-dead-letters takes a number or a percentage such as 50%, not {text!r}")
    if match[2]:
        return MaxDeadLetters(share=float(match[1]) / 100, text=text)
    return MaxDeadLetters(count=int(match[1]), text=text)


def parse_time_option(name: str, text: str | None, reading: Reading) -> datetime | None:
    """A time given on the command line, read as those of records; a date is its midnight. Raises ConfigurationError
    that names the option."""
    if text is None:
        return None
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text.strip(), re.ASCII):
        if reading.assume_timezone is None:
            raise ConfigurationError(
                f"{name} {text} has no time of day: write {text.strip()}T00:00:00Z, or set --assume-timezone for"
                " midnight in that zone"
            )
        text = f"{text.strip()}T00:00:00"
    try:
        return parse_instant(text, reading.assume_timezone, reading.ambiguous_time)
    except NaiveTime as error:
        raise ConfigurationError(f"{name} {text!r}: {error}, or set --assume-timezone") from None
    except AmbiguousTime as error:
        raise ConfigurationError(f"{name} {text!r}: {error}, or set --ambiguous-time to earlier or later") from None
    except ValueError as error:
        raise ConfigurationError(f"{name} {text!r}: {error}") from None


def parse_zone(text: str | None) -> tzinfo | None:
    """A time zone by its IANA name. Raises ConfigurationError."""
    if text is None:
        return None
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        raise ConfigurationError(
            f"--assume-timezone {text!r} is not a time zone such as Europe/Berlin or UTC"
        ) from None


def reading_of(
    zone: str | None,
    ambiguous: Ambiguous | None,
    max_future: str,
    unknown_fields: UnknownFields | None,
    attributes: AccountAttributes | None = None,
) -> Reading:
    """How records are read, of what was typed. Raises ConfigurationError."""
    try:
        ahead = parse_duration(max_future)
    except ValueError as error:
        raise ConfigurationError(f"--max-future: {error}") from None
    return Reading(parse_zone(zone), ambiguous, ahead, unknown_fields, attributes=attributes)


@dataclass(frozen=True)
class InputOptions:
    """The options that select the input and shape its requests. A resumed job must have the same values."""

    globs: dict[str, str | tuple[str, ...]]
    """Of each kind its pattern, or its patterns where there are several."""
    format: str | None = None
    assume_timezone: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    profiles_first: bool = False
    profile_mode: Literal["bulk", "rules"] = "bulk"
    dry: bool = False
    results: bool = False
    events_api: Literal["v2", "v3"] = "v2"
    operation: str | None = None
    """What a lookup reads."""
    allow_unknown_api_fields: bool = False
    ambiguous_time: Ambiguous | None = None
    max_future: str = MAX_FUTURE
    unknown_fields: UnknownFields | None = None
    attributes: AccountAttributes | None = None
    """Those that the account defines, and whether others are left out."""
    mapping: Mapping | None = None
    """Makes records of foreign documents."""

    joins: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    """The patterns of the files that a mapping joins, by the names of the joins."""

    replay_selection: ReplaySelection = ALL
    """Of a replay: which dead letters are taken, and what is changed in their records."""

    @property
    def table(self) -> Table | None:
        """How a mapping reads its files; None without a mapping."""
        return None if self.mapping is None else self.mapping.table

    @property
    def dialect(self) -> Dialect | None:
        """That of CSV whose rows are foreign documents."""
        return None if self.table is None else self.table.dialect

    def reading(self) -> Reading:
        """How records are read. Raises ConfigurationError."""
        return reading_of(
            self.assume_timezone, self.ambiguous_time, self.max_future, self.unknown_fields, self.attributes
        )

    def build_options(self) -> BuildOptions:
        """How the work of a record is built."""
        return BuildOptions(self.dry, self.results, self.profile_mode, self.events_api, self.allow_unknown_api_fields)

    def as_json(self) -> dict[str, Any]:
        """For job.json, by the command line's names. What a job of an older version does not name stands as None."""
        ahead = self.max_future.strip()
        return {
            **{NAMED.get(kind, f"--{kind}"): _as_json(patterns) for kind, patterns in sorted(self.globs.items())},
            "--format": self.format,
            "--assume-timezone": self.assume_timezone,
            "--since": None if self.since is None else self.since.isoformat(),
            "--until": None if self.until is None else self.until.isoformat(),
            "--profiles-first": self.profiles_first,
            "--profile-mode": self.profile_mode,
            "--dry": self.dry,
            "--results": self.results,
            "--events-api": self.events_api,
            "OPERATION": self.operation,
            # a job of an older version does not name it
            **({"--allow-unknown-api-fields": True} if self.allow_unknown_api_fields else {}),
            "--ambiguous-time": self.ambiguous_time,
            "--max-future": None if parse_duration(ahead) == parse_duration(MAX_FUTURE) else ahead,
            "--unknown-fields": self.unknown_fields,
            **_attributes_as_json(self.attributes),
            "--mapping": None if self.mapping is None else self.mapping.fingerprint,
            **self.replay_selection.as_json(),
            **{f"--join {name}": _as_json(patterns) for name, patterns in sorted(self.joins.items())},
        }


_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*( .*)?", re.ASCII)
"""A Python function as a mapping, with its digest."""


def same_value(name: str, before: Any, now: Any) -> bool:
    """Whether two values of an option, as in `InputOptions.as_json`, mean the same.

    >>> same_value("--mapping", "j.yaml 9f2c", "./j.yaml 9f2c"), same_value("--mapping", "j.yaml 9f2c", "j.yaml 11aa")
    (True, False)
    >>> same_value("--orders", ["a.jsonl"], ["./a.jsonl"])
    True
    """
    return before == now or bool(before and now and _meaning(name, before) == _meaning(name, now))


def _meaning(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_meaning(name, each) for each in value]
    if not isinstance(value, str):
        return value
    if name == "--mapping":  # the text of a file decides, wherever that is; a module has several functions
        return value if _FUNCTION.fullmatch(value) else value.rpartition(" ")[2]
    if name in ("--since", "--until"):
        return datetime.fromisoformat(value)
    if name == "--max-future":
        return parse_duration(value)
    names_files = name.startswith("--join ") or name in (*(f"--{kind}" for kind in KINDS), *NAMED.values())
    return same_path(value) if names_files else value


def same_path(path: str) -> str:
    """A path or a pattern without what makes no difference: `./a` and `a` are the same.

    >>> same_path("./a//b.jsonl"), same_path("gs://b//x")
    ('a/b.jsonl', 'gs://b//x')
    """
    return path if "://" in path else str(PurePath(path))


def _attributes_as_json(attributes: AccountAttributes | None) -> dict[str, Any]:
    if attributes is None:
        return {}
    return {"--attributes": attributes.fingerprint, "--unknown-attributes": "drop" if attributes.drop else "fail"}


def _as_json(patterns: str | tuple[str, ...]) -> str | list[str]:
    # one alone is a text, as it is in the jobs of older versions
    return patterns if isinstance(patterns, str) else list(patterns)


@dataclass(frozen=True)
class SendingOptions:
    """How it is sent."""

    base_url: str
    api_key_env: str = "TALONONE_API_KEY"
    api_key_secret: str | None = None
    """A secret of Secret Manager that holds the key; it goes before the environment variable."""
    rate: float = 100.0
    rate_service: str | None = None
    """HOST:PORT of a service that shares out the rate; `rate` is then the most of it that one process has."""
    concurrency: int = 64
    give_up_after: float = 300.0
    api_is_up: bool = False
    max_dead_letters: MaxDeadLetters = field(default_factory=lambda: MaxDeadLetters(share=0.5, text="50%"))
    edit_closed: str | None = None
    http: HttpSettings = DEFAULT


@dataclass(frozen=True)
class BackfillOptions:
    """All of `backfill` and `replay`."""

    input: InputOptions
    sending: SendingOptions
    output: Path
    resume: bool = False
    limit: int | None = None
    beam_args: tuple[str, ...] = ()
    command: str = "backfill"

    def fixed(self) -> dict[str, Any]:
        """The options that must be the same when the job is resumed, by name."""
        return {
            **self.input.as_json(),
            "--base-url": self.sending.base_url,
            "--edit-closed": self.sending.edit_closed,
        }
