"""Query parameters: parsers of their text, and the pages that `pageSize` and `skip` select.

A parser takes the decoded text of a parameter, and raises ValueError with a message for the answer.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from beam_talonone.simulator.exchange.answers import Problem, Refusal
from beam_talonone.simulator.exchange.routes import query_values

Parse = Callable[[str], Any]
MAX_PAGE = 1000


class Several(NamedTuple):
    """A parameter of several values: repeated for each, or with `separator` all in one text."""

    parse: Parse
    separator: str | None = None

    def all(self, value: str | list[str]) -> list[Any]:
        """Parse all values of the parameter. Raises ValueError."""
        texts = value if isinstance(value, list) else [value]
        if self.separator is not None:
            texts = texts[-1].split(self.separator)
        return [self.parse(text) for text in texts]


Query = Mapping[str, "Parse | Several"]


def boolean(text: str) -> bool:
    """`true` or `false`."""
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def yes(text: str) -> bool:
    """`yes` or `no`, as the parameter `silent` takes them."""
    if text not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text == "yes"


def instant(text: str) -> datetime:
    """An RFC 3339 timestamp with an offset."""
    moment = datetime.fromisoformat(text) if "T" in text.upper() else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be an RFC 3339 timestamp")
    return moment


def instant_or_day(text: str) -> datetime:
    """A timestamp, or a date, which means its midnight in UTC."""
    if len(text) == 10:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    return instant(text)


def whole(least: int, most: int | None = None) -> Parse:
    """A parser of integers from `least` to `most`, both inclusive."""

    def parse(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            raise ValueError("must be an integer")
        value = int(text)
        if value < least or (most is not None and value > most):
            raise ValueError(f"must be {least} or more" if most is None else f"must be {least} to {most}")
        return value

    return parse


def word(*words: str) -> Parse:
    """A parser of the words of an enum."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return parse


def only_true(text: str) -> bool:
    """A switch that the API refuses to have switched off."""
    if not boolean(text):
        raise ValueError("can only be true")
    return True


REPEATED = Several(str)
JOINED = Several(str, ",")
PAGE: Query = {"pageSize": whole(1, MAX_PAGE), "skip": whole(0)}


def joined(*words: str) -> Several:
    """A parser of several of these words in one text, separated by commas."""
    return Several(word(*words), ",")


def parsed(parsers: Query, raw: bytes) -> dict[str, Any]:
    """Parse the parameters of a raw query that have a parser. Others are ignored; the last value of a repeated one
    counts.

    Raises Refusal 400 with all problems.
    """
    values: dict[str, Any] = {}
    problems = []
    for name, value in query_values(raw).items():
        parse = parsers.get(name)
        if parse is None:
            continue
        try:
            if isinstance(parse, Several):
                values[name] = parse.all(value)
            else:
                values[name] = parse(value[-1] if isinstance(value, list) else value)
        except ValueError as error:
            problems.append(Problem("", "Invalid value", str(error), name))
    if problems:
        raise Refusal(400, "invalid query", problems)
    return values


class Page(NamedTuple):
    """A page: how many rows to leave out, and how many to return."""

    skip: int
    size: int

    def of(self, rows: list[Any]) -> list[Any]:
        """The rows of this page."""
        return rows[self.skip : self.skip + self.size]

    def leaves(self, total: int) -> bool:
        """Whether there are more rows after this page."""
        return self.skip + self.size < total


def page(query: Mapping[str, Any], default: int) -> Page:
    """The page that a parsed query selects, of `default` rows unless the query has a `pageSize`."""
    return Page(query.get("skip", 0), query.get("pageSize", default))
