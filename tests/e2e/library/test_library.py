"""WriteToTalonOne as a user writes it: ten lines on the in-process runner."""

import os
import re
import subprocess
import sys
from ast import literal_eval
from collections import Counter
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from beam_talonone import ConfigurationError, WriteToTalonOne
from e2e.harness import (
    KEY,
    SESSION,
    Json,
    Simulator,
    event,
    lines,
    order,
    profile,
    returned,
    simulator,
    write,
)


def _to_files(folder: Path, name: str, written: Any) -> None:
    for output in ("applied", "dead_letters", "others"):
        _ = (
            getattr(written, output)
            | f"{name} {output} as text" >> beam.Map(str)
            | f"{name} {output} into files" >> beam.io.WriteToText(str(folder / f"{name}-{output}"))
        )


def _counted(folder: Path, name: str) -> dict[str, int]:
    return {
        output: sum(len(path.read_text().splitlines()) for path in folder.glob(f"{name}-{output}-*"))
        for output in ("applied", "dead_letters", "others")
    }


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.delenv("TALONONE_BASE_URL", raising=False)


def _run(sim: Simulator, folder: Path, kinds: dict[str, list[Json]], **settings: Any) -> dict[str, dict[str, int]]:
    settings = {"base_url": sim.url, "rate": 2000, **settings}
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        for kind, records in kinds.items():
            written = (
                pipeline
                | f"Create {kind}" >> beam.Create(records)
                | f"Write {kind}" >> WriteToTalonOne(kind, **settings)
            )
            _to_files(folder, kind, written)
    return {kind: _counted(folder, kind) for kind in kinds}


def test_records_in_and_outcomes_out(tmp_path: Path) -> None:
    orders = [order(f"o{number}", f"c{number % 50}", "completed", number) for number in range(300)]
    orders += [order(f"o{number}", f"c{number % 50}", "open", number - 1) for number in range(0, 300, 3) if number]
    orders += [orders[0], order("bad", "c1", "completed", 1, attributes={"unheard": 1})]
    orders += [order("lone", "c1", "cancelled", 1), {"order_id": "invalid"}]
    with simulator(unknown_attributes=("unheard",), latency_ms=3) as sim:
        found = _run(
            sim,
            tmp_path,
            {
                "orders": orders,
                "profiles": [profile(f"p{number}", 1, {"n": number}) for number in range(1500)],
                "events": [event("e", "x", 1), event("e", "x", 1), event("e", "x", 2, type="other")],
            },
        )
        assert found == {
            "orders": {"applied": 399, "dead_letters": 2, "others": 2},
            "profiles": {"applied": 1500, "dead_letters": 0, "others": 0},
            "events": {"applied": 1, "dead_letters": 1, "others": 1},
        }
        acted = Counter((row["session"], row["body"]["customerSession"]["state"]) for row in sim.acted(SESSION))
        assert set(acted.values()) == {1}
        assert len(acted) == 399
        states = [row["body"]["customerSession"]["state"] for row in sim.acted(SESSION, session="o3")]
        assert states == ["open", "closed"]
        assert {row["status"] for row in sim.rows("requests")} <= {200, 204, 400, 404}
        assert len(sim.profiles()) == 1500 + 50 + 1
    dead_letters = "".join(path.read_text() for path in tmp_path.glob("*dead_letters*"))
    for word in ("unknown_attribute", "missing_field", "id_reused", "'record': {'order_id': 'invalid'}"):
        assert word in dead_letters
    assert KEY not in dead_letters


def test_the_outcomes_have_the_shapes_of_the_files(tmp_path: Path) -> None:
    with simulator(unknown_attributes=("unheard",)) as sim:
        sim.put_session("o", profileId="c", state="closed", cartItems=[{"sku": "shirt", "quantity": 2}])
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            records = [returned("r", "o", 1), returned("s", "unknown", 1)]
            written = pipeline | beam.Create(records) | WriteToTalonOne("returns", base_url=sim.url)
            for name in ("applied", "dead_letters"):
                _ = getattr(written, name) | name >> beam.Map(
                    lambda one, path: write(Path(path), [one]) and None, str(tmp_path / name)
                )
    (applied,) = lines(tmp_path, "applied")
    assert (applied["kind"], applied["id"], applied["outcome"], applied["status"]) == ("returns", "r", "applied", 200)
    assert set(applied) == {"kind", "id", "operation", "status", "outcome", "effects", "attempts"}
    (dead_letter,) = lines(tmp_path, "dead_letters")
    assert dead_letter["record"] == records[1]
    assert (dead_letter["operation"], dead_letter["status"], dead_letter["stage"]) == (
        "return_cart_items",
        400,
        "send",
    )


