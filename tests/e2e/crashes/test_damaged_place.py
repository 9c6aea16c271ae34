"""A flipped bit in the place of a document: the dead letter must not hold another record."""

import sqlite3
from contextlib import closing
from pathlib import Path

from e2e.harness import STOPPED, USAGE, backfill, cli, event, simulator, start, wait_until, write_kinds


def test_a_dead_letter_never_holds_another_record(tmp_path: Path) -> None:
    """The place 64 becomes 65. A replay of the dead letter would send the event 65 again, and never 64."""
    records = [event(f"e{n}", f"c{n}", n, attributes={"unheard": 1} if n == 64 else {"n": n}) for n in range(100)]
    inputs = write_kinds(tmp_path, {"events": records})
    with simulator(unknown_attributes=("unheard",)) as sim:
        words = backfill(sim.url, inputs, tmp_path / "out", "--rate", 60)
        running = start(*words)
        wait_until(lambda: sim.summary()["requests"] > 70, "the event was refused", running)
        running.kill()
        with closing(sqlite3.connect(tmp_path / "out/state/spool.sqlite", isolation_level=None)) as connection:
            flipped = "UPDATE records SET raw = raw + 1 WHERE id = 'e64' AND raw & 1 = 0"
            assert connection.execute(flipped).rowcount == 1, "as one flipped bit"
        ended = cli(*words, "--rate", 3000, "--resume")
    assert ended.code in (STOPPED, USAGE), ended.err
    assert "spool.sqlite is damaged" in ended.err
