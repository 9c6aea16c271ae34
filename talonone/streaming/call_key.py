"""The key by which a call is ordered, for runners on which each record has one key: its most important one."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from beam_talonone.schemas.operation import values_at
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.talonone.requests.work import Key, Work

T = TypeVar("T")

SEVERAL: Key = ("calls", "several")
"""The key of calls that name several customers and no common object."""


def call_key(work: Work) -> Key:
    """Return the key by which a call is ordered.

    It is the customer that the call names, if there is exactly one. Otherwise it is its catalog, audience, coupon,
    card or program, or else its `ordering_key`. All calls that name several customers and nothing else share SEVERAL.
    A call that holds nothing has a key of its own. Callers check for a session first, which goes before all of these.
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
    """The customers that the requests name, without the `ordering_key`, the last one of the profiles."""
    customers: dict[str, None] = {}
    for part in work.parts:
        request = part.request
        places = OPERATIONS[request.operation].profiles
        customers.update(dict.fromkeys(values_at(places, request.path, request.body_json() if places else None)))
    return list(customers)


def together(works: Iterable[tuple[Work, T]]) -> Iterator[tuple[str, T]]:
    """Yield (group, value) for calls, in order. Calls that share a key, also through other calls, have one group.

    Calls with the same id are in one group, too, so that repeats are found.
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
