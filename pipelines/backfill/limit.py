"""Which records a run with --limit sends, and whether a job has sent anything yet."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.journal import Replayed, replay_journal
from beam_talonone.talonone.requests.work import Work


def chosen(connection: Any, limit: int) -> set[int]:
    """The numbers of the first `limit` records of each kind, in the order of sending, of those that have no fate.

    A record that shares a customer or a session with an earlier one that is left for later is left, too: it must not
    overtake that one. The next of its kind takes its place.
    """
    wanted = {
        kind: min(limit, count)
        for kind, count in connection.execute(f"SELECT kind, COUNT(*) FROM {_LEFT} GROUP BY kind").fetchall()
    }
    found: set[int] = set()
    counts: Counter[str] = Counter()
    held: set[int] = set()
    """Hashes of customers, sessions and things: of each record that is left."""
    rows = connection.execute(
        f"SELECT number, kind, customer, session, CASE WHEN kind = 'calls' THEN work END FROM {_LEFT} ORDER BY number"
    )
    for number, kind, customer, session, work in rows:
        keys = [hash(("profile", customer))] if customer else []
        keys += [hash(("session", session))] if session else []
        if work is not None:
            keys += [hash(key) for key in Work.from_bytes(work).keys()]  # noqa: SIM118 - a work is no dict
        if counts[kind] < limit and held.isdisjoint(keys):
            found.add(number)
            counts[kind] += 1
            if all(counts[kind] >= count for kind, count in wanted.items()):
                break
        else:
            held.update(keys)
    return found


_LEFT = "queue JOIN records USING (rec) WHERE rec NOT IN (SELECT rec FROM fates)"


def sent_anything(state: Path) -> bool:
    """Whether a request of the job whose state folder this is was about to leave, and is not known to have left in
    vain."""
    if any(_sent(replay_journal(path)) for path in state.glob("journal-*.jsonl")):
        return True
    path = state / "spool.sqlite"
    if not (state / "read").exists() or not path.exists():
        return False
    with closing(staging.reopen(path)) as connection:
        if staging.get_meta(connection, "next") is not None:
            return True
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "targets" not in tables:  # those of a verification
            return False
        return connection.execute("SELECT 1 FROM targets WHERE done LIMIT 1").fetchone() is not None


def _sent(told: Replayed) -> bool:
    return bool(told.done or told.parts or any(told.in_flight.values()) or told.packs)