def test_what_json_cannot_carry_is_a_dead_letter_with_its_id(tmp_path: Path) -> None:
    odd = {"bytes": b"x", "set": {1}, "object": object(), "nan": float("nan")}
    with simulator() as sim:
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            written = (
                pipeline
                | beam.Create(list(odd))
                | beam.Map(lambda name: order(name, "c", attributes={"x": odd[name]})).with_output_types(Any)
                | WriteToTalonOne("orders", base_url=sim.url)
            )
            _ = (
                written.dead_letters
                | beam.combiners.ToList()
                | "Write" >> beam.Map(lambda found, path: write(Path(path), found) and None, str(tmp_path / "d"))
            )
        assert sim.rows("requests") == []
    dead_letters = lines(tmp_path, "d")
    assert {dead_letter["id"]: dead_letter["record"]["order_id"] for dead_letter in dead_letters} == {
        name: name for name in odd
    }
    assert {dead_letter["reason"] for dead_letter in dead_letters} == {"invalid_field"}


def test_windows_of_the_input_break_no_order(tmp_path: Path) -> None:
    """Two versions of an order in two windows: the older one must not leave after the newer."""
    versions = [order(f"o{n}", f"c{n}", "open", hour, attributes={"v": hour}) for n in range(20) for hour in (2, 1)]
    with simulator() as sim:
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            written = (
                pipeline
                | beam.Create(versions)
                | beam.Map(lambda record: TimestampedValue(record, record["attributes"]["v"] * 3600))
                | beam.WindowInto(FixedWindows(60))
                | WriteToTalonOne("orders", base_url=sim.url, rate=2000)
            )
            _to_files(tmp_path, "orders", written)
        assert _counted(tmp_path, "orders") == {"applied": 40, "dead_letters": 0, "others": 0}
        assert {row["attributes"]["v"] for row in sim.sessions().values()} == {2}


def test_a_wrong_key_fails_the_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "wrong-key-13bc")
    with simulator() as sim:
        with pytest.raises(Exception, match="401") as raised:
            _run(sim, tmp_path, {"orders": [order("o", "c")]}, api_key_env="OTHER_KEY")
        assert "wrong-key-13bc" not in str(raised.value)
        assert sim.rows("ledger") == []


def test_settings_are_checked_while_the_pipeline_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="TALONONE_BASE_URL"):
        WriteToTalonOne("orders")
    monkeypatch.setenv("TALONONE_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="order"):
        WriteToTalonOne("order")
    with pytest.raises(ConfigurationError, match="rate"):
        WriteToTalonOne("orders", rate=0)
    with pytest.raises(ConfigurationError, match="concurrency"):
        WriteToTalonOne("orders", concurrency=0)
    WriteToTalonOne("orders")


def test_the_script_of_the_readme(tmp_path: Path) -> None:
    """Put into a file and run, as the page says."""
    readme = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    [script] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "orders.py").write_text(script, encoding="utf-8")
    with simulator() as sim:
        done = subprocess.run(
            [sys.executable, "orders.py"], cwd=tmp_path, env={**os.environ, "TALONONE_BASE_URL": sim.url},
            check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert [row["session"] for row in sim.acted(SESSION)] == ["A-1001"]
    printed = [literal_eval(line) for line in done.stdout.splitlines()]
    assert {row["id"]: row["outcome"] for row in printed if "outcome" in row} == {"A-1001": "applied"}
    assert {row["id"]: row["reason"] for row in printed if "reason" in row} == {"A-1002": "invalid_field"}
    [found] = [row for row in printed if "element" in row]
    assert (found["status"], found["response"]["customerSession"]["state"]) == (200, "closed")
    assert len(printed) == 3
