"""Dead letters that do not hold the original record are not sent before somebody has edited them."""

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    dead_letters,
    event,
    order,
    replay,
    simulator,
    write,
)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulator(latency_ms=1) as sim:
        yield sim


def test_altered_letters_wait_for_an_editor(sim: Simulator, tmp_path: Path) -> None:
    latin = [json.dumps(order(name, f"{name}ä", "open", 1), ensure_ascii=False) for name in ("one", "two")]
    (tmp_path / "orders.jsonl").write_bytes("\n".join(latin).encode("latin-1"))
    profiles = [{"customer_id": b"pia", "event_time": "2026-05-01T12:00:00Z", "attributes": {"a": "x"}}]
    pq.write_table(pa.Table.from_pylist(profiles), tmp_path / "profiles.parquet")
    head = "event_id,type,customer_id,event_time,attributes.note"
    rows = ["e-1,bought,emil,2026-05-01T12:00:00Z," + "n" * 10_000 + ",one cell more"]
    (tmp_path / "events.csv").write_text("\n".join([head, *rows]) + "\n")
    inputs = {
        "orders": tmp_path / "orders.jsonl",
        "profiles": tmp_path / "profiles.parquet",
        "events": tmp_path / "events.csv",
    }
    first, second, third, fourth = (tmp_path / name for name in ("first", "second", "third", "fourth"))
    assert cli(*backfill(sim.url, inputs, first)).code == DEAD_LETTERS
    known = dead_letters(first)
    assert [dead_letter.get("altered") for dead_letter in known if dead_letter["kind"] != "events"] == [True] * 3
    assert {b64decode(dead_letter["record_base64"]) for dead_letter in known if dead_letter["kind"] == "orders"} == {
        line.encode("latin-1") for line in latin
    }
    [row] = [dead_letter for dead_letter in known if dead_letter["kind"] == "events"]
    assert (row["record"].rstrip("\r"), row["header"]) == (rows[0], head.split(","))

    ended = cli(*replay(sim.url, first, second))
    assert ended.code == DEAD_LETTERS, ended.err
    assert "3 dead letters do not hold the record as it came and are not sent" in ended.err
    assert not sim.acted()
    refused = dead_letters(second)
    assert sorted(dead_letter["reason"] for dead_letter in refused) == ["altered_record"] * 3 + ["bad_row"]

    for dead_letter in refused:
        if dead_letter["kind"] == "orders":
            dead_letter["record"] = json.loads(b64decode(dead_letter["record_base64"]).decode("latin-1"))
        elif dead_letter["kind"] == "profiles":
            dead_letter["record"]["customer_id"] = b64decode(dead_letter["record"]["customer_id"]["base64"]).decode()
        else:
            dead_letter["record"] = dead_letter["record"].strip().removesuffix(",one cell more")
    (second / "dead-letters" / "input.jsonl").unlink()
    write(second / "dead-letters" / "edited.jsonl", refused)
    ended = cli(*replay(sim.url, second, third))
    assert ended.code == FINISHED, ended.err
    assert {row["profiles"][0] for row in sim.acted()} == {"oneä", "twoä", "pia", "emil"}

    # and those that nobody has edited still wait
    sent = len(sim.acted())
    assert cli(*replay(sim.url, first, fourth)).code == DEAD_LETTERS
    assert len(sim.acted()) == sent


def test_whatever_became_of_letters_a_replay_sends_the_others(sim: Simulator, tmp_path: Path) -> None:
    def dead_letter(number: int, **changes: object) -> Json:
        made = {
            "kind": "events", "id": f"e-{number}", "record": event(f"e-{number}", f"c-{number}", 1),
            "source": {"file": "e.jsonl", "position": number}, "stage": "send", "reason": "refused", "detail": "no",
            "pointer": None, "operation": "track_event_v2", "status": 400, "attempts": 1,
            "failed_at": "2026-05-02T09:15:00.120Z", "job": "3f9c0a7be214",
        }  # fmt: skip
        return {**made, **changes}

    good = [dead_letter(number) for number in range(3)]
    bad: list[Json | str] = [
        dead_letter(10, reason="no such reason"), dead_letter(11, kind=["events"]),
        dead_letter(12, source="e.jsonl"), dead_letter(13, record=None), dead_letter(14, record="text"),
        dead_letter(15, record=[]), dead_letter(16, reason=None), dead_letter(17, source={"file": {"a": 1}}),
        dead_letter(18, reason="outcome_unknown", key={"generation": 10**30}), dead_letter(19, parts_done={}),
        dead_letter(20, kind="orders"), dead_letter(21, operation={"a": 1}, job=[], record=1),
        json.dumps(dead_letter(22))[:80], "null", "[]", "1e999", '{"kind":' + "[" * 5000, "{}",
    ]  # fmt: skip
    path = tmp_path / "letters.jsonl"
    write(path, [good[0], *bad, *good[1:]])
    with path.open("ab") as file:
        file.write(b"\xff\xfe\n")
    output = tmp_path / "output"
    ended = cli("replay", path, "--output", output, "--base-url", sim.url, "--yes", "--rate", 3000,
                "--max-dead-letters", 100)  # fmt: skip
    assert ended.code == DEAD_LETTERS, ended.err
    assert sorted(row["profiles"][0] for row in sim.acted()) == ["c-0", "c-1", "c-2"]
    left = dead_letters(output)
    assert len(left) == len(bad) + 1
    assert all(one["detail"] and one["reason"] != "defect" for one in left)
    assert_balanced(output)
