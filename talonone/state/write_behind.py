"""A buffer of rows for SQLite, which writes many rows in one statement.

Each statement releases the interpreter's lock, and waits until a busy thread yields it again. A few statements for
each record would cost a busy stream more than the rest of its work.
"""

import sqlite3
from collections.abc import Collection, Iterator
from itertools import chain, islice
from typing import Any

from beam_talonone.talonone.ordering.state_store import Order
from beam_talonone.talonone.requests.work import Key

MOST = 256
"""The most rows that wait. Writing them takes a millisecond, which delays no request."""

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
"""Table -> (statement, row, conflict clause). Of rows with one key, the newest stays."""


class WriteBehind:
    """Rows for the tables of talonone.state.store. Readers of the store look here first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._waiting = 0
        self.writes = 0
        """Number of times that the buffer was written."""
        self.ended: dict[bytes, tuple[bytes, float]] = {}
        """Identity -> (content, time)."""
        self.sent: dict[Key, tuple[Order, float]] = {}
        self.changes: dict[str, dict[tuple[str, str], tuple[Order, float]]] = {}
        """Customer -> (attribute | audience | erasure, name) -> (sort key of the newest change, time)."""
        self.customers: dict[str, tuple[str, float]] = {}
        """Session -> customer."""

    def _begin(self) -> None:
        """Lock the file from the first row to the commit, so that reads in between need no locks of their own."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def note_end(self, identity: bytes, content: bytes, now: float) -> None:
        """Note the end of a record at `now`, in seconds since 1970. Each `note_` method may write the buffer."""
        self.ended[identity] = content, now
        self._noted(1)

    def note_sent(self, keys: Collection[Key], order: Order, now: float) -> None:
        """Note that a record with the sort key `order` was sent under `keys` (session, customer, order)."""
        for key in keys:
            _newest(self.sent, key, order, now)
        self._noted(len(keys))

    def note_changes(self, customer: str, settings: Collection[tuple[str, str]], order: Order, now: float) -> None:
        """Note a profile change that was sent. `settings` are its (attribute | audience | erasure, name)."""
        marks = self.changes.setdefault(customer, {})
        for setting in settings:
            _newest(marks, setting, order, now)
        self._noted(len(settings))

    def note_customer(self, session: str, customer: str, now: float) -> None:
        """Note that the order of a session was sent for `customer`."""
        self.customers[session] = customer, now
        self._noted(1)

    def write(self) -> None:
        """Write all rows. The caller commits. Raises sqlite3.Error."""
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
        """Count `rows` more rows, and write the buffer once it has MOST."""
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
