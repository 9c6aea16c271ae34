"""The facts about staged records that one wants to know before a backfill."""

from collections.abc import Iterator
from itertools import islice
from sqlite3 import Connection
from typing import Any

from beam_talonone.pipelines.mappings.shapes import likely_shape
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas import jsonio

SAMPLE = 200
"""Invalid records of a kind in which the shape of a preset is looked for."""

_CLOSED = (
    "SELECT strftime('%Y', MAX(event_us) / 1000000, 'unixepoch') AS year, session FROM queue JOIN records USING (rec)"
    " WHERE kind = 'orders' AND status = 'completed' GROUP BY session"
)
_WITHOUT_ORDER = (
    "SELECT COUNT(*) FROM queue JOIN records AS mine USING (rec) WHERE kind = 'returns' AND NOT EXISTS"
    " (SELECT 1 FROM records AS other WHERE other.kind = 'orders' AND other.session = mine.session)"
)
_INVALID = (
    "SELECT letter FROM fates JOIN records USING (rec) WHERE kind = ? AND stage = 'validate' AND letter IS NOT NULL"
)


def closing_lines(connection: Connection) -> Iterator[str]:
    """How many sessions a backfill closes, by the year of the order."""
    years = connection.execute(f"SELECT year, COUNT(*) FROM ({_CLOSED}) GROUP BY year ORDER BY year").fetchall()  # nosec B608
    if years:
        listed = ", ".join(f"{count:,} dated {year}" for year, count in years)
        yield f"{counted(sum(count for _, count in years), 'session')} will be closed: {listed}"


def orphan_lines(connection: Connection) -> Iterator[str]:
    """How many returns have no order in the input."""
    (count,) = connection.execute(_WITHOUT_ORDER).fetchone()
    if count:
        returns = "1 return has" if count == 1 else f"{count:,} returns have"
        yield f"{returns} no order in the input: Talon.One must have it already"


def shape_lines(connection: Connection, kinds: list[str]) -> Iterator[str]:
    """For each kind whose invalid records look like the documents of a preset, which --mapping to try."""
    for kind in kinds:
        shape = likely_shape(_invalid_records(connection, kind))
        if shape is not None:
            yield f"{kind}: look like documents of {shape.system}: try --mapping {shape.preset}"


def _invalid_records(connection: Connection, kind: str) -> Iterator[Any]:
    for (line,) in islice(connection.execute(_INVALID, (kind,)), SAMPLE):
        yield jsonio.loads_around(line)["record"]
