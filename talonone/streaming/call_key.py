"""What a call is ordered by where each record has one lane: of all that it holds, the thing that matters most."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from beam_talonone.schemas.operation import values_at
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.talonone.requests.work import Key, Work

T = TypeVar("T")

SEVERAL: Key = ("calls", "several")
"""The lane of calls that name several customers and nothing that they have in common."""


def call_lane(work: Work) -> Key:
    """The customer whom a call names, if it is one; else its catalog, audience, coupon, card or program; else its
    `ordering_key`.

    A call that names several customers and no more shares a lane with its like. One that holds nothing has a lane of
    its own. A session goes before all of these, and is not looked at here.
    """
    named = _customers(work)
    if len(named) == 1:
        return ("profile", named[0])
    things = [key for key in work.others if key[0] != "call"]
    if things:
        return things[0]
    if len(work.profiles) > len(named):
        return ("profile", work.profiles[-1])
    return SEVERAL if named else ("call", work.id)


def _customers(work: Work) -> list[str]:
    """The customers that the requests name: without the `ordering_key`, which stands last among the profiles."""
    found: dict[str, None] = {}
    for part in work.parts:
        request = part.request
        places = OPERATIONS[request.operation].profiles
        found.update(dict.fromkeys(values_at(places, request.path, request.body_json() if places else None)))
    return list(found)


def together(works: Iterable[tuple[Work, T]]) -> Iterator[tuple[str, T]]:
    """(lane, value) for calls in order: those that hold a thing in common, or through others, have one lane.

    Calls of one id are together, too, so that a repeat is found.
    """
    above: dict[Key, Key] = {}

    def top(key: Key) -> Key:
        while above.setdefault(key, key) != key:
            above[key] = key = above[above[key]]
        return key

    entries = []
    for work, value in works:
        own = top(("call", work.id))
        for key in work.keys():  # noqa: SIM118 - a work is no dict
            above[top(key)] = own
        entries.append((own, value))
    for own, value in entries:
        yield "/".join(top(own)), value
