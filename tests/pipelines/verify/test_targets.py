"""What a verification reads: each session and customer once, in the order of the input, by its last version."""

import json
from contextlib import closing

import pytest

from beam_talonone.pipelines.backfill import staging
from beam_talonone.pipelines.backfill.ingest import ingest
from beam_talonone.pipelines.backfill.inputs import match_inputs
from beam_talonone.pipelines.backfill.options import InputOptions
from beam_talonone.pipelines.verify import targets
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.kinds import rank
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.protocols.session_reads import CannotRead


def order(id, hour, status="completed", customer="c", **more):
    return {"order_id": id, "customer_id": customer, "status": status, "event_time": at(hour), "items": [], **more}


def back(id, order, hour):
    items = [{"sku": "tea", "quantity": 1}]
    return {"return_id": id, "order_id": order, "event_time": at(hour), "items": items}


def change(customer, hour, **more):
    return {"customer_id": customer, "event_time": at(hour), **more}


def at(hour):
    return f"2026-05-01T{hour:02}:00:00Z"


@pytest.fixture
def listed(tmp_path):
    """Maps records by kind to (connection of a staging database with its targets listed, their number)."""
    opened = []

    def make(**kinds):
        globs = {}
        for kind, records in kinds.items():
            path = tmp_path / f"{kind}.jsonl"
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
            globs[kind] = str(path)
        options = InputOptions(globs)
        ingest(tmp_path / "spool.sqlite", options, match_inputs(options, print), "job", ())
        connection = staging.connect(tmp_path / "spool.sqlite")
        opened.append(closing(connection))
        return connection, targets.list_targets(connection)

    yield make
    for one in opened:
        with one:
            pass


def test_each_once_in_the_order_of_the_input(listed):
    connection, count = listed(
        orders=[order("b", 5), order("a", 1), order("b", 2, "open"), order("a", 9, "cancelled")],
        returns=[back("r2", "b", 8), back("r1", "b", 7), back("r3", "elsewhere", 3), back("bad", "", 3)],
        profiles=[change("z", 4, attributes={"n": 2}), change("y", 1), change("z", 3, attributes={"n": 1, "m": 1})],
    )
    found = targets.load_targets(connection, 1, count)
    ids = [next(iter(target.request.path.values())) for target in found]
    assert (count, ids) == (5, ["b", "a", "elsewhere", "z", "y"])
    assert [target.number for target in found] == [1, 2, 3, 4, 5]
    records = [sorted(target.records.values()) for target in found]
    assert records == [
        [("orders", "b"), ("returns", "r1"), ("returns", "r2")],
        [("orders", "a")],
        [("returns", "r3")],
        [("profiles", "z"), ("profiles", "z")],
        [("profiles", "y")],
    ]
    assert [len(target.superseded) for target in found] == [1, 1, 0, 0, 0]
    assert found[0].compare({"state": "open"})[0]["expected"] == "partially_returned"
    assert [line["id"] for line in found[0].compare(None)] == ["b", "r1", "r2"]
    assert found[3].compare({"attributes": {"n": 2, "m": 1}}) == []
    every = [
        target.number for first in range(1, 6, 2) for target in targets.load_targets(connection, first, first + 1)
    ]
    assert every == [1, 2, 3, 4, 5]


def test_what_is_done_is_not_read_again(listed):
    connection, count = listed(orders=[order(str(number), 1) for number in range(7)])
    chunks = list(targets.left_to_read(connection, count, 3))
    assert [[target.number for target in chunk] for chunk in chunks] == [[1, 2, 3], [4, 5, 6], [7]]
    targets.note_done(connection, chunks[1])
    left = [[target.number for target in chunk] for chunk in targets.left_to_read(connection, count, 3)]
    assert left == [[1, 2, 3], [7]]
    assert targets.count_done(connection) == 3


@pytest.mark.parametrize(
    ("orders", "returns", "missing"),
    [
        ([order("o", 1, "cancelled")], [], []),
        ([order("o", 1, "cancelled"), order("o", 2, "cancelled")], [], []),
        ([order("o", 1, "open"), order("o", 2, "cancelled")], [], ["session"]),
        ([order("o", 1, "cancelled")], [back("r", "o", 2)], ["session", "items"]),
    ],
)
def test_a_cancelled_order_that_never_was(listed, orders, returns, missing):
    connection, _ = listed(orders=orders, returns=returns)
    (target,) = targets.load_targets(connection, 1, 1)
    assert [line["field"] for line in target.compare(None)] == missing


def test_an_erasure_takes_the_attributes_of_earlier_orders(listed):
    attributes = {"attributes": {"channel": "web"}}
    connection, _ = listed(
        orders=[order("before", 1, **attributes), order("after", 9, **attributes), order("g", 1, customer=None)],
        profiles=[change("c", 5, erase=True), change("guest-g", 5, erase=True), change("d", 5)],
    )
    there = {"state": "closed", "cartItems": [], "cartItemTotal": 0, "cartItemAdditionalCostTotal": 0}
    first, second, guest = targets.load_targets(connection, 1, 3)
    assert first.compare({**there, "profileId": "c"}) == []
    assert [line["field"] for line in second.compare({**there, "profileId": "c"})] == ["attributes"]
    assert guest.compare({**there, "profileId": "guest-g"}) == []


def test_the_rank_of_an_erasure():
    record = parse("profiles", change("c", 1, erase=True)).record
    assert rank("profiles", record) == targets.ERASURE


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Answer(200, Verdict.APPLIED, None, "", body=b'{"customerSession": {"total": 1.50}}'), '{"total": 1.50}'),
        (Answer(404, Verdict.REFUSED, None, "no"), None),
        (Answer(400, Verdict.REFUSED, None, "no"), None),
        (Answer(422, Verdict.REFUSED, None, "no"), CannotRead),
        (Answer(None, Verdict.REFUSED, None, "no answer"), CannotRead),
        (Answer(200, Verdict.APPLIED, None, "", body=b"[]"), CannotRead),
        (Answer(200, Verdict.APPLIED, None, "", body=b""), CannotRead),
        (Answer(200, Verdict.APPLIED, None, "", body=b'{"customerSession": []}'), CannotRead),
    ],
)
def test_what_an_answer_shows(listed, answer, found):
    connection, _ = listed(orders=[order("o", 1)])
    (target,) = targets.load_targets(connection, 1, 1)
    if found is CannotRead:
        with pytest.raises(CannotRead):
            targets.entity_in(target, answer)
        return
    shown = targets.entity_in(target, answer)
    assert shown is None if found is None else str(shown["total"]) == "1.50"


class _Explained:
    """A connection that gives the plan of a query in place of its rows."""

    def __init__(self, connection):
        self._connection = connection

    def execute(self, query, parameters):
        return self._connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)


@pytest.mark.parametrize("sort", ["session", "customer"])
def test_a_chunk_costs_the_same_however_many_records_there_are(listed, sort):
    connection, _ = listed(orders=[order("b", 5)], returns=[back("r", "b", 6)], profiles=[change("z", 4)])
    plan = [row[-1] for row in targets._rows(_Explained(connection), sort, 1, 5)]
    assert any("by_rec" in step for step in plan)
    assert not [step for step in plan if "AUTOMATIC" in step or step.startswith(("SCAN q", "SCAN r"))]
