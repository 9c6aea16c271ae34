"""A stop while the input is read, in every format: exit 1, nothing sent, and the whole input on --resume.

bench/stops.py stops at random moments of every phase and command.
"""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pyarrow
import pytest
from pyarrow import parquet

from e2e.harness import (
    FINISHED,
    STOPPED,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    profile,
    simulator,
    start,
    wait_until,
    write,
)

COUNT = 20_000


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator() as made:
        yield made


def _avro(path: Path, records: list[Json]) -> None:
    fields: list[Any] = [{"name": name, "type": "string"} for name in ("customer_id", "event_time")]
    attributes = {"type": "record", "name": "A", "fields": [{"name": "a", "type": "long"}]}
    schema = {"type": "record", "name": "P", "fields": [*fields, {"name": "attributes", "type": attributes}]}
    with path.open("wb") as file:
        fastavro.writer(file, schema, records, sync_interval=2000)


FORMATS: dict[str, Callable[[Path, list[Json]], Any]] = {
    "jsonl": write,
    "csv": lambda path, records: write(
        path, ["customer_id,event_time", *(f"{one['customer_id']},{one['event_time']}" for one in records)]
    ),
    "avro": _avro,
    "parquet": lambda path, records: parquet.write_table(
        pyarrow.Table.from_pylist(records), path, row_group_size=200
    ),
}


@pytest.mark.parametrize(
    ("format", "number"), [*zip(FORMATS, [signal.SIGTERM, signal.SIGINT, signal.SIGINT, signal.SIGHUP], strict=True)]
)
def test_a_stop_while_reading(sim: Simulator, tmp_path: Path, format: str, number: signal.Signals) -> None:
    sim.reset()
    source = tmp_path / f"profiles.{format}"
    FORMATS[format](source, [profile(f"c{count}", 0, {"a": 1}) for count in range(COUNT)])
    words = backfill(sim.url, {"profiles": source}, tmp_path / "out")
    running = start(*words)
    spool = tmp_path / "out" / "state" / "spool.sqlite"
    wait_until(lambda: spool.exists() and spool.stat().st_size > 500_000, "reading has begun", running)
    running.signal(number)
    running.end(30).says(STOPPED, number.name, "go on with --resume")
    assert sim.summary()["requests"] == 0
    assert not (tmp_path / "out" / "dead-letters").exists()
    assert cli(*words, "--resume").code == FINISHED
    counts = assert_balanced(tmp_path / "out")["kinds"]["profiles"]
    assert (counts["read"], counts["applied"]) == (COUNT, COUNT)
