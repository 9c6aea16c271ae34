"""Each sort of violation that the auditor or the check of traffic finds has a column of the verdict."""

import json
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from streams.harness.traffic import Sent, Traffic

from .auditor import Ledger, Options
from .test_audit import WRONG as SPOILT
from .test_audit import Scene, Spoil, right
from .verdict import (
    COLUMNS,
    DISORDER,
    DOUBLED,
    LOST,
    SORTS,
    UNACCOUNTED,
    WRONG,
    Verdict,
    clean,
    judge_backfill,
    judge_stream,
)

Json = dict[str, Any]

REASONS = {"missing_field", "not_json", "session_closed", "unknown_attribute", "id_reused"}


def verdict_on(scene: Scene, folder: Path, reasons: Collection[str] = REASONS) -> Verdict:
    inputs, ledger = scene.written(folder)
    return judge_backfill(inputs, folder, ledger, Options(rate=200, most_100ms=22), reasons)


@pytest.mark.parametrize(("sort", "says", "spoil"), SPOILT.values(), ids=SPOILT.keys())
def test_a_violation_is_in_its_column(tmp_path: Path, sort: str, says: str, spoil: Spoil) -> None:
    scene = right()
    spoil(scene)
    verdict = verdict_on(scene, tmp_path)
    assert list(verdict) == list(COLUMNS)
    assert any(says in message for message in verdict[SORTS.get(sort, WRONG)]), verdict


def test_a_right_run_is_clean(tmp_path: Path) -> None:
    assert verdict_on(right(), tmp_path) == clean()


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_a_reason_that_nobody_expects_is_wrong(tmp_path: Path, reason: str) -> None:
    verdict = verdict_on(right(), tmp_path, REASONS - {reason})
    assert {name for name, messages in verdict.items() if messages} == {WRONG}
    assert all(reason in message for message in verdict[WRONG])


@dataclass
class Stream:
    """A stream that has ended: what was published, and what the server saw. Changed by each test."""

    sent: list[Sent]
    ledger: list[Json]
    requests: list[Json]
    sessions: list[Json]
    profiles: list[Json]
    starts: list[int] = field(default_factory=list)
    dead_letters: list[Json] = field(default_factory=list)

    def judged(self, **more: Any) -> Verdict:
        as_text = [
            [json.dumps(row).encode() for row in rows]
            for rows in (self.ledger, self.requests, self.sessions, self.profiles)
        ]
        return judge_stream(Traffic(self.sent), Ledger(*as_text), self.dead_letters, starts=self.starts, **more)


def sent(kind: str, at: int, mark: str, record: Json, **more: Any) -> Sent:
    text = json.dumps({"event_time": f"2026-05-01T00:{at:02d}:00Z", **record})
    return Sent(kind, text.encode(), at, mark, "c1", **more)


def an_order(at: int, version: int, status: str) -> Sent:
    mark = f"o1-{version}"
    record = {
        "order_id": "o1", "customer_id": "c1", "status": status, "attributes": {"note": mark},
        "items": [{"sku": mark, "quantity": 2, "unit_price": "9.90"}],
    }  # fmt: skip
    return sent("orders", at, mark, record, session="o1")


def an_event(at: int, id: str) -> Sent:
    record = {"event_id": id, "type": "visit", "customer_id": "c1", "attributes": {"page": id}}
    return sent("events", at, id, record)


def a_change(at: int, mark: str, *names: str) -> Sent:
    return sent("profiles", at, mark, {"customer_id": "c1", "attributes": dict.fromkeys(names, mark)}, sets=names)


def row(n: int, operation: str, body: Json, session: str | None = None) -> Json:
    return {
        "n": n, "operation": operation, "session": session, "profiles": ["c1"], "key": f"k{n}", "arrived": float(n),
        "applied": n + 0.1, "answered": n + 0.2, "path": {}, "query": {}, "body": body,
    }  # fmt: skip


def a_session(version: int, state: str, **more: Any) -> Json:
    items = [{"sku": f"o1-{version}", "quantity": 2, "price": 9.9}]
    return {"profileId": "c1", "state": state, "cartItems": items, "attributes": {"note": f"o1-{version}"}} | more


def a_visit(n: int, id: str) -> Json:
    return row(n, "track_event_v2", {"profileId": "c1", "type": "visit", "attributes": {"page": id}})


def a_bulk(n: int, **attributes: str) -> Json:
    entry = {"integrationId": "c1", "attributes": attributes}
    return row(n, "update_customer_profiles_v2", {"customerProfiles": [entry]})


def a_stream() -> Stream:
    """Four versions of one order, of which one is never sent, two events, and a profile change that lost a name."""
    order_rows = [
        row(n, "update_customer_session_v2", {"customerSession": a_session(version, state)}, "o1")
        for n, version, state in ((1, 0, "open"), (5, 2, "closed"))
    ]
    ledger = [order_rows[0], a_visit(2, "e1"), a_bulk(3, city="00000003"), a_bulk(4, tier="00000002"), order_rows[1]]
    ledger.append(a_visit(6, "e2"))
    return Stream(
        sent=[
            an_order(1, 0, "open"), an_event(2, "e1"), an_order(4, 1, "open"), a_change(3, "00000003", "city"),
            a_change(2, "00000002", "city", "tier"), an_order(5, 2, "completed"), an_event(6, "e2"),
        ],
        ledger=ledger,
        requests=[
            {name: one[name] for name in ("n", "operation", "key", "arrived", "answered")}
            | {"status": 200, "dry": False}
            for one in ledger
        ],
        sessions=[{"id": "o1", **a_session(2, "closed")}],
        profiles=[{"id": "c1", "attributes": {"city": "00000003", "tier": "00000002"}, "audiences": []}],
    )  # fmt: skip


