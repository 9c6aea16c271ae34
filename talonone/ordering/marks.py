"""The marks of a record that is sent: what the memory of a sequencer keeps of it."""

from collections.abc import Iterable, Sequence

import msgspec

from beam_talonone.talonone.ordering.state_store import Order
from beam_talonone.talonone.requests.supersede import Change, change_of
from beam_talonone.talonone.requests.work import Key, Work


class Marks(msgspec.Struct, frozen=True, array_like=True):
    """The entries to remember for a record that is sent: its keys, and the names of a profile that it sets."""

    order: Order
    sent: list[Key]
    customer: str = ""
    changes: list[tuple[str, str]] = []
    """(attribute | audience | erasure, name)."""


def marks_of(work: Work) -> Marks:
    """Return the marks of a record that is sent.

    Only an order is found by its session. Only a profile change sets attributes, audiences or an erasure.
    """
    if work.kind == "orders":
        return Marks(work.order(), [*work.keys(), ("order", work.id)], work.profiles[0])
    if work.kind == "profiles":
        return Marks(work.order(), list(work.keys()), work.id, list(_set_by(change_of(work))))
    return Marks(work.order(), list(work.keys()))


def change_that_set(what: Sequence[tuple[str, str]]) -> Change:
    """Return the change that sets all of `what`: (attribute | audience | erasure, name)."""
    names = frozenset(name for sort, name in what if sort == "attribute")
    audiences = frozenset(int(name) for sort, name in what if sort == "audience")
    return Change(names, audiences, any(sort == "erasure" for sort, _ in what))


def _set_by(change: Change) -> Iterable[tuple[str, str]]:
    yield from (("attribute", name) for name in change.attributes)
    yield from (("audience", str(audience)) for audience in change.audiences)
    if change.erases:
        yield "erasure", ""
