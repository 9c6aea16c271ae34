"""How long do the questions take that a backfill asks its staging database, with many records in it?

    python bench/staging_queries.py [profiles|orders] [--records 1000000] [--scratch DIR]

Stages 50,000 records, and copies their rows under other ids until there are enough. Prints the seconds, and those of
processor time, to find repeated records and the send order, to resume after a half is sent, and to make the report.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from common.orders import write_orders
from rich.console import Console
from rich.table import Table
from speed_parts.backfills import write_profiles

from beam_talonone.pipelines.backfill import ingest, staging
from beam_talonone.pipelines.backfill.inputs import match_inputs
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.backfill.report import make_report
from beam_talonone.pipelines.backfill.sending import outcome_counts
from beam_talonone.pipelines.backfill.sending.left_to_send import count_kinds, note_longest_chains
from beam_talonone.pipelines.backfill.sending.send_order import set_send_order
from beam_talonone.pipelines.backfill.sending.slices import SLICE
from beam_talonone.pipelines.terminal.stopping import STOP

STAGED = 50_000

CHANGED = {
    "rec": "rec + {place}", "id": "id || '-{copy}'", "session": "session || '-{copy}'",
    "customer": "customer || '-{copy}'", "identity": "rehashed(identity, {copy})", "event_us": "event_us + {copy}",
    "position": "position + {place}",
}  # fmt: skip


def main() -> None:
    """Build the database, and time what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", choices=["profiles", "orders"], default="profiles")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args()
    table = Table("", "seconds", "processor time", title=f"{arguments.records:,} {arguments.kind}")
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        path = build(Path(folder), arguments.kind, arguments.records)
        with closing(staging.connect(path, fresh=True)) as connection:
            timed(table, "find repeated records", lambda: list(staging.repeated(connection)))
            timed(table, "send order", lambda: set_send_order(connection))
            _send_half(connection)
        table.caption = f"{path.stat().st_size / 1e6:,.0f} MB"
        with closing(staging.reopen(path)) as connection:
            timed(table, "resume", lambda: _resume(connection))
            timed(table, "report.json", lambda: make_report(connection, "bench", 1.0, 0.0, 1.0))
            timed(table, "find the longest chains", lambda: note_longest_chains(connection))
    Console().print(table)


def build(folder: Path, kind: str, records: int) -> Path:
    """A staging database with `records` rows, without a send order; returns its path."""
    source, path = folder / f"{kind}.jsonl", folder / "spool.sqlite"
    if kind == "profiles":
        write_profiles(source, min(records, STAGED))
    else:
        write_orders(source, min(records, STAGED), STAGED // 5)
    options = InputOptions({kind: str(source)})
    with STOP.taking_signals():
        ingest.ingest(path, options, match_inputs(options, print), "bench", ())
    with closing(staging.connect(path, fresh=True)) as connection:
        connection.execute("DELETE FROM queue")
        connection.create_function("rehashed", 2, _rehashed)
        columns = [row[1] for row in connection.execute("PRAGMA table_info(records)")]
        for place in range(STAGED, records, STAGED):
            values = ", ".join(CHANGED.get(name, name) for name in columns)
            values = values.format(place=place, copy=place // STAGED)
            connection.execute(
                f"INSERT INTO records SELECT {values} FROM records WHERE rec <= ? ORDER BY rec",  # nosec B608
                (min(STAGED, records - place),),
            )
        connection.execute("UPDATE counts SET records = ?", (records,))
    return path


def _rehashed(identity: bytes, copy: int) -> bytes:
    return hashlib.blake2b(identity + b"%d" % copy, digest_size=len(identity)).digest()


def _send_half(connection: Connection) -> None:
    """Apply the first half of the send order, in one slice."""
    (total,) = connection.execute("SELECT records FROM counts").fetchone()
    connection.execute("BEGIN")
    connection.execute(
        "INSERT INTO fates SELECT rec, 'applied', NULL, NULL, NULL, NULL FROM queue WHERE number <= ?", (total // 2,)
    )
    outcome_counts.recount_slice(connection, 1, 1, total // 2)
    connection.execute("COMMIT")


def _resume(connection: Connection) -> None:
    """What a resumed job asks before it sends."""
    connection.execute("SELECT COUNT(*) FROM queue").fetchone()
    outcome_counts.complete_counts(connection, SLICE)
    outcome_counts.count_read_and_dead(connection)
    count_kinds(connection)
    outcome_counts.count_unsent(connection)
    outcome_counts.any_applied(connection)
    connection.execute("SELECT letter FROM fates JOIN records USING (rec) WHERE letter IS NOT NULL").fetchall()


def timed(table: Table, name: str, action: Callable[[], Any]) -> None:
    """Add the time of an action to the table."""
    began, used = time.perf_counter(), time.process_time()
    action()
    table.add_row(name, f"{time.perf_counter() - began:.2f}", f"{time.process_time() - used:.2f}")


if __name__ == "__main__":
    main()
