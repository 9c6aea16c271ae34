"""A backfill warns of a column that its mapping reads and that is not there: its orders go as those of guests."""

import json
from pathlib import Path

from e2e.harness import FINISHED, backfill, cli, simulator

MAPPING = """
version: 1
orders:
  fields: {order_id: nr, customer_id: custmer_id, status: "'open'", event_time: at}
"""


def test_the_warning_comes_before_the_sending_and_stands_in_the_report(tmp_path: Path) -> None:
    mapping, orders, output = tmp_path / "m.yaml", tmp_path / "o.csv", tmp_path / "out"
    mapping.write_text(MAPPING)
    orders.write_text("nr,customer_id,at\n1,c,2026-05-01T12:00:00Z\n")
    warning = f"{mapping}: no document in a sample of 1 has custmer_id (line 4, did you mean customer_id?)"
    with simulator() as sim:
        ended = cli(*backfill(sim.url, {"orders": orders}, output, "--mapping", mapping))
    assert ended.code == FINISHED
    lines = ended.err.splitlines()
    assert lines.index(f"beam-talonone: {warning}") < next(
        number for number, line in enumerate(lines) if "sending:" in line
    )
    assert warning in lines, "in the summary"
    assert json.loads((output / "report.json").read_text())["warnings"] == [warning]
    assert "did you mean customer_id?" in (output / "report.html").read_text()
