"""Checks of JSON values, composed of small ones. Each takes a value and returns the problems in it.

The check of a valid value returns the empty tuple and builds no pointer, because nearly all values are valid.
Pointers are built from the inside out, and only for problems.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from beam_talonone.simulator.exchange.answers import Problem

Problems = tuple[Problem, ...]
Check = Callable[[Any], Problems]
GOOD: Problems = ()

MAX_EXPONENT = 308  # the API stores binary doubles, which end there


def wrong(title: str, details: str) -> Problems:
    """One problem with the value itself. `under` adds the steps of its pointer."""
    return (Problem("", title, details),)


def under(name: str | int, problems: Iterable[Problem]) -> Problems:
    """The same problems, one level further in: under the field or index `name`."""
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
    """One of the words of an enum."""
    allowed = frozenset(words)

    def check(value: Any) -> Problems:
        if type(value) is str and value in allowed:
            return GOOD
        return wrong("Invalid value", f"must be one of {', '.join(words)}")

    return check


def integer(*, least: int | None = None, most: int | None = None) -> Check:
    """An integer from `least` to `most`, both inclusive. A decimal such as 3.0 is none."""

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
    """True or false; no text or number counts as one."""
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
    """A number that fits a binary double, as the API stores numbers."""
    if type(value) is Decimal:
        return (
            GOOD
            if -MAX_EXPONENT <= value.adjusted() <= MAX_EXPONENT
            else wrong("Out of range", "must be a number of 64 bits")
        )
    if type(value) is int:
        return (
            GOOD
            if -(10**MAX_EXPONENT) < value < 10**MAX_EXPONENT
            else wrong("Out of range", "must be a number of 64 bits")
        )
    return _type("a number")


def any_object(value: Any) -> Problems:
    """An object with any fields."""
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
        all_problems = GOOD
        for index, item in enumerate(value):
            problems = entry(item)
            if problems:
                all_problems += under(index, problems)
        return all_problems

    return check


def mapping(entry: Check) -> Check:
    """An object whose values all pass `entry`."""

    def check(value: Any) -> Problems:
        if type(value) is not dict:
            return _type("an object")
        all_problems = GOOD
        for name, item in value.items():
            problems = entry(item)
            if problems:
                all_problems += under(name, problems)
        return all_problems

    return check


def fields(checks: Mapping[str, Check], required: Collection[str] = (), *, closed: bool = False) -> Check:
    """An object whose fields pass their checks, and that has all `required` ones.

    Unknown fields are ignored, unless the object is `closed`.
    """
    check_of = checks.get

    def check(value: Any) -> Problems:
        if type(value) is not dict:
            return _type("an object")
        all_problems = GOOD
        for name, item in value.items():
            inner = check_of(name)
            if inner is not None:
                problems = inner(item)
                if problems:
                    all_problems += under(name, problems)
            elif closed:
                all_problems += under(name, wrong("Unknown", "is not a field of this request"))
        for name in required:
            if name not in value:
                all_problems += under(name, wrong("Missing", "is required"))
        return all_problems

    return check


def both(first: Check, then: Check) -> Check:
    """A value that passes both checks. `then` runs only if the value passes `first`."""

    def check(value: Any) -> Problems:
        return first(value) or then(value)

    return check


def attributes(unknown: Collection[str], known: Collection[str] | None) -> Check:
    """An object of attributes: none of `unknown`, and only those in `known` unless that is None."""
    if not unknown and known is None:
        return any_object
    denied, allowed = frozenset(unknown), None if known is None else frozenset(known)

    def check(value: Any) -> Problems:
        if type(value) is not dict:
            return _type("an object")
        all_problems = GOOD
        for name in value:
            if name in denied or (allowed is not None and name not in allowed):
                all_problems += under(name, wrong("Unknown", f"attribute {name!r} is not defined in this account"))
        return all_problems

    return check
