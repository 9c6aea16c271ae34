"""The memory of a stream for the records that it has sent: in memory, or in an SQLite file that survives a crash."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.ordering.marks import Marks, change_that_set, marks_of
from beam_talonone.talonone.ordering.state_store import Order
from beam_talonone.talonone.requests.supersede import Change
from beam_talonone.talonone.requests.work import Key, Work
from beam_talonone.talonone.state import sqlite_damage
from beam_talonone.talonone.state.private_folder import make_private_file
from beam_talonone.talonone.state.write_behind import WriteBehind

FOR_EIGHT_DAYS = 8 * 86_400.0
"""Seconds. Pub/Sub keeps a message for seven days, so a repeat may come that late, and must still be a duplicate."""

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
CREATE TABLE IF NOT EXISTS customers (
  session TEXT PRIMARY KEY, customer TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS returned (
  identity BLOB PRIMARY KEY, session TEXT NOT NULL, items TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead (session TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_age ON files (at);
CREATE INDEX IF NOT EXISTS dead_by_age ON dead (at);
CREATE INDEX IF NOT EXISTS returned_of ON returned (session);
CREATE INDEX IF NOT EXISTS returned_by_age ON returned (at);
CREATE INDEX IF NOT EXISTS ended_by_age ON ended (at);
CREATE INDEX IF NOT EXISTS sent_by_age ON sent (at);
CREATE INDEX IF NOT EXISTS changes_by_age ON changes (at);
CREATE INDEX IF NOT EXISTS customers_by_age ON customers (at);
"""


MOST_AT_ONCE = 10
"""The most records that `foresee` looks up together."""

_FORESEE = {
    count: "SELECT identity, content, NULL, NULL, NULL, NULL, NULL FROM ended WHERE identity IN"  # nosec B608
    f" ({', '.join('?' * MOST_AT_ONCE)})"
    + " UNION ALL SELECT NULL, NULL, kind, id, event_us, rank, version FROM sent WHERE kind = ? AND id = ?"  # nosec B608
    * count
    for count in (MOST_AT_ONCE, 2 * MOST_AT_ONCE)
}


@dataclass(frozen=True)
class Foreseen:
    """The rows of the file for `identities` and `keys`, as of a lookup after `writes` writes of the buffer."""

    writes: int = -1
    identities: frozenset[bytes] = frozenset()
    keys: frozenset[Key] = frozenset()
    contents: dict[bytes, bytes] = field(default_factory=dict)
    orders: dict[Key, Order] = field(default_factory=dict)


