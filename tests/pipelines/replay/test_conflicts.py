"""What records of other kinds, applied since, leave of a record that is replayed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest
from support.staged_job import at, order, profile, returned, staged_job

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.replay.conflicts import left_of, related
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.work import Work

Applied = Callable[..., Connection]


@pytest.fixture
def applied(tmp_path: Path) -> Iterator[Applied]:
    """Makes the staging database of a job that has applied the given records."""
    with ExitStack() as stack:

        def make(**kinds: list[dict[str, Any]]) -> Connection:
            job = stack.enter_context(staged_job(tmp_path, kinds))
            recs = [row[0] for row in job.connection.execute("SELECT rec FROM queue").fetchall()]
            staging.save_outcomes(job.connection, [(rec, "applied", None, None, None) for rec in recs])
            return job.connection

        yield make


def work(kind: str, record: dict[str, Any]) -> Work:
    return build(kind, parse(kind, record).record, BuildOptions())


def call(name: str, operation: str, minute: int, **more: Any) -> dict[str, Any]:
    return {"call_id": name, "operation": operation, "event_time": at(minute), **more}


def session_call(name: str, minute: int, session: str = "o1") -> dict[str, Any]:
    body = {"customerSession": {"profileId": "c", "state": "open"}}
    return call(name, "update_customer_session_v2", minute, path={"customerSessionId": session}, body=body)


def profile_call(name: str, minute: int, customer: str = "c", **attributes: Any) -> dict[str, Any]:
    path = {"integrationId": customer}
    return call(name, "update_customer_profile_v2", minute, path=path, body={"attributes": attributes})


def reservation(name: str, minute: int, *customers: str) -> dict[str, Any]:
    path, body = {"couponValue": "V"}, {"integrationIDs": list(customers)}
    return call(name, "create_coupon_reservation", minute, path=path, body=body)


def audience(name: str, minute: int, number: int = 1) -> dict[str, Any]:
    return call(name, "update_audience_v2", minute, path={"audienceId": number}, body={"name": name})


def left(connection: Connection, replayed: Work) -> Work | None:
    return left_of(connection, replayed, related(connection, [replayed]))


def test_only_what_shares_a_key_is_related(applied: Applied) -> None:
    connection = applied(
        calls=[session_call("k1", 5), session_call("k2", 6, "o2"), audience("k3", 7)],
        profiles=[profile("c", 8, erase=True), profile("d", 9, erase=True), profile("c", 9, attributes={"a": 1})],
        orders=[order("o1", 9)],
    )
    found = related(connection, [work("orders", order("o1", 1))])
    assert {key: [other.id for other in works] for key, works in found.items()} == {
        ("session", "o1"): ["k1"], ("profile", "c"): ["k1", "k2", "c"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "replayed", "later"),
    [
        ("profiles", profile("c", 1, attributes={"a": 1}), {"profiles": [profile("c", 5, erase=True)]}),
        ("orders", order("o1", 1), {"profiles": [profile("c", 5, erase=True)]}),
        ("orders", order("o1", 1), {"calls": [session_call("k", 5)]}),
        ("calls", session_call("k", 1), {"orders": [order("o1", 5)]}),
        ("calls", session_call("k", 1), {"calls": [session_call("k2", 5)]}),
        ("calls", audience("k", 1), {"calls": [audience("k2", 5)]}),
        ("calls", reservation("k", 1, "c"), {"calls": [reservation("k2", 5, "c", "d")]}),
        ("calls", profile_call("k", 1, a=1), {"profiles": [profile("c", 5, attributes={"a": 2})]}),
        ("profiles", profile("c", 1, attributes={"a": 1}), {"calls": [profile_call("k", 5, a=2)]}),
    ],
    ids=[
        "profile, erased", "order, erased", "order, call on its session", "call, order of its session",
        "call, call on its session", "audience changed", "coupon reserved for all", "call, profile change",
        "profile, call on it",
    ],
)  # fmt: skip
def test_nothing_is_left_of_what_a_later_record_replaces(
    applied: Applied, kind: str, replayed: dict[str, Any], later: dict[str, list[dict[str, Any]]]
) -> None:
    assert left(applied(**later), work(kind, replayed)) is None


@pytest.mark.parametrize(
    ("kind", "replayed", "others"),
    [
        ("orders", order("o1", 5), {"calls": [session_call("k", 1)], "profiles": [profile("c", 2, erase=True)]}),
        ("orders", order("o1", 1), {"calls": [session_call("k", 5, "o2")]}),
        ("calls", session_call("k", 1), {"calls": [session_call("k2", 5, "o2")], "orders": [order("o3", 6)]}),
        ("returns", returned("r", "o1", 1, customer_id="c"), {"profiles": [profile("c", 5, erase=True)]}),
        ("calls", session_call("k", 5), {"orders": [order("o1", 1)]}),
        ("calls", audience("k", 1), {"calls": [audience("k2", 5, 2)]}),
        ("calls", reservation("k", 1, "c", "d"), {"calls": [reservation("k2", 5, "c")]}),
        ("calls", session_call("k", 1), {"calls": [session_call("k", 5)]}),
    ],
    ids=[
        "earlier ones", "a call on another session", "a call on one, others on others",
        "a return of an erased customer", "an earlier order", "another audience", "a coupon reserved for some",
        "the same call",
    ],
)  # fmt: skip
def test_all_is_left_where_nothing_later_replaces_it(
    applied: Applied, kind: str, replayed: dict[str, Any], others: dict[str, list[dict[str, Any]]]
) -> None:
    expected = work(kind, replayed)
    assert left(applied(**others), expected) is expected


def test_attributes_that_a_later_call_sets_are_not_sent(applied: Applied) -> None:
    connection = applied(calls=[profile_call("k", 5, a=2)])
    remaining = left(connection, work("profiles", profile("c", 1, attributes={"a": 1, "b": 1})))
    assert remaining is not None
    [part] = remaining.parts
    assert part.request.body_json()["customerProfiles"][0]["attributes"] == {"b": 1}


def test_records_of_an_earlier_replay_count(applied: Applied) -> None:
    connection = applied(events=[])
    later = work("calls", session_call("k", 5))
    connection.execute(
        "INSERT INTO replayed VALUES ('calls', ?, ?, 'o1', 'c', ?, ?, ?, ?)",
        (later.identity, later.content, *later.order(), later.to_bytes()),
    )
    assert left(connection, work("orders", order("o1", 1))) is None
