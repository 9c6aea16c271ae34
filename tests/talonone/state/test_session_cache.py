"""What a job remembers of sessions, and that it does not grow without end; outcomes of several parts; counts."""

import pytest

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.decoding.shown import Shown
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome, combined
from beam_talonone.talonone.requests.output_lines import dead_letter, result, rfc3339
from beam_talonone.talonone.state.session_cache import SessionMemory
from beam_talonone.talonone.telemetry.stats import Latencies, Stats

DEAD, DONE = Outcome(End.DEAD), Outcome(End.APPLIED)


def order(status):
    record = {"order_id": "o", "customer_id": "c", "event_time": "2026-05-01T12:00:00Z", "status": status}
    return build("orders", parse("orders", {**record, "items": []}).record, BuildOptions())


def known_after(*ends):
    memory = SessionMemory()
    for status, outcome in ends:
        memory.note(order(status), outcome)
    return memory.known("o")


def test_orders():
    assert not known_after().session_sent
    assert known_after(("open", DONE)).session_sent
    assert known_after(("completed", DEAD)).order_dead
    assert known_after(("open", DONE), ("completed", DEAD)).order_dead
    assert not known_after(("completed", DEAD), ("completed", Outcome(End.ALREADY_APPLIED))).order_dead
    assert not known_after(("cancelled", Outcome(End.SKIPPED))).session_sent


def test_returns():
    memory = SessionMemory()
    item = {"sku": "tea", "quantity": 1}
    record = {"return_id": "r", "order_id": "o", "event_time": "2026-05-01T12:00:00Z", "items": [item]}
    work = build("returns", parse("returns", record).record, BuildOptions())
    memory.note(work, DEAD)
    assert memory.known("o").returned == []
    memory.note(work, DONE)
    before = memory.known("o").returned
    memory.note(work, DONE)
    assert before == [item]
    assert memory.known("o").returned == [item, item]
    memory.forget()
    assert memory.known("o").returned == []


def test_the_memory_is_bounded_and_keeps_the_latest():
    memory = SessionMemory(most=10)
    for number in range(1000):
        memory.note_order(str(number), "open", End.APPLIED)
        memory.note_return(str(number), [{"sku": "tea", "quantity": 1}])
    held = [number for number in range(1000) if memory.known(str(number)).session_sent]
    assert set(range(990, 1000)) <= set(held)
    assert len(held) <= 22
    assert sum(bool(memory.known(str(number)).returned) for number in range(1000)) <= 22


def test_one_outcome_of_several_parts():
    parts = [
        Outcome(End.APPLIED, attempts=2, first_sent=5.0),
        Outcome(End.DEAD, "refused", attempts=3, first_sent=9.0),
    ]
    whole = combined(parts)
    assert (whole.end, whole.reason, whole.attempts, whole.first_sent, whole.effects) == (
        End.DEAD,
        "refused",
        5,
        5.0,
        None,
    )
    assert combined([Outcome(End.SKIPPED), Outcome(End.APPLIED, effects=[1])]).effects == [1]
    assert combined([Outcome(End.SKIPPED), Outcome(End.APPLIED)]).end is End.APPLIED
    assert combined([Outcome(End.SKIPPED)]).end is End.SKIPPED


def test_letters():
    outcome = Outcome(End.DEAD, "refused", "no", "/a", "track_event_v2", 400, 3, first_sent=1.0, generation=2)
    line = dead_letter("events", "e", Shown({"x": 1}), {"file": "f", "position": 2}, outcome, "job", 0.5)
    assert {**line, "key": line["key"]["generation"]} == {
        "kind": "events", "id": "e", "record": {"x": 1}, "source": {"file": "f", "position": 2}, "stage": "send",
        "reason": "refused", "detail": "no", "pointer": "/a", "operation": "track_event_v2", "status": 400,
        "attempts": 3, "failed_at": "1970-01-01T00:00:00.500Z", "job": "job",
        "first_sent_at": "1970-01-01T00:00:01.000Z", "key": 2,
    }  # fmt: skip
    line = result("events", "e", Outcome(End.ALREADY_APPLIED, operation="x", status=200, attempts=1))
    assert line == {
        "kind": "events", "id": "e", "operation": "x", "status": 200, "outcome": "already_applied", "effects": [],
        "attempts": 1,
    }  # fmt: skip
    assert rfc3339(1_777_636_800.0) == "2026-05-01T12:00:00.000Z"


def test_counts_and_percentiles():
    stats = Stats()
    for ms in range(1, 101):
        stats.tried("x", 200, float(ms), retry=ms % 10 == 0)
    stats.tried("x", None, 5000.0, retry=True)
    report = stats.report()["x"]
    assert (report["requests"], report["retries"], report["statuses"]) == (101, 11, {"200": 100, "none": 1})
    for share, ms in (("p50", 50), ("p95", 95), ("p99", 99)):
        assert report["latency_ms"][share] == pytest.approx(ms, rel=0.05)
    assert Latencies().percentile(0.5) is None
    assert (stats.requests, stats.retries) == (101, 11)
