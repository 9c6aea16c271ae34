"""All 39 operations by the command itself, in processes of their own, against a running simulator."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    call,
    cli,
    dead_letters,
    lines,
    loads,
    simulator,
    write,
)

from beam_talonone.schemas.operations import OPERATIONS

from .bad import BAD, bad_record
from .bodies import CARD, CUSTOMER, FRIEND, SESSION
from .document import Document
from .table import CASES, Case
from .wire import Wire, case_record, our_wire, wire

CASE: Final = {case.operation: case for case in CASES}
READS: Final = [name for name, row in OPERATIONS.items() if row.is_read]

IN_ORDER: Final = (
    "update_customer_profiles_v2", "update_customer_profile_v2", "create_audience_v2", "update_audience_v2",
    "update_customer_profile_audiences", "update_audience_customers_attributes", "delete_audience_memberships_v2",
    "generate_loyalty_card", "link_loyalty_card_to_profile", "unlink_loyalty_card_from_profile",
    "join_loyalty_program", "sync_catalog", "update_customer_session_v2", "track_event_v2", "track_event_v3",
    "return_cart_items", "reopen_customer_session", "create_coupon_reservation", "delete_coupon_reservation",
    "create_referral", "create_referrals_for_multiple_advocates", "activate_loyalty_points",
    "delete_loyalty_transactions_from_ledgers", "delete_customer_data", "delete_audience_v2",
)  # fmt: skip
"""All writes, each after what it needs: an event is connected to a session that is closed, and so on."""

LIVE: Final = [(CASE[name], body) for name in IN_ORDER for body in CASE[name].bodies]


def live_query(case: Case) -> Json:
    return case.query if case.live is None else case.live


@pytest.fixture(scope="module")
def account() -> Iterator[Simulator]:
    """An account with a closed session, and with points that wait, by transaction and by session."""
    with simulator() as sim:
        sim.put_session(CASE["reopen_customer_session"].path["customerSessionId"], state="closed")
        sim.put_rows(2, program=5, profile=FRIEND, pending=True)
        sim.put_rows(1, program=5, profile=FRIEND, pending=True, session=SESSION)
        yield sim


@pytest.fixture(scope="module")
def written(account: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one backfill of all writes, one after the other by their ordering key."""
    records = [
        call(
            f"k{hour}", case.operation, hour, path=case.path, query=live_query(case), ordering_key="all of them",
            **({} if body is None else {"body": body}),
        )
        for hour, (case, body) in enumerate(LIVE)
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("writes")
    source = write(folder / "calls.jsonl", records)
    ended = cli(*backfill(account.url, {"calls": source}, folder / "out", "--results"))
    assert ended.code == FINISHED, ended.err + json.dumps(dead_letters(folder / "out"), default=str)[:2000]
    return folder / "out"


def test_each_write_is_one_line(written: Path):
    assert set(IN_ORDER) == {name for name, row in OPERATIONS.items() if not row.is_read}
    assert len(IN_ORDER) == len(set(IN_ORDER)) == 25
    counts = assert_balanced(written)["kinds"]["calls"]
    assert (counts["read"], counts["applied"]) == (len(LIVE), len(LIVE))


def test_each_write_acts_with_the_path_query_and_body_of_the_table(written: Path, account: Simulator):
    ours = account.acted()[1:]  # the first is the session of the fixture
    assert [row["operation"] for row in ours] == [case.operation for case, _ in LIVE]
    for row, (case, body) in zip(ours, LIVE, strict=True):
        name = case.operation
        assert row["path"] == {which: str(value) for which, value in case.path.items()}, name
        assert row["query"] == {which: _text(value) for which, value in live_query(case).items()}, name
        assert row["body"] == (None if body is None else loads(json.dumps(body))), name


def _text(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, value)


def test_each_write_has_its_result(written: Path):
    results = {row["id"]: row for row in lines(written, "results/*.jsonl")}
    for number, (case, _) in enumerate(LIVE):
        found = results[f"k{number}"]
        assert (found["operation"], found["outcome"], found["attempts"]) == (case.operation, "applied", 1)
        assert found["status"] in (200, 201, 204)


def test_what_is_bad_is_a_dead_letter_and_nothing_is_sent(account: Simulator, tmp_path: Path):
    wrong = {}
    for case in (CASE[name] for name in IN_ORDER):
        for bad in BAD[case.operation]:
            record, pointer = bad_record(case_record(case, case.bodies[-1]), bad)
            wrong[f"k{len(wrong)}"] = record, pointer
    source = write(tmp_path / "calls.jsonl", [record | {"call_id": id} for id, (record, _) in wrong.items()])
    before = len(account.rows("requests"))
    ended = cli(*backfill(account.url, {"calls": source}, tmp_path / "out"))
    assert ended.code == DEAD_LETTERS, ended.err
    assert len(account.rows("requests")) == before
    counts = assert_balanced(tmp_path / "out")["kinds"]["calls"]
    assert counts["invalid"] == counts["dead_lettered"] == len(wrong)
    dead = {dead_letter["record"]["call_id"]: dead_letter for dead_letter in dead_letters(tmp_path / "out")}
    found = {id: (dead_letter["reason"], dead_letter["pointer"]) for id, dead_letter in dead.items()}
    assert found == {id: ("invalid_call", pointer) for id, (_, pointer) in wrong.items()}


@pytest.fixture(scope="module")
def filled(written: Path, account: Simulator) -> Simulator:
    """The account after the writes, with points and transactions to be read."""
    for holder in ({"profile": CUSTOMER}, {"card": CARD}):
        account.put_rows(30, program=5, **holder)
        account.put_rows(5, program=5, session=SESSION, pending=True, **holder)
    return account


@pytest.mark.parametrize("name", READS)
def test_each_read_by_lookup(name: str, filled: Simulator, document_if_there: Document | None, tmp_path: Path):
    """Once with the table's whole query, once with none: that finds rows."""
    case, row = CASE[name], OPERATIONS[name]
    body = {} if case.bodies == (None,) else {"body": case.bodies[0]}
    lookups: list[Json] = [
        {"lookup_id": "whole/1 ü", "path": case.path, "query": case.query, **body},
        {"lookup_id": "bare", "path": case.path, **body},
    ]
    source = write(tmp_path / "ids.jsonl", lookups)
    before = len(filled.rows("requests"))
    ended = cli("lookup", name, "--input", source, "--output", tmp_path / "out", "--base-url", filled.url)
    assert ended.code == FINISHED, ended.err
    found = lines(tmp_path / "out", "lookups/*.jsonl")
    for line, one in zip(found, lookups, strict=True):
        assert (line["lookup_id"], line["operation"], line["status"]) == (one["lookup_id"], name, 200)
        assert (line["path"], line["query"]) == (case.path, one.get("query", {}))
        assert line["pages"] >= 1
        if document_if_there is not None:
            answer = document_if_there.answer(row, 200)
            assert answer is not None
            assert document_if_there.problems(answer, json.loads(json.dumps(line["response"], default=float))) == []
    wanted = [our_wire(case_record(case, case.bodies[0]) | {"query": one.get("query", {})}) for one in lookups]
    sent = [wire(row.method, request["target"], None) for request in filled.rows("requests")[before:]]
    assert sorted(map(_unpaged, sent)) == sorted(map(_unpaged, wanted))  # both at once, in any order
    if row.paging is not None:
        assert found[1]["response"][row.paging.rows], "the lookup without a query finds nothing"


def _unpaged(one: Wire) -> tuple[str, list[str], list[Any]]:
    """A request but for which page it asks for, and but for its body: of a read the simulator does not keep it."""
    query = [(name, texts) for name, texts in one.query.items() if name not in ("pageSize", "skip")]
    return one.method, one.segments, sorted(query)
