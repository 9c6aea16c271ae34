"""Which records a run with --limit sends, and whether a job has sent anything yet."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works
from beam_talonone.pipelines.backfill.sending.journal import JournalContent, read_journal
from beam_talonone.pipelines.backfill.sending.left_to_send import count_kinds
from beam_talonone.pipelines.backfill.sending.outcome_counts import first_unsent


def select(connection: Any, limit: int) -> set[int]:
    """The numbers of the first `limit` records of each kind, in send order, of those that have no outcome yet.

    A record that shares a customer or a session with an earlier one that waits must wait, too, or it would overtake
    that one. The next of its kind takes its place.
    """
    quotas = {
        kind: min(limit, total - done) for kind, (done, total) in count_kinds(connection).items() if total > done
    }
    if not quotas:
        return set()
    selected: set[int] = set()
    counts: Counter[str] = Counter()
    waiting: set[int] = set()
    """Hashes of the customers, sessions and things of each record that waits."""
    rows = connection.execute(
        f"SELECT number, kind, customer, session, {WORK_OF_RECORD} FROM {_UNSENT}"  # nosec B608
        " AND number >= ? ORDER BY number",
        (first_unsent(connection) or 1,),
    )
    works = Works(connection)
    for number, kind, customer, session, *staged in rows:
        keys = [hash(("profile", customer))] if customer else []
        keys += [hash(("session", session))] if session else []
        if kind == "calls":
            keys += [hash(key) for key in works.read(*staged).keys()]  # noqa: SIM118 - a work is no dict
        if counts[kind] < limit and waiting.isdisjoint(keys):
            selected.add(number)
            counts[kind] += 1
            if all(counts[kind] >= quota for kind, quota in quotas.items()):
                break
        else:
            waiting.update(keys)
    return selected


_UNSENT = "queue JOIN records USING (rec) WHERE rec NOT IN (SELECT rec FROM fates)"


def sent_anything(state: Path) -> bool:
    """Whether the job with the state folder `state` has sent a request on which the API may have acted. Raises
    Damaged."""
    if any(_sent(read_journal(path)) for path in state.glob("journal-*.jsonl")):
        return True
    path = state / "spool.sqlite"
    if not (state / "read").exists() or not path.exists():
        return False
    with closing(staging.reopen(path)) as connection:
        if staging.get_meta(connection, "next") is not None:
            return True
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "targets" not in tables:  # what a verification reads
            return False
        return connection.execute("SELECT 1 FROM targets WHERE done LIMIT 1").fetchone() is not None


def _sent(recorded: JournalContent) -> bool:
    return bool(recorded.done or recorded.parts or any(recorded.in_flight.values()) or recorded.packs)
