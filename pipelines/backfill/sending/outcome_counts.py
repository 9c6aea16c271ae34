"""How many records of a job ended in which way: counted as they end, so that nothing reads all records for it.

The table `counts` has a row for each slice and each way to end. Slice 0 is the state before anything was sent: in it,
records to send have no end. Jobs of version 0.1 have no counts; `complete_counts` makes them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sqlite3 import Connection
from typing import NamedTuple

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.reading_ahead.batch import Batch
from beam_talonone.pipelines.backfill.staging_rows import KIND, UNKNOWN_FIELDS, WORK, StagedOutcome
from beam_talonone.talonone.requests.outcome import DONE, End


class Way(NamedTuple):
    """How records of a kind ended. `mapped` is 0 for those that never became requests."""

    kind: str
    end: str = ""
    """Empty for a record that is to be sent."""
    stage: str = ""
    reason: str = ""
    mapped: int = 1


@dataclass
class OutcomeCounts:
    """The counts of a job."""

    read: Counter[str] = field(default_factory=Counter)
    """Records that were read, by kind."""
    mapped: Counter[str] = field(default_factory=Counter)
    """Those of them that became requests."""
    unknown_fields: Counter[str] = field(default_factory=Counter)
    """Unknown fields in them."""
    ended: Counter[Way] = field(default_factory=Counter)


def count_staged(connection: Connection, batch: Batch) -> None:
    """Count records that are staged in the same transaction."""
    kinds, works = batch.column(KIND), batch.column(WORK)
    ended = {
        index: _way(kinds[index], record.outcome, mapped=works[index] is not None)
        for index, record in batch.noted
        if record.outcome is not None
    }
    ways = Counter({Way(kind): records for kind, records in Counter(kinds).items()})
    ways.update(ended.values())
    ways.subtract(Way(kinds[index]) for index in ended)
    unknown: Counter[Way] = Counter()
    if batch.same.get(UNKNOWN_FIELDS) != 0:
        for index, fields in enumerate(batch.column(UNKNOWN_FIELDS)):
            unknown[ended.get(index, Way(kinds[index]))] += fields
    _add(connection, 0, +ways, unknown)


def _way(kind: str, outcome: StagedOutcome, *, mapped: bool) -> Way:
    end, stage, reason, _ = outcome
    return Way(kind, end, stage or "", reason or "", int(mapped))


def count_ended_unsent(connection: Connection, ways: Mapping[Way, int]) -> None:
    """Count staged records that ended before anything was sent, in the same transaction."""
    changes = Counter(ways)
    for way, records in ways.items():
        changes[Way(way.kind)] -= records
    _add(connection, 0, changes, {})


def recount_slice(connection: Connection, number: int, first: int, last: int) -> None:
    """Count the outcomes of a slice, in place of earlier counts of it. `number` counts the slices from 1, `first` and
    `last` are the numbers of its records."""
    kinds = connection.execute("SELECT DISTINCT kind FROM counts WHERE slice = 0 AND end = ''").fetchall()
    # most jobs send one kind: then nobody need read the records, whose rows are long
    kind, records = ("?3", "") if len(kinds) == 1 else ("kind", "CROSS JOIN records USING (rec)")
    counted = connection.execute(
        f"SELECT COUNT(*), {kind}, end, COALESCE(stage, ''), COALESCE(reason, '')"  # nosec B608
        f" FROM queue CROSS JOIN fates USING (rec) {records}"
        f" WHERE number BETWEEN ?1 AND ?2 GROUP BY {kind}, end, stage, reason",
        (first, last, *(kinds[0] if len(kinds) == 1 else ())),
    ).fetchall()
    connection.execute("DELETE FROM counts WHERE slice = ?", (number,))
    _add(connection, number, {Way(*way): records for records, *way in counted}, {})


def _add(connection: Connection, number: int, ways: Mapping[Way, int], unknown: Mapping[Way, int]) -> None:
    connection.executemany(
        "INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " records = records + excluded.records, unknown_fields = unknown_fields + excluded.unknown_fields",
        [(number, *way, records, unknown.get(way, 0)) for way, records in ways.items()],
    )


def complete_counts(connection: Connection, slice_records: int) -> None:
    """Count all records, where the counts are not those of the staging database. A slice has `slice_records`."""
    (queued,) = connection.execute("SELECT COUNT(*) FROM queue").fetchone()
    if queued == _to_send(connection) and _fit(connection):
        return
    outcomes = "COALESCE(end, ''), COALESCE(stage, ''), COALESCE(reason, ''), work IS NOT NULL"
    sent = Counter[tuple[int, Way]]()
    for number, *way in connection.execute(
        f"SELECT (number - 1) / ? + 1, kind, {outcomes}"  # nosec B608
        " FROM queue CROSS JOIN fates USING (rec) CROSS JOIN records USING (rec)",
        (slice_records,),
    ):
        sent[number, Way(*way)] += 1
    before, unknown = Counter[Way](), Counter[Way]()
    for fields, *way in connection.execute(
        f"SELECT unknown_fields, kind, {outcomes} FROM records LEFT JOIN fates USING (rec)"  # nosec B608
    ):
        before[Way(*way)] += 1
        unknown[Way(*way)] += fields
    for (_, way), records in sent.items():
        before[way] -= records
        before[Way(way.kind)] += records
    connection.execute("BEGIN")
    connection.execute("DELETE FROM counts")
    _add(connection, 0, before, unknown)
    for (number, way), records in sent.items():
        _add(connection, number, {way: records}, {})
    connection.execute("COMMIT")


def _to_send(connection: Connection) -> int:
    return _sum(connection, "slice = 0 AND end = ''")


def _sum(connection: Connection, condition: str, values: Sequence[object] = ()) -> int:
    row = connection.execute(
        f"SELECT COALESCE(SUM(records), 0) FROM counts WHERE {condition}",  # nosec B608
        values,
    ).fetchone()
    return int(row[0])


def _fit(connection: Connection) -> bool:
    """Whether as many records are counted as ended as have an outcome. Version 0.1 counted none."""
    if connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'counts'").fetchone() is None:
        return False
    (outcomes,) = connection.execute("SELECT COUNT(*) FROM fates").fetchone()
    read = connection.execute("SELECT 1 FROM counts WHERE slice = 0 LIMIT 1").fetchone()
    return bool(outcomes == _sum(connection, "end <> ''")) and (
        read is not None or connection.execute("SELECT 1 FROM records LIMIT 1").fetchone() is None
    )


def outcome_counts(connection: Connection) -> OutcomeCounts:
    """How the records of a job ended. Reads all records where the counts do not fit the outcomes."""
    counts = OutcomeCounts()
    if not _fit(connection):
        return _counted_again(connection)
    for number, *way, records, unknown in connection.execute("SELECT * FROM counts"):
        key = Way(*way)
        if number == 0:
            _count_read(counts, key.kind, key.mapped, records, unknown)
        if key.end:
            counts.ended[key] += records
    return counts


def _count_read(counts: OutcomeCounts, kind: str, mapped: int, records: int, unknown: int) -> None:
    counts.read[kind] += records
    counts.mapped[kind] += records * mapped
    counts.unknown_fields[kind] += unknown


def _counted_again(connection: Connection) -> OutcomeCounts:
    counts = OutcomeCounts()
    for kind, mapped, unknown in connection.execute("SELECT kind, work IS NOT NULL, unknown_fields FROM records"):
        _count_read(counts, kind, mapped, 1, unknown)
    for way in connection.execute(
        "SELECT kind, end, COALESCE(stage, ''), COALESCE(reason, ''), work IS NOT NULL"
        " FROM fates JOIN records USING (rec)"
    ):
        counts.ended[Way(*way)] += 1
    return counts


def count_read_and_dead(connection: Connection) -> tuple[int, int]:
    """Records that the job has read, and how many of them are dead letters so far."""
    return _sum(connection, "slice = 0"), _sum(connection, "end = ?", (End.DEAD.value,))


def count_unsent(connection: Connection) -> int:
    """Records in the send order that have no outcome yet."""
    return _to_send(connection) - _sum(connection, "slice > 0")


def first_unsent(connection: Connection) -> int | None:
    """The first number of the send order that has no outcome yet; None if all have one."""
    row = connection.execute(
        "SELECT number FROM queue WHERE number >= ? AND rec NOT IN (SELECT rec FROM fates) ORDER BY number LIMIT 1",
        (int(staging.get_meta(connection, "next") or 1),),
    ).fetchone()
    return None if row is None else int(row[0])


def any_applied(connection: Connection) -> bool:
    """True when a record of the job has been applied."""
    return bool(_sum(connection, "end IN (?, ?)", DONE))
