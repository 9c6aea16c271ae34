"""What a job has left to send, counted in its staging database, and the question before it is sent."""

from sqlite3 import Connection

from beam_talonone.pipelines.terminal.words import counted, listed
from beam_talonone.schemas.kinds import KINDS

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