def cut_before(n: int, key: str, stream: Stream) -> None:
    """A request `n` under the key of a later one, without an answer."""
    stream.requests.append(
        {"n": n, "operation": "track_event_v2", "key": key, "arrived": float(n), "answered": None, "status": None,
         "dry": False}
    )  # fmt: skip


SPOILT_STREAMS: dict[str, tuple[str, str, Callable[[Stream], object]]] = {
    "an event is lost": (LOST, "events e1", lambda s: s.ledger.pop(1)),
    "an event acts twice": (DOUBLED, "events e1: 2 times", lambda s: s.ledger.append(a_visit(7, "e1"))),
    "a key acts twice": (DOUBLED, "same key k2", lambda s: s.ledger[5].update(key="k2")),
    "an attribute of a session is another": (
        WRONG, "attributes is", lambda s: s.sessions[0]["attributes"].update(note="o1-1"),
    ),
    "a price of a session is another": (
        WRONG, "cartItems is", lambda s: s.sessions[0]["cartItems"][0].update(price=9.8),
    ),
    "a session is still open": (WRONG, "state is open, not closed", lambda s: s.sessions[0].update(state="open")),
    "a session is gone": (WRONG, "'o1' does not exist", lambda s: s.sessions.clear()),
    "a session that nobody asked for": (
        WRONG, "no valid record is of it", lambda s: s.sessions.append({"id": "o2", **a_session(2, "closed")}),
    ),
    "an order is sent with another attribute": (
        WRONG, "no valid one has its content",
        lambda s: s.ledger[4]["body"]["customerSession"]["attributes"].update(note="x"),
    ),
    "an event is sent with another type": (
        WRONG, "no valid one has its content", lambda s: s.ledger[1]["body"].update(type="call"),
    ),
    "an attribute of a profile is another": (
        WRONG, "profile 'c1': attributes", lambda s: s.profiles[0]["attributes"].update(tier="00000001"),
    ),
    "an attribute of a profile too many": (
        WRONG, "profile 'c1': attributes", lambda s: s.profiles[0]["attributes"].update(size="00000002"),
    ),
    "an attribute is sent that no record sets": (
        WRONG, "no record sets size",
        lambda s: s.ledger[3]["body"]["customerProfiles"][0]["attributes"].update(size="00000002"),
    ),
    "two requests of a customer at once": (DISORDER, "customer 'c1'", lambda s: s.ledger[1].update(arrived=1.15)),
    "two requests of a session at once": (
        DISORDER, "session 'o1'",
        lambda s: [one.update(answered=5.05) for one in (s.ledger[0], s.requests[0])],
    ),
    "another request before the repetition of one": (DISORDER, "customer 'c1'", lambda s: cut_before(4, "k6", s)),
}  # fmt: skip


def test_a_right_stream_is_clean() -> None:
    assert a_stream().judged(ordering_keys=True) == clean()


@pytest.mark.parametrize(("column", "says", "spoil"), SPOILT_STREAMS.values(), ids=SPOILT_STREAMS.keys())
def test_what_is_wrong_with_a_stream_is_in_its_column(
    column: str, says: str, spoil: Callable[[Stream], object]
) -> None:
    stream = deepcopy(a_stream())
    spoil(stream)
    verdict = stream.judged()
    assert any(says in message for message in verdict[column]), verdict


def test_a_message_that_is_left_is_unaccounted() -> None:
    assert a_stream().judged(left=["a message"]) == clean() | {UNACCOUNTED: ["a message"]}


def test_a_repetition_by_the_next_process_may_come_after_other_requests() -> None:
    stream = a_stream()
    cut_before(4, "k6", stream)
    stream.starts = [0, 4]
    assert stream.judged() == clean()


def test_with_ordering_keys_records_act_in_the_order_of_publishing() -> None:
    stream = a_stream()
    one, other = stream.ledger[1]["body"], stream.ledger[5]["body"]
    stream.ledger[1]["body"], stream.ledger[5]["body"] = other, one
    assert stream.judged() == clean()
    assert stream.judged(ordering_keys=True) == clean() | {DISORDER: ["customer c1: events e1 after e2"]}
    stream.sent[1], stream.sent[6] = stream.sent[6], stream.sent[1]
    assert stream.judged(ordering_keys=True) == clean()


def test_a_good_record_of_a_stream_is_a_dead_letter_only_for_an_expected_reason() -> None:
    stream = a_stream()
    stream.ledger.pop(1)
    dead_letter = {
        "kind": "events", "id": "e1", "reason": "outcome_unknown", "detail": "", "stage": "send",
        "record": json.loads(stream.sent[1].payload), "source": {"subscription": "s", "message_id": "1"},
    }  # fmt: skip
    stream.dead_letters = [dead_letter]
    assert stream.judged(reasons={"outcome_unknown"}) == clean()
    assert stream.judged()[WRONG] == ["events e1: outcome_unknown ()"]
