"""The memory of a stream for the records of one key, as plain data that fits in a Beam state."""

from typing import Any

import msgspec

from beam_talonone.talonone.ordering.marks import change_that_set, marks_of
from beam_talonone.talonone.ordering.state_store import Order
from beam_talonone.talonone.requests.supersede import Change
from beam_talonone.talonone.requests.work import Key, Work

MOST = 50_000
"""The most entries of each table, a few MB. The memory of a key is read and written as a whole, so it must stay
small. At this size, as for one busy catalog, a key drops its oldest entries before --remember is over
(docs/runners.md)."""

Mark = tuple[Order, float]
"""(sort key of the record, time at which it was noted)."""


class PerKeyState(msgspec.Struct, array_like=True):
    """A StateStore in dicts. Each dict holds the oldest entry first. Times are in seconds since 1970."""

    identities: dict[bytes, tuple[bytes, float]] = {}
    """Identity of a record that has ended -> (content, time)."""
    last: dict[str, Mark] = {}
    """Key as KIND/ID, such as a session, customer or order -> the latest record that was sent."""
    changes: dict[str, dict[str, Mark]] = {}
    """Customer -> WHAT/NAME that was set, such as attribute/city -> mark."""

    def recall(self, work: Work) -> tuple[bytes | None, Order | None]:
        """See StateStore."""
        orders = [order for key in work.keys() if (order := self.last_of(key)) is not None]  # noqa: SIM118
        return self.content(work.identity), max(orders, default=None)

    def content(self, identity: bytes) -> bytes | None:
        """The content digest of the ended record with this identity; None if there is none, or it was forgotten."""
        entry = self.identities.get(identity)
        return None if entry is None else entry[0]

    def ended(self, work: Work, now: float) -> None:
        """See StateStore."""
        self.identities.pop(work.identity, None)
        self.identities[work.identity] = work.content, now
        _trim(self.identities)

    def last_order(self, session: str) -> Order | None:
        """See StateStore."""
        return self.last_of(("order", session))

    def last_of(self, key: Key) -> Order | None:
        """The sort key of the latest record under `key` that was sent; None without one."""
        mark = self.last.get("/".join(key))
        return None if mark is None else mark[0]

    def newer_changes(self, customer: str, than: Order) -> list[Change]:
        """See StateStore. Returns at most one change, which sets all names of the newer changes."""
        marks = self.changes.get(customer, {})
        newer = [name.partition("/")[::2] for name, (order, _) in marks.items() if order > than]
        return [change_that_set(newer)] if newer else []

    def sent(self, work: Work, now: float) -> None:
        """See StateStore. Of two records under one key, the one with the higher sort key stays."""
        marks = marks_of(work)
        for key in marks.sent:
            _note(self.last, "/".join(key), marks.order, now)
        _trim(self.last)
        if marks.changes:
            known = self.changes.setdefault(marks.customer, {})
            for what, name in marks.changes:
                _note(known, f"{what}/{name}", marks.order, now)
            _trim(known)

    def forget(self, now: float, expiry: float) -> None:
        """Drop the entries that are `expiry` seconds old at `now`."""
        for marks in self._all():
            _forget(marks, now, expiry)
        self.changes = {customer: known for customer, known in self.changes.items() if known}

    @property
    def latest(self) -> float | None:
        """The time of the newest entry; None if there is none."""
        return max((next(reversed(marks.values()))[1] for marks in self._all() if marks), default=None)

    def _all(self) -> list[dict[Any, Any]]:
        return [self.identities, self.last, *self.changes.values()]


def _note(marks: dict[str, Mark], name: str, order: Order, now: float) -> None:
    existing = marks.get(name)
    if existing is None or order >= existing[0]:
        marks.pop(name, None)
        marks[name] = order, now


def _trim(marks: dict[Any, Any]) -> None:
    while len(marks) > MOST:
        del marks[next(iter(marks))]


def _forget(marks: dict[Any, Any], now: float, expiry: float) -> None:
    # the sum that says when to look again, not a difference: rounded otherwise, it would say so for ever
    while marks and next(iter(marks.values()))[1] + expiry <= now:
        del marks[next(iter(marks))]
