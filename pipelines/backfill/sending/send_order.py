"""The send order of a job, and its records in that order, as long as they are as they were staged."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.packed import WORK_OF_RECORD, Works
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.state.sqlite_damage import READING_FAILED, has_other_cause
from beam_talonone.talonone.telemetry.error_text import in_one_line

STRETCH = 10_000
"""Records of the send order that share a checksum."""

_SUMS = (
    f"SELECT (number - 1) / {STRETCH} AS stretch, SUM((rec % 1000003) * (number % 9973 + 1)) FROM queue"  # nosec B608
    " WHERE number BETWEEN ? AND ? GROUP BY stretch"
)
"""Checksums that SQLite itself computes: millions of numbers are not worth a loop of Python."""

SlicedRow = tuple[int, bytes, str | None, bytes | None]
"""A record in send order: number, work, customer, origin."""


def set_send_order(connection: sqlite3.Connection) -> int:
    """Number the records that have no outcome yet in send order; returns how many there are."""
    connection.execute("DELETE FROM queue")
    connection.execute(
        "INSERT INTO queue (rec) SELECT rec FROM records WHERE work IS NOT NULL"  # nosec B608
        f" AND rec NOT IN (SELECT rec FROM fates) ORDER BY {staging.IN_ORDER}"
    )
    total = int(connection.execute("SELECT COUNT(*) FROM queue").fetchone()[0])
    connection.execute("DELETE FROM meta WHERE name GLOB 'order *'")
    for stretch, total_of in connection.execute(_SUMS, (1, total)).fetchall():
        staging.set_meta(connection, f"order {stretch}", str(total_of))
    return total


def slice_rows(path: Path, first: int, last: int) -> Iterator[SlicedRow]:
    """The records `first` to `last` in send order; none where `last` is the smaller.

    Raises Damaged where one is gone or another stands in its place, and where a work is not as it was staged.
    Raises sqlite3.Error with another cause, such as a full disk.
    """
    if last < first:
        return
    expected = first
    try:
        with closing(staging.reopen(path)) as connection:
            _check_order(path, connection, first, last)
            works = Works(connection)
            for number, customer, origin, *staged in connection.execute(
                f"SELECT number, customer, origin, {WORK_OF_RECORD} FROM queue JOIN records USING (rec)"  # nosec B608
                " WHERE number BETWEEN ? AND ? ORDER BY number",
                (first, last),
            ):
                if number != expected:
                    break
                yield number, works.data(*staged), customer, origin
                expected += 1
    except (*READING_FAILED, TypeError, ValueError) as error:
        if has_other_cause(error, path):
            raise
        raise damaged(path, f" (record {expected}: {in_one_line(str(error), 200)})") from None
    if expected != last + 1:
        raise damaged(path, f" (record {expected})")


def _check_order(path: Path, connection: sqlite3.Connection, first: int, last: int) -> None:
    stretches = range((first - 1) // STRETCH, (last - 1) // STRETCH + 1)
    sums = dict(connection.execute(_SUMS, (stretches[0] * STRETCH + 1, (stretches[-1] + 1) * STRETCH)))
    for stretch in stretches:
        noted = staging.get_meta(connection, f"order {stretch}")
        if noted is not None and noted != str(sums.get(stretch)):  # version 0.1 noted none
            raise damaged(path, f" (the order of the records from {stretch * STRETCH + 1:,} on)")
