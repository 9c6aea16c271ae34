"""Query parameters: how their text is understood, and the pages that two of them ask for."""

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

    def all(self, given: str | list[str]) -> list[Any]:
        texts = given if isinstance(given, list) else [given]
        if self.separator is not None:
            texts = texts[-1].split(self.separator)
        return [self.parse(text) for text in texts]


Query = Mapping[str, "Parse | Several"]


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text == "yes"


def instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text) if "T" in text.upper() else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be an RFC 3339 timestamp")
    return moment


def instant_or_day(text: str) -> datetime:
    """A timestamp, or a day alone, which counts as its midnight in UTC."""
    if len(text) == 10:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    return instant(text)


def whole(least: int, most: int | None = None) -> Parse:
    def parse(text: str) -> int:
        if not text.removeprefix("-").isdecimal() or not text.isascii():
            raise ValueError("must be an integer")
        value = int(text)
        if value < least or (most is not None and value > most):
            raise ValueError(f"must be {least} or more" if most is None else f"must be {least} to {most}")
        return value

    return parse


def word(*known: str) -> Parse:
    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
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


def joined(*known: str) -> Several:
    """Words of `known` in one text, separated by commas."""
    return Several(word(*known), ",")


def parsed(known: Query, raw: bytes) -> dict[str, Any]:
    """The parameters of a raw query that are `known`, parsed; others are ignored, of a single one the last counts.

    Raises Refusal 400 with all that is wrong.
    """
    values: dict[str, Any] = {}
    problems = []
    for name, given in query_values(raw).items():
        parse = known.get(name)
        if parse is None:
            continue
        try:
            if isinstance(parse, Several):
                values[name] = parse.all(given)
            else:
                values[name] = parse(given[-1] if isinstance(given, list) else given)
        except ValueError as error:
            problems.append(Problem("", "Invalid value", str(error), name))
    if problems:
        raise Refusal(400, "invalid query", problems)
    return values


class Page(NamedTuple):
    """How many rows to leave out, and how many to give then."""

    skip: int
    size: int

    def of(self, rows: list[Any]) -> list[Any]:
        return rows[self.skip : self.skip + self.size]

    def leaves(self, total: int) -> bool:
        """Whether there are rows behind this page."""
        return self.skip + self.size < total


def page(query: Mapping[str, Any], default: int) -> Page:
    """The page that a parsed query asks for; `default` is how many rows it has if the query does not say."""
    return Page(query.get("skip", 0), query.get("pageSize", default))
