"""Rows that wait to be written to SQLite, many in one statement.

Each statement gives up the interpreter's lock, and gets it back when another thread that computes lets go of it: some
of them for each record cost a busy stream more than all the rest of its work.
"""

import sqlite3
from collections.abc import Collection, Iterator
from itertools import chain, islice
from typing import Any

from beam_talonone.talonone.ordering.sequencer import Order
from beam_talonone.talonone.requests.work import Key

MOST = 256
"""Rows that wait at most: writing them takes a millisecond, which no departure notices."""

TOGETHER = 32
"""Rows in one statement."""

_NEWER = (
    " DO UPDATE SET event_us = excluded.event_us, rank = excluded.rank, version = excluded.version, at = excluded.at"
    " WHERE (excluded.event_us, excluded.rank, excluded.version) >= (event_us, rank, version)"
)
_INSERTS = {
    "ended": ("INSERT OR REPLACE INTO ended VALUES", "(?, ?, ?)", ""),
    "sent": ("INSERT INTO sent VALUES", "(?, ?, ?, ?, ?, ?)", f" ON CONFLICT (kind, id){_NEWER}"),
    "changes": (
        "INSERT INTO changes VALUES", "(?, ?, ?, ?, ?, ?, ?)", f" ON CONFLICT (customer, what, name){_NEWER}"
    ),
    "customers": ("INSERT OR REPLACE INTO customers VALUES", "(?, ?, ?)", ""),
}  # fmt: skip
"""Table -> how a row is written; of what sets something, the newest stays."""


class WriteBehind:
    """What is to be written to the tables of talonone.state.store, and what of it those who read must see before."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._waiting = 0
        self.writes = 0
        """How often all of it was written."""
        self.ended: dict[bytes, tuple[bytes, float]] = {}
        """Identity -> content, and when."""
        self.sent: dict[Key, tuple[Order, float]] = {}
        self.changes: dict[str, dict[tuple[str, str], tuple[Order, float]]] = {}
        """Customer -> (attribute | audience | erasure, name) -> the newest that set it."""
        self.customers: dict[str, tuple[str, float]] = {}
        """Session -> customer."""

    def _begin(self) -> None:
        """Hold the file from the first row to the commit: what is read meanwhile needs no locks of its own."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def note_end(self, identity: bytes, content: bytes, now: float) -> None:
        """A record has ended at `now`, in seconds since 1970, here and below. Each of these may write the buffer."""
        self.ended[identity] = content, now
        self._noted(1)

    def note_sent(self, keys: Collection[Key], order: Order, now: float) -> None:
        """A record was sent that has this place in the order, under these keys (session, customer, order)."""
        for key in keys:
            _newest(self.sent, key, order, now)
        self._noted(len(keys))

    def note_changes(self, customer: str, settings: Collection[tuple[str, str]], order: Order, now: float) -> None:
        """A profile change was sent: `settings` are the (attribute | audience | erasure, name) that it sets."""
        marks = self.changes.setdefault(customer, {})
        for setting in settings:
            _newest(marks, setting, order, now)
        self._noted(len(settings))

    def note_customer(self, session: str, customer: str, now: float) -> None:
        """The order of a session was sent for this customer."""
        self.customers[session] = customer, now
        self._noted(1)

    def write(self) -> None:
        """Write all of it; `commit` is the caller's."""
        self._waiting = 0
        self.writes += 1
        self._insert("ended", ((key, *row) for key, row in self.ended.items()))
        self._insert("sent", ((*key, *order, at) for key, (order, at) in self.sent.items()))
        self._insert(
            "changes",
            (
                (customer, *what, *order, at)
                for customer, known in self.changes.items()
                for what, (order, at) in known.items()
            ),
        )
        self._insert("customers", ((key, *row) for key, row in self.customers.items()))
        for written in (self.ended, self.sent, self.changes, self.customers):
            written.clear()

    def _noted(self, rows: int) -> None:
        """So many rows more wait: written when they are enough."""
        self._waiting += rows
        self._begin()
        if self._waiting >= MOST:
            self.write()

    def _insert(self, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
        into, row, then = _INSERTS[table]
        while portion := list(islice(rows, TOGETHER)):
            if len(portion) == TOGETHER:
                whole = f"{into} {', '.join([row] * TOGETHER)}{then}"
                self._connection.execute(whole, list(chain.from_iterable(portion)))
            else:
                self._connection.executemany(f"{into} {row}{then}", portion)


def _newest(marks: dict[Any, tuple[Order, float]], key: object, order: Order, now: float) -> None:
    before = marks.get(key)
    if before is None or order >= before[0]:
        marks[key] = order, now
