"""What a job has left to send, counted in its staging database, and the question before it is sent."""

from sqlite3 import Connection
from typing import Literal

import msgspec

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.terminal.words import counted, listed
from beam_talonone.schemas.kinds import KINDS

CHAINS = 10
"""The longest chains that are shown."""

Kinds = dict[str, tuple[int, int]]
"""Records by kind: how many have an outcome, of how many in the send order."""


def count_kinds(connection: Connection) -> Kinds:
    """The records that are to be sent or were sent, by kind in the order of the report."""
    rows = connection.execute(
        "SELECT kind, SUM(CASE WHEN slice > 0 THEN records ELSE 0 END) AS done,"
        " SUM(CASE WHEN slice = 0 AND end = '' THEN records ELSE 0 END) AS total"
        " FROM counts GROUP BY kind HAVING total > 0"
    ).fetchall()
    order = (*KINDS, *(kind for kind, _, _ in rows))
    return {kind: (done, total) for kind, done, total in sorted(rows, key=lambda row: order.index(row[0]))}


def count_closing(connection: Connection) -> int:
    """The sessions that completed orders among the records left to send close. Some may be closed already."""
    row = connection.execute(
        "SELECT COUNT(DISTINCT session) FROM records"
        " WHERE kind = 'orders' AND status = 'completed' AND work IS NOT NULL AND rec NOT IN (SELECT rec FROM fates)"
    ).fetchone()
    return int(row[0])


def question(url: str, kinds: Kinds, closing: int, dead_letters: int, limit: int | None) -> str | None:
    """The facts and the question before anything is sent to `url`. None if nothing is left to send.

    `closing` sessions are closed, and at most `limit` of each kind is sent. The job has `dead_letters` so far:
    records that were refused while they were read, or by the API in an earlier run.
    """
    unsent = {kind: total - done for kind, (done, total) in kinds.items() if total > done}
    left = unsent if limit is None else {kind: min(limit, count) for kind, count in unsent.items()}
    records = sum(left.values())
    if not records:
        return None
    facts = f"{counted(records, 'record')} to send: {listed(counted(left[kind], kind[:-1], kind) for kind in left)}"
    if dead_letters:
        facts += f". {counted(dead_letters, 'dead letter')} so far: see dead-letters in the output folder"
    closing = closing if limit is None else min(limit, closing)
    if closing:
        most = "up to " if limit is not None else ""
        sessions = counted(closing, "session")
        return f"{facts}.\n{most}{sessions} will be closed at {url}, which triggers live campaigns. Go on?"
    return f"{facts}.\nThese records change live data at {url} and may trigger live campaigns. Go on?"


Chain = tuple[Literal["customer", "order"], str, int]
"""A customer, or an order without one, and how many records it has."""


def note_longest_chains(connection: Connection, *, any_longer: bool = True) -> None:
    """Note the longest chains of a job whose input is staged. To find them takes room on the disk, which is there
    before anything is sent. Without `any_longer`, each chain is known to have one record."""
    chains = _find_longest_chains(connection) if any_longer else []
    staging.set_meta(connection, "chains", msgspec.json.encode(chains).decode())


def longest_chains(connection: Connection) -> list[Chain]:
    """The customers, and the orders without one, that have the most records to send."""
    noted = staging.get_meta(connection, "chains")
    if noted is None:  # earlier versions did not note them
        return _find_longest_chains(connection)
    try:
        return msgspec.json.decode(noted, type=list[Chain])
    except msgspec.DecodeError:  # damaged: found again, for a page that says nothing else of them
        return _find_longest_chains(connection)


def _find_longest_chains(connection: Connection) -> list[Chain]:
    rows = connection.execute(  # a name of an order is a BLOB, so that one pass counts both
        "SELECT COALESCE(NULLIF(customer, ''), CAST(session AS BLOB)) AS name, COUNT(*)"
        " FROM records WHERE work IS NOT NULL AND name IS NOT NULL"
        " GROUP BY 1 HAVING COUNT(*) > 1 ORDER BY 2 DESC, 1 LIMIT ?",
        (CHAINS,),
    )
    return [
        ("customer", name, count) if isinstance(name, str) else ("order", name.decode(), count)
        for name, count in rows
    ]
