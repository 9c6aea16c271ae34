"""Checks of JSON values, put together from small ones: each takes a value and gives the problems it has.

A check of a good value gives the empty tuple and builds no pointer, because good values are nearly all. Pointers
grow from the inside out, only where something is wrong.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from beam_talonone.simulator.exchange.answers import Problem

Problems = tuple[Problem, ...]
Check = Callable[[Any], Problems]
GOOD: Problems = ()

MAX_EXPONENT = 308  # the API counts in binary doubles; beyond that a number cannot be told


def wrong(title: str, details: str) -> Problems:
    return (Problem("", title, details),)


def under(name: str | int, problems: Iterable[Problem]) -> Problems:
    """The same problems, one level further in."""
    step = "/" + str(name).replace("~", "~0").replace("/", "~1")
    return tuple(problem._replace(pointer=step + problem.pointer) for problem in problems)


def _type(expected: str) -> Problems:
    return wrong("Invalid type", f"must be {expected}")


def text(*, least: int = 0, most: int | None = None) -> Check:
    """A string of `least` to `most` characters."""

    def check(value: Any) -> Problems:
        if type(value) is not str:
            return _type("a string")
        if len(value) < least:
            return wrong("Too short", "must not be empty" if least == 1 else f"must have at least {least} characters")
        if most is not None and len(value) > most:
            return wrong("Too long", f"must not be longer than {most} characters")
        return GOOD

    return check


def one_of(*words: str) -> Check:
    known = frozenset(words)

    def check(value: Any) -> Problems:
        if type(value) is str and value in known:
            return GOOD
        return wrong("Invalid value", f"must be one of {', '.join(words)}")

    return check


def integer(*, least: int | None = None, most: int | None = None) -> Check:
    def check(value: Any) -> Problems:
        if type(value) is not int:
            return _type("an integer")
        if least is not None and value < least:
            return wrong("Too small", f"must be at least {least}")
        if most is not None and value > most:
            return wrong("Too large", f"must be at most {most}")
        return GOOD

    return check


def boolean(value: Any) -> Problems:
    return GOOD if type(value) is bool else _type("true or false")


def time(value: Any) -> Problems:
    """RFC 3339 text, with an offset."""
    if type(value) is not str:
        return _type("a string")
    try:
        right = value[10:11] == "T" and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        right = False
    return GOOD if right else wrong("Invalid value", "must be an RFC 3339 timestamp")


def number(value: Any) -> Problems:
    if type(value) is Decimal:
        return (
            GOOD
            if -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT
            else wrong("Out of range", "is no number of 64 bits")
        )
    if type(value) is int:
        return (
            GOOD
            if -(10**MAX_EXPONENT) < value < 10**MAX_EXPONENT
            else wrong("Out of range", "is no number of 64 bits")
        )
    return _type("a number")


def any_object(value: Any) -> Problems:
    return GOOD if type(value) is dict else _type("an object")


def array(entry: Check, *, most: int | None = None, least: int = 0) -> Check:
    """A list of `least` to `most` values that pass `entry`."""

    def check(value: Any) -> Problems:
        if type(value) is not list:
            return _type("an array")
        if most is not None and len(value) > most:
            return wrong("Too many", f"must not have more than {most} entries")
        if len(value) < least:
            return wrong("Too few", f"must have at least {least} entries")
        found = GOOD
        for index, one in enumerate(value):
            problems = entry(one)
            if problems:
                found += under(index, problems)
        return found

    return check


def mapping(entry: Check) -> Check:
    """An object whose values all pass `entry`."""

    def check(value: Any) -> Problems:
        if type(value) is not dict:
            return _type("an object")
        found = GOOD
        for name, one in value.items():
            problems = entry(one)
            if problems:
                found += under(name, problems)
        return found

    return check


def fields(known: Mapping[str, Check], required: Collection[str] = (), *, closed: bool = False) -> Check:
    """An object whose fields pass their checks and has all that are `required`.

    Fields not known are ignored, unless it is `closed` to them.
    """
    check_of = known.get

    def check(value: Any) -> Problems:
        if type(value) is not dict:
            return _type("an object")
        found = GOOD
        for name, one in value.items():
            inner = check_of(name)
            if inner is not None:
                problems = inner(one)
                if problems:
                    found += under(name, problems)
            elif closed:
                found += under(name, wrong("Unknown", "is not a field of this request"))
        for name in required:
            if name not in value:
                found += under(name, wrong("Missing", "is required"))
        return found

    return check


def both(first: Check, then: Check) -> Check:
    """`then` is asked only about what passed `first`."""

    def check(value: Any) -> Problems:
        return first(value) or then(value)

    return check


def attributes(unknown: Collection[str], known: Collection[str] | None) -> Check:
    """An object of attributes the account has: none of `unknown`, and only `known` ones where that is given."""
    if not unknown and known is None:
        return any_object
    denied, allowed = frozenset(unknown), None if known is None else frozenset(known)

    def check(value: Any) -> Problems:
        if type(value) is not dict:
            return _type("an object")
        found = GOOD
        for name in value:
            if name in denied or (allowed is not None and name not in allowed):
                found += under(name, wrong("Unknown", f"attribute {name!r} is not defined in this account"))
        return found

    return check
