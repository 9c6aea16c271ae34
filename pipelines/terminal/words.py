"""Counts and times in words, for all that a person reads at the terminal."""

import textwrap
from collections.abc import Iterable
from datetime import timedelta


def counted(count: int, thing: str, things: str | None = None) -> str:
    """`count` with its noun: one thing, or several, whose plural is `things` if that is not `thing` with an s.

    >>> counted(1, "request"), counted(2950, "request"), counted(1, "retry", "retries")
    ('1 request', '2,950 requests', '1 retry')
    """
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def of_all(done: int, total: int, things: str) -> str:
    """How many of all `things` are done; the plural becomes a singular for one.

    >>> of_all(2, 2950, "records"), of_all(0, 1, "records")
    ('2 of 2,950 records', '0 of 1 record')
    """
    return f"{done:,} of {counted(total, things.removesuffix('s'), things)}"


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds; fractions are left out.

    >>> duration(61.9), duration(100_000)
    ('0:01:01', '1 day, 3:46:40')
    """
    return str(timedelta(seconds=int(seconds)))


def per_second(rate: float) -> str:
    """A rate without its unit: whole from 10 a second on.

    >>> per_second(99.7), per_second(0.25)
    ('100', '0.2')
    """
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}".removesuffix(".0")


def wrapped(text: str, width: int, indent: str = "  ") -> str:
    """`text` in lines of at most `width` characters, or 20, broken between words; its later lines are indented.

    >>> wrapped("answers: 2,942 x 200, 8 x 400", 22)
    'answers: 2,942 x 200,\\n  8 x 400'
    """
    if len(text) <= width:
        return text
    return textwrap.fill(
        text, max(20, width), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def listed(things: Iterable[str]) -> str:
    """Things in a row, separated by commas, with `and` before the last.

    >>> listed(["1 order"]), listed(["2 orders", "1 return", "3 events"])
    ('1 order', '2 orders, 1 return and 3 events')
    """
    *first, last = things
    return f"{', '.join(first)} and {last}" if first else last