class Store:
    """A StateStore in SQLite: in the file `path`, or in memory without one. `expiry` is in seconds.

    An entry is readable at once, and in the file when `commit` returns. The write-ahead log holds it until then
    (talonone.state.write_ahead_log). Raises ConfigurationError when the file is damaged.
    """

    def __init__(self, path: Path | None = None, expiry: float = FOR_EIGHT_DAYS) -> None:
        self.expiry = expiry
        try:
            self._connection = _opened(path)
        except sqlite_damage.READING_FAILED as error:
            if isinstance(error, UnicodeDecodeError) or sqlite_damage.is_damage(error):
                raise ConfigurationError(sqlite_damage.damaged_store(path, error)) from None
            raise
        self._behind = WriteBehind(self._connection)
        self._foreseen = Foreseen()

    def customer_of(self, session: str) -> str | None:
        """The customer of the latest order that was sent for a session."""
        if session in self._behind.customers:
            return self._behind.customers[session][0]
        row = self._connection.execute("SELECT customer FROM customers WHERE session = ?", (session,)).fetchone()
        return None if row is None else str(row[0])

    def returned_of(self, session: str, besides: bytes = b"") -> list[dict[str, Any]]:
        """The returned items of an order, without those of the return with the identity `besides`."""
        rows = self._connection.execute(
            "SELECT items FROM returned WHERE session = ? AND identity != ?", (session, besides)
        ).fetchall()
        try:
            return [item for (items,) in rows for item in msgspec.json.decode(items)]
        except (ValueError, RecursionError) as error:
            raise sqlite_damage.damage(f"the items of a return of {session!a:.100} are {error}") from None

    def note_dead(self, session: str, now: float) -> None:
        """Note that an order is a dead letter. `now` is in seconds since 1970."""
        self._connection.execute("INSERT OR REPLACE INTO dead VALUES (?, ?)", (session, now))

    def any_ended(self) -> bool:
        """Whether any record has ended with another outcome than a dead letter."""
        return self._connection.execute("SELECT 1 FROM ended LIMIT 1").fetchone() is not None

    def is_dead(self, session: str) -> bool:
        """Whether a version of the order was a dead letter; other versions may have been applied."""
        return self._connection.execute("SELECT 1 FROM dead WHERE session = ?", (session,)).fetchone() is not None

    def note_file(self, name: str, now: float) -> None:
        """Note that a file (gs://BUCKET/OBJECT#GENERATION) was read to its end, and its records have ended."""
        self._connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (name, now))

    def has_file(self, name: str) -> bool:
        """Whether the file was read to its end, and that was not forgotten."""
        return self._connection.execute("SELECT 1 FROM files WHERE name = ?", (name,)).fetchone() is not None

    def recall(self, work: Work) -> tuple[bytes | None, Order | None]:
        """See StateStore. Reads from the result of `foresee` if it covers `work`."""
        keys, behind, foreseen = work.keys(), self._behind, self._foreseen
        is_foreseen = work.identity in foreseen.identities and foreseen.keys.issuperset(keys)
        if not is_foreseen or foreseen.writes != behind.writes:
            latest = [order for key in keys if (order := self.last_of(key)) is not None]
            return self.content(work.identity), max(latest, default=None)
        waiting = behind.ended.get(work.identity)
        content = foreseen.contents.get(work.identity) if waiting is None else waiting[0]
        orders = [order for key in keys if (order := foreseen.orders.get(key)) is not None]
        orders += [sent[0] for key in keys if (sent := behind.sent.get(key)) is not None]
        return content, max(orders, default=None)

    def foresee(self, works: Sequence[Work]) -> None:
        """Look up in one statement the rows that `recall` needs for `works`, which come next."""
        keys = list({key for work in works for key in work.keys()})  # noqa: SIM118  it is no dict
        if not works or len(works) > MOST_AT_ONCE or len(keys) > 2 * MOST_AT_ONCE:
            self._foreseen = Foreseen()  # an older result may be stale: a replay writes to the file, too
            return
        identities = [work.identity for work in works]
        # what is missing is NULL, which equals nothing: two statements in all, which SQLite prepares once
        count = MOST_AT_ONCE if len(keys) <= MOST_AT_ONCE else 2 * MOST_AT_ONCE
        parameters = [*identities, *[None] * (MOST_AT_ONCE - len(works)), *chain.from_iterable(keys)]
        parameters += [None] * (2 * (count - len(keys)))
        rows = self._connection.execute(_FORESEE[count], parameters).fetchall()
        foreseen = self._foreseen = Foreseen(self._behind.writes, frozenset(identities), frozenset(keys))
        for identity, content, kind, name, event_us, rank, version in rows:
            if kind is None:
                foreseen.contents[identity] = content
            else:
                foreseen.orders[kind, name] = event_us, rank, version

    def content(self, identity: bytes) -> bytes | None:
        """The content digest of the ended record with this identity; None if there is none, or it was forgotten."""
        if identity in self._behind.ended:
            return self._behind.ended[identity][0]
        row = self._connection.execute("SELECT content FROM ended WHERE identity = ?", (identity,)).fetchone()
        return None if row is None else bytes(row[0])

    def ended(self, work: Work, now: float) -> None:
        """See StateStore. `now` is in seconds since 1970, here and below."""
        self.note_end(work.identity, work.content, now)

    def note_end(self, identity: bytes, content: bytes, now: float) -> None:
        """As `ended`, by identity and content digest: the write-ahead log holds no more of a record."""
        self._behind.note_end(identity, content, now)

    def note_returned(self, identity: bytes, session: str, items: list[dict[str, Any]], now: float) -> None:
        """Note a return that was applied, with the `items` of its request. Written at once, not buffered."""
        self._connection.execute(
            "INSERT OR REPLACE INTO returned VALUES (?, ?, ?, ?)",
            (identity, session, msgspec.json.encode(items).decode(), now),
        )

    def last_order(self, session: str) -> Order | None:
        """See StateStore."""
        return self._sent("order", session)

    def last_of(self, key: Key) -> Order | None:
        """The sort key of the latest record under `key` that was sent; None without one."""
        return self._sent(*key)

    def newer_changes(self, customer: str, than: Order) -> list[Change]:
        """See StateStore. Returns at most one change, which sets all names of the newer changes."""
        rows = self._connection.execute(
            "SELECT what, name FROM changes WHERE customer = ? AND (event_us, rank, version) > (?, ?, ?)",
            (customer, *than),
        ).fetchall()
        waiting = self._behind.changes.get(customer, {})
        rows += [what for what, (order, _) in waiting.items() if order > than]
        return [change_that_set(rows)] if rows else []

    def sent(self, work: Work, now: float) -> None:
        """See StateStore."""
        self.note(marks_of(work), now)

    def note(self, marks: Marks, now: float) -> None:
        """Note the marks of a record that is sent. An older record than the noted one changes nothing."""
        self._behind.note_sent(marks.sent, marks.order, now)
        session = next((name for kind, name in marks.sent if kind == "order"), None)
        if session is not None:
            self._behind.note_customer(session, marks.customer, now)
        if marks.changes:
            self._behind.note_changes(marks.customer, marks.changes, marks.order, now)

    def commit(self) -> None:
        """Write all entries to the file. Raises sqlite3.Error, for example when the disk is full."""
        self._behind.write()
        self._connection.commit()

    def forget_expired(self, now: float) -> int:
        """Delete the entries older than the expiry; returns their number. `now` is in seconds since 1970."""
        before = now - self.expiry
        self._behind.write()
        return sum(
            self._connection.execute(f"DELETE FROM {table} WHERE at < ?", (before,)).rowcount  # nosec B608
            for table in ("ended", "sent", "changes", "customers", "returned", "dead", "files")
        )

    def close(self) -> None:
        """Commit and close the file. Raises sqlite3.Error when it cannot be written; it is closed all the same."""
        try:
            self.commit()
        finally:
            self._connection.close()

    def _sent(self, kind: str, name: str) -> Order | None:
        row: Order | None = self._connection.execute(
            "SELECT event_us, rank, version FROM sent WHERE kind = ? AND id = ?", (kind, name)
        ).fetchone()
        waiting = self._behind.sent.get((kind, name))
        if waiting is None:
            return row
        return waiting[0] if row is None else max(row, waiting[0])

    def begin(self, timeout: float = 60.0) -> None:
        """Begin a transaction beside a process that writes all the time, between two of its commits.

        The pauses of SQLite's own busy handler hardly ever meet such a moment. Raises sqlite3.OperationalError after
        `timeout` seconds.
        """
        until = time.monotonic() + timeout
        self._connection.execute("PRAGMA busy_timeout = 0")
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(0.0005)
        self._connection.execute("PRAGMA busy_timeout = 60000")


def _opened(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        with suppress(OSError):  # SQLite reports it
            make_private_file(path)
        sqlite_damage.check_header(path)
    # a replay may write to the file of a stream that runs, and waits for its turn
    connection = sqlite3.connect(":memory:" if path is None else path, 60.0, check_same_thread=False)
    try:
        connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
        sqlite_damage.open_schema(connection, SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection
