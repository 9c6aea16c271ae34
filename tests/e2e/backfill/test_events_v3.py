"""Events by the advanced API: each has an id of its own, and the API takes it once, for ever."""

import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    KEY,
    RESUME_IF_BEGUN,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    dead_letters,
    event,
    lines,
    replay,
    simulator,
    start,
    wait_until,
    write,
    write_kinds,
)

V2, V3, READ = "track_event_v2", "track_event_v3", "get_event_v3"


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator(latency_ms=5, unknown_attributes=("unheard",)) as sim:
        yield sim


def visits(count: int, customers: int) -> list[Json]:
    return [
        event(f"e/{number}", f"c{number % customers}", number % 300, attributes={"n": number, "price": 19.5})
        for number in range(count)
    ]


def v3(sim: Simulator, records: list[Json], folder: Path, *more: object) -> list[object]:
    inputs = write_kinds(folder, {"events": records})
    return backfill(sim.url, inputs, folder / "out", "--events-api", "v3", "--results", *more)


def outcomes(output: Path) -> dict[str, str]:
    return {line["id"]: line["outcome"] for line in lines(output, "results/*.jsonl")}


def assert_each_once(sim: Simulator, records: list[Json]) -> None:
    """Under its own id and with its own content, by one request that acted."""
    assert Counter(row["body"]["integrationId"] for row in sim.acted(V3)) == {
        record["event_id"]: 1 for record in records
    }
    found = {row["id"]: (row["profileId"], row["type"], row["attributes"]) for row in sim.rows("events")}
    assert found == {
        record["event_id"]: (record["customer_id"], record["type"], record["attributes"]) for record in records
    }
    counted = Counter(record["customer_id"] for record in records)
    assert {row["id"]: row["events"] for row in sim.rows("profiles")} == counted


def track(sim: Simulator, body: Json) -> int:
    """Send an event as somebody else would; gives the status."""
    request = urllib.request.Request(
        f"{sim.url}/v3/events",
        data=json.dumps(body).encode(),
        method="POST",
        headers={"Authorization": f"ApiKey-v1 {KEY}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_each_event_under_its_own_id(sim: Simulator, tmp_path: Path) -> None:
    records = visits(300, 40)
    ended = cli(*v3(sim, records, tmp_path))
    assert ended.code == FINISHED, ended.err
    assert_each_once(sim, records)
    assert len(sim.rows("requests")) == 300, "nothing is read where all goes well"
    assert outcomes(tmp_path / "out") == {record["event_id"]: "applied" for record in records}
    by_customer = [row["body"]["integrationId"] for row in sim.acted(V3, profile="c7")]
    assert by_customer == [f"e/{number}" for number in range(7, 300, 40)]


def test_cuts_and_kills(sim: Simulator, tmp_path: Path) -> None:
    """No key protects these requests: what may have acted is read back, or goes again and is known by its id."""
    records = visits(500, 400)
    sim.faults("latency:ms=40", "cut-after:share=0.1", "5xx:share=0.03", "cut-before:share=0.03")
    words = v3(sim, records, tmp_path, "--rate", 400, RESUME_IF_BEGUN)
    for count in (100, 250, 400):
        running = start(*words)
        wait_until(lambda count=count: sim.summary()["acted"] >= count, f"{count} were sent", running)  # type: ignore[misc]
        running.kill()
        sim.forget_keys()  # they are not what holds
    ended = cli(*words)
    assert ended.code == FINISHED, ended.err
    assert_each_once(sim, records)
    found = Counter(outcomes(tmp_path / "out").values())
    assert found["applied"] + found["already_applied"] == len(records)
    assert found["already_applied"] >= 10
    assert sum(row["operation"] == READ for row in sim.rows("requests")) >= 10
    assert_balanced(tmp_path / "out")


def test_ids_that_are_there_already(sim: Simulator, tmp_path: Path) -> None:
    records = [
        event("same", "c", 1, attributes={"n": 1, "price": 19.5, "tags": ["a"], "gone": None}),
        event("attributes", "c", 2, attributes={"n": 2}),
        event("type", "c", 3),
        event("customer", "c", 4),
        event("new", "c", 5),
    ]
    there = {
        "same": {"profileId": "c", "type": "visit", "attributes": {"tags": ["a"], "price": 19.50, "n": 1.0}},
        "attributes": {"profileId": "c", "type": "visit", "attributes": {"n": 3}},
        "type": {"profileId": "c", "type": "other"},
        "customer": {"profileId": "other", "type": "visit"},
    }
    for name, content in there.items():
        assert track(sim, {"integrationId": name, **content}) == 204
    ended = cli(*v3(sim, records, tmp_path))
    assert ended.code == DEAD_LETTERS, ended.err
    assert outcomes(tmp_path / "out") == {"same": "already_applied", "new": "applied"}
    dead = dead_letters(tmp_path / "out")
    assert {dead_letter["id"]: dead_letter["reason"] for dead_letter in dead} == dict.fromkeys(
        ("attributes", "type", "customer"), "id_reused"
    )
    assert {(dead_letter["operation"], dead_letter["status"], dead_letter["stage"]) for dead_letter in dead} == {
        (V3, 409, "send")
    }
    ended = cli(*replay(sim.url, tmp_path / "out", tmp_path / "again", "--events-api", "v3"))
    assert {dead_letter["reason"] for dead_letter in dead_letters(tmp_path / "again")} == {"id_reused"}
    assert len(sim.rows("events")) == 5


def test_others_use_the_same_profile(sim: Simulator, tmp_path: Path) -> None:
    """409 for parallel use is waited out, and is no sign that the event is there."""
    records = visits(20, 1)
    sim.faults("latency:ms=60")
    stop = threading.Event()
    statuses: Counter[int] = Counter()

    def disturb(name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            body = {"integrationId": f"foreign-{name}-{number}", "profileId": "c0", "type": "other"}
            statuses[track(sim, body)] += 1

    others = [threading.Thread(target=disturb, args=(name,)) for name in range(4)]
    for thread in others:
        thread.start()
    try:
        running = start(*v3(sim, records, tmp_path))
        wait_until(lambda: _looks(sim) >= 2, "it met others", running)
    finally:
        stop.set()
        for thread in others:
            thread.join()
    ended = running.end()
    assert ended.code == FINISHED, ended.err
    assert statuses[204] > 0
    ours = [row["body"]["integrationId"] for row in sim.acted(V3) if row["body"]["type"] == "visit"]
    assert ours == [record["event_id"] for record in records]
    assert set(outcomes(tmp_path / "out").values()) == {"applied"}


def _looks(sim: Simulator) -> int:
    """How often an event was read: only we do that, after each 409."""
    return sum(row["operation"] == READ for row in sim.rows("requests"))


def test_a_letter_by_v2_goes_by_v2(sim: Simulator, tmp_path: Path) -> None:
    """An event that may have been applied by v2 is not known to v3: going by that would make it twice. One that was
    refused by v2 may go by v3."""
    records = [event(name, name, 1) for name in ("fresh", "old", "exhausted")]
    refused = event("refused", "refused", 1, attributes={"unheard": 1})
    inputs = write_kinds(tmp_path, {"events": [*records, refused]})
    assert cli(*backfill(sim.url, inputs, tmp_path / "out")).code == DEAD_LETTERS
    (dead_letter,) = dead_letters(tmp_path / "out")
    assert (dead_letter["id"], dead_letter["operation"]) == ("refused", V2)
    now = datetime.now(UTC)
    unclear = [
        _unclear(dead_letter, records[0], "outcome_unknown", now),
        _unclear(dead_letter, records[1], "outcome_unknown", now - timedelta(days=2)),
        _unclear(dead_letter, records[2], "retries_exhausted", now),
    ]
    del dead_letter["record"]["attributes"]
    # beside no job: nothing else says that they were applied
    source = write(tmp_path / "alone" / "letters.jsonl", [dead_letter, *unclear])
    words = ["replay", source, "--output", tmp_path / "again", "--base-url", sim.url, "--yes", "--results"]
    ended = cli(*words, "--events-api", "v3")
    assert ended.code == DEAD_LETTERS, ended.err
    assert [row["body"]["integrationId"] for row in sim.acted(V3)] == ["refused"]
    assert sum(row["replayed"] for row in sim.rows("requests")) == 2, "under the keys that they had"
    assert {row["id"]: row["events"] for row in sim.rows("profiles")} == dict.fromkeys(
        ("fresh", "old", "exhausted", "refused"), 1
    )
    assert [(one["id"], one["reason"], one["operation"]) for one in dead_letters(tmp_path / "again")] == [
        ("old", "outcome_unknown", V2)
    ]


def _unclear(like: Json, record: Json, reason: str, first_sent: datetime) -> Json:
    """A dead letter as a job would have left it that could not know whether v2 acted."""
    return like | {
        "id": record["event_id"], "record": record, "reason": reason, "status": 503,
        "first_sent_at": first_sent.isoformat(), "key": {"attempt": "", "generation": 0},
    }  # fmt: skip


def test_a_letter_of_unclear_outcome_by_v3(sim: Simulator, tmp_path: Path) -> None:
    """It goes by v3 whatever the options say, and what is there already is not sent."""
    records = [event("there", "a", 1), event("missing", "b", 1)]
    assert track(sim, {"integrationId": "there", "profileId": "a", "type": "visit"}) == 204
    now = datetime.now(UTC)
    like = {"kind": "events", "source": {"file": "x", "position": 1}, "stage": "send", "detail": "", "pointer": None,
            "operation": V3, "attempts": 1, "failed_at": now.isoformat(), "job": "j"}  # fmt: skip
    source = write(
        tmp_path / "alone" / "letters.jsonl",
        [_unclear(like, record, "outcome_unknown", now - timedelta(days=9)) for record in records],
    )
    ended = cli("replay", source, "--output", tmp_path / "out", "--base-url", sim.url, "--yes", "--results")
    assert ended.code == FINISHED, ended.err
    assert outcomes(tmp_path / "out") == {"there": "already_applied", "missing": "applied"}
    assert [row["body"]["integrationId"] for row in sim.acted()] == ["there", "missing"]
