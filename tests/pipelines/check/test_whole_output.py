"""All that a check prints of records of every kind: what a backfill would send, counted without keeping the works."""

import json
import os
from pathlib import Path

import pytest
from support.presets import shopify
from support.staged_job import Json, at, event, order, profile, returned

from beam_talonone.pipelines.backfill.reading_ahead import shard_stager
from beam_talonone.pipelines.backfill.reading_ahead.processes import POSSIBLE
from beam_talonone.pipelines.cli.main import run

SESSION, PROFILES = "update_customer_session_v2", "update_customer_profiles_v2"
AUDIENCES, RESERVE = "update_customer_profile_audiences", "create_coupon_reservation"


def _call(name: str, minute: int, *customers: str, coupon: str = "X") -> Json:
    return {
        "call_id": name, "operation": RESERVE, "path": {"couponValue": coupon},
        "body": {"integrationIDs": list(customers)}, "event_time": at(minute),
    }  # fmt: skip


RECORDS: dict[str, list[Json]] = {
    "orders": [
        order("o1", 1), order("o1", 2), order("o1", 2), order("o2", 3, None, event_time="2025-12-31T23:59:59Z"),
        order("o3", 4, status="open", colour="red"), {"order_id": "o5", "status": "open", "items": [{}, {}]},
        order("o6", 30, "d"),
    ],
    "returns": [
        returned("r1", "o1", 9), returned("r2", "elsewhere", 9), returned("r3", "o5", 9),
        returned("r1", "o1", 8), returned("r4", "o6", 31), returned("r4", "o6", 31),
    ],
    "profiles": [
        profile("c", 10, attributes={"Name": "Ann"}), profile("c", 11, attributes={"Age": 5}),
        profile("d", 12, attributes={"Age": 6}, audiences={"add": [7]}), profile("e", 13, audiences={"remove": [7]}),
        profile("d", 14, erase=True), profile("c", 40, attributes={"Age": 7}),
        profile("c", 10, attributes={"Name": "Ann"}),
    ],
    "events": [
        event(2, "c", event_time=at(20)), event(2, "c", event_time=at(19)), event(3, "e"),
        event(2, "c", event_time=at(19)),
    ],
    "calls": [
        _call("k1", 15, "c", "d"), _call("k2", 16, "e"), _call("k3", 17, "c", coupon="Y"),
        {"call_id": "k4", "operation": "no_such", "event_time": at(1)},
    ],
}  # fmt: skip


