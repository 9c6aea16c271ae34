"""What a stream remembers of records that have left: in memory, or in a small store on disk that survives a crash."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from beam_talonone.talonone.sequencer import Order
from beam_talonone.talonone.supersede import Change, change_of
from beam_talonone.talonone.work import Key, Work

FOR_EIGHT_DAYS = 8 * 86_400.0
"""Pub/Sub keeps a message for seven days: a repeat may come as late as that, and is a duplicate still."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS ended (identity BLOB PRIMARY KEY, content BLOB NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sent (
  kind TEXT NOT NULL, id TEXT NOT NULL, event_us INTEGER NOT NULL, rank INTEGER NOT NULL, version INTEGER NOT NULL,
  at REAL NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
  customer TEXT NOT NULL, what TEXT NOT NULL, name TEXT NOT NULL, event_us INTEGER NOT NULL, rank INTEGER NOT NULL,
  version INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (customer, what, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ended_by_age ON ended (at);
CREATE INDEX IF NOT EXISTS sent_by_age ON sent (at);
CREATE INDEX IF NOT EXISTS changes_by_age ON changes (at);
"""


class Store:
    """A Remembered in SQLite: in the file `path`, or in memory without one. `expiry` is in seconds.

    What is noted is on disk when `commit` returns: to be called before a message is acknowledged.
    """

    def __init__(self, path: Path | None = None, expiry: float = FOR_EIGHT_DAYS) -> None:
        self._expiry = expiry
        self._connection = sqlite3.connect(":memory:" if path is None else path, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)

    def content(self, identity: bytes) -> bytes | None:
        row = self._connection.execute("SELECT content FROM ended WHERE identity = ?", (identity,)).fetchone()
        return None if row is None else bytes(row[0])

    def ended(self, work: Work, now: float) -> None:
        self._connection.execute("INSERT OR REPLACE INTO ended VALUES (?, ?, ?)", (work.identity, work.content, now))

    def last_order(self, session: str) -> Order | None:
        return self._sent("order", session)

    def last_of(self, key: Key) -> Order | None:
        return self._sent(*key)

    def newer_changes(self, customer: str, than: Order) -> list[Change]:
        rows = self._connection.execute(
            "SELECT what, name FROM changes WHERE customer = ? AND (event_us, rank, version) > (?, ?, ?)",
            (customer, *than),
        ).fetchall()
        if not rows:
            return []
        names = frozenset(name for what, name in rows if what == "attribute")
        audiences = frozenset(int(name) for what, name in rows if what == "audience")
        return [Change(names, audiences, any(what == "erasure" for what, _ in rows))]

    def sent(self, work: Work, now: float) -> None:
        keys = [*work.keys(), *([("order", work.id)] if work.kind == "orders" else [])]
        self._connection.executemany(
            "INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET"
            " event_us = excluded.event_us, rank = excluded.rank, version = excluded.version, at = excluded.at"
            " WHERE (excluded.event_us, excluded.rank, excluded.version) >= (event_us, rank, version)",
            [(*key, *work.order(), now) for key in keys],
        )
        if work.kind == "profiles":
            self._connection.executemany(
                "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (customer, what, name) DO UPDATE SET"
                " event_us = excluded.event_us, rank = excluded.rank, version = excluded.version, at = excluded.at"
                " WHERE (excluded.event_us, excluded.rank, excluded.version) >= (event_us, rank, version)",
                [(work.id, what, name, *work.order(), now) for what, name in _set_by(change_of(work))],
            )

    def commit(self) -> None:
        self._connection.commit()

    def forget_expired(self, now: float) -> int:
        """Forget what is older than the expiry; returns how much that was."""
        before = now - self._expiry
        return sum(
            self._connection.execute(f"DELETE FROM {table} WHERE at < ?", (before,)).rowcount
            for table in ("ended", "sent", "changes")
        )

    def close(self) -> None:
        self.commit()
        self._connection.close()

    def _sent(self, kind: str, name: str) -> Order | None:
        row: Order | None = self._connection.execute(
            "SELECT event_us, rank, version FROM sent WHERE kind = ? AND id = ?", (kind, name)
        ).fetchone()
        return row


def _set_by(change: Change) -> Iterable[tuple[str, str]]:
    yield from (("attribute", name) for name in change.attributes)
    yield from (("audience", str(audience)) for audience in change.audiences)
    if change.erases:
        yield "erasure", ""