def _check(
    folder: Path, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """The requests that a check shows, each as kind, id and operation, and the lines of stderr."""
    inputs = []
    for kind, records in RECORDS.items():
        path = folder / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        inputs += [f"--{kind}", str(path)]
    assert run(["check", *inputs, *words]) == 3
    out, err = capsys.readouterr()
    shown = [json.loads(line) for line in out.splitlines()]
    lines = err.replace(f"{folder}/", "").splitlines()
    return [(one["kind"], one["id"], one["operation"]) for one in shown], lines


READ = """\
orders: 7 read, 5 to send, 1 invalid, 1 duplicate; ignored, as not known: colour in 1
  1 missing_field
    fields: /event_time in 1, /customer_id in 1, /items/*/sku in 1, /items/*/quantity in 1
    orders.jsonl:6: missing: event_time, customer_id, items/0/sku, items/0/quantity, items/1/sku, items/1/quantity
returns: 6 read, 4 to send, 1 invalid, 1 duplicate
  1 id_reused
    returns.jsonl:1: an earlier record has this id and other content
profiles: 7 read, 6 to send, 1 duplicate
events: 4 read, 2 to send, 1 invalid, 1 duplicate
  1 id_reused
    events.jsonl:1: an earlier record has this id and other content
calls: 4 read, 3 to send, 1 invalid
  1 unknown_operation
    fields: /operation in 1
    calls.jsonl:4: there is no operation 'no_such'
""".splitlines()

COUNTED = """\
2 requests create_coupon_reservation
1 request delete_customer_data
4 requests return_cart_items
2 requests track_event_v2
1 request update_customer_profile_audiences
2 requests update_customer_profiles_v2
5 requests update_customer_session_v2
17 requests take at least 0.2 s at 100 a second
3 sessions will be closed: 1 dated 2025, 2 dated 2026
1 order of guests: each gets a profile guest-<order_id>
1 return has no order in the input: Talon.One must have it already
the longest single customer is c with 10 records, sent one after the other
""".splitlines()

DRY = """\
4 requests return_cart_items
2 requests track_event_v2
5 requests update_customer_session_v2
11 requests take at least 0.1 s at 100 a second
1 order of guests: each gets a profile guest-<order_id>
1 return has no order in the input: Talon.One must have it already
the longest single customer is c with 10 records, sent one after the other
""".splitlines()

FIRST = [
    *[("orders", name, SESSION) for name in ("o1", "o1", "o2", "o3", "o6")],
    *[("returns", name, "return_cart_items") for name in ("r2", "r3", "r1", "r4")],
]  # fmt: skip
PROFILES_SHOWN = [
    ("profiles", "c", PROFILES), ("profiles", "c", PROFILES), ("profiles", "d", PROFILES),
    ("profiles", "d", AUDIENCES), ("profiles", "e", AUDIENCES), ("profiles", "d", "delete_customer_data"),
    ("profiles", "c", PROFILES),
]  # fmt: skip
EVENTS_SHOWN = [("events", "e2", "track_event_v2"), ("events", "e3", "track_event_v2")]
CALLS_SHOWN = [("calls", name, RESERVE) for name in ("k1", "k2", "k3")]


@pytest.mark.parametrize(
    ("words", "shown", "counted"),
    [
        ((), [], COUNTED),
        (("--show", "9"), FIRST, COUNTED),
        (("--show", "11"), [*FIRST, *PROFILES_SHOWN[:2]], COUNTED),
        (("--show", "40"), [*FIRST, *PROFILES_SHOWN, *EVENTS_SHOWN, *CALLS_SHOWN], COUNTED),
        (("--dry", "--show", "10"), [*FIRST, EVENTS_SHOWN[0]], DRY),
    ],
    ids=["counts", "all before a kind", "some of a kind", "all", "dry"],
)
def test_every_answer(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    shown: list[object],
    counted: list[str],
) -> None:
    assert _check(tmp_path, capsys, *words) == (shown, READ + counted)


def test_filtered_records_are_neither_counted_nor_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, lines = _check(tmp_path, capsys, "--since", at(3), "--show", "2")
    assert shown == [("orders", "o3", SESSION), ("orders", "o6", SESSION)]
    assert lines[0] == "orders: 7 read, 2 to send, 1 invalid, 4 filtered; ignored, as not known: colour in 1"
    assert lines[-10:] == [
        "1 request delete_customer_data",
        "4 requests return_cart_items",
        "2 requests track_event_v2",
        "1 request update_customer_profile_audiences",
        "2 requests update_customer_profiles_v2",
        "2 requests update_customer_session_v2",
        "14 requests take at least 0.1 s at 100 a second",
        "1 session will be closed: 1 dated 2026",
        "1 return has no order in the input: Talon.One must have it already",
        "the longest single customer is c with 8 records, sent one after the other",
    ]


@pytest.mark.skipif(not POSSIBLE, reason="processes are forked on Linux only")
def test_the_answers_about_a_mapping_are_those_of_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [shopify.order(id=number) for number in range(60)]
    documents[1]["strange"] = {"a": [{"b": 1}]}
    documents[58]["stranger"], documents[3]["test"] = 1, True
    path = tmp_path / "orders.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    words = ["check", "--orders", str(path), "--mapping", "shopify", "--show", "4"]
    assert run(words) == 0
    alone = capsys.readouterr()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(shard_stager, "FORK_FROM", 1)
    monkeypatch.setattr(shard_stager, "FORKED_SHARD_BYTES", 20_000)
    forks, fork = [], os.fork
    monkeypatch.setattr(os, "fork", lambda: forks.append(fork()) or forks[-1])
    assert run(words) == 0
    assert capsys.readouterr() == alone
    assert len(forks) > 2
    assert "strange.a[].b, stranger" in alone.err
