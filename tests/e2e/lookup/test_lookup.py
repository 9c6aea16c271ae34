"""Lookups: all pages of each, each row once, in the order of the input, also when it is interrupted."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    RESUME_IF_BEGUN,
    USAGE,
    Json,
    Simulator,
    assert_balanced,
    cli,
    dead_letters,
    lines,
    report,
    simulator,
    start,
    wait_until,
    write,
)

TRANSACTIONS, POINTS = "get_loyalty_program_profile_transactions", "get_loyalty_program_profile_points"
CARD_TRANSACTIONS, BALANCES = "get_loyalty_card_transactions", "get_loyalty_balances"
INVENTORY, SESSION, EVENT = "get_customer_inventory", "get_customer_session", "get_event_v3"


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator(latency_ms=2) as sim:
        yield sim


def lookup(sim: Simulator, operation: str, source: Path, output: Path, *more: object) -> list[object]:
    words = ["lookup", operation, "--input", source, "--output", output, "--base-url", sim.url]
    return [*words, *more] if "--rate" in more else [*words, "--rate", 3000, *more]


def lookup_of(customer: str, program: int = 1, **more: Any) -> Json:
    """A line of the input."""
    return {"path": {"loyaltyProgramId": program, "integrationId": customer}, **more}


def found(output: Path) -> list[Json]:
    return lines(output, "lookups/*.jsonl")


def ids(line: Json) -> list[int]:
    return [row["id"] for row in line["response"]["data"]]


def test_all_pages_of_a_customer(sim: Simulator, tmp_path: Path) -> None:
    for customer, rows in (("many", 2347), ("thousand", 1000), ("more", 1001), ("one", 1)):
        sim.put_rows(rows, profile=customer)
    source = write(
        tmp_path / "in.jsonl",
        [
            lookup_of("many", lookup_id="a"),
            lookup_of("thousand"),
            lookup_of("more"),
            lookup_of("one", lookup_id=7),
            lookup_of("many", query={"pageSize": 100, "skip": 2000}, lookup_id="a"),
        ],
    )
    ended = cli(*lookup(sim, TRANSACTIONS, source, tmp_path / "out"))
    assert ended.code == FINISHED, ended.err
    all_, thousand, more, one, part = found(tmp_path / "out")
    assert ids(all_) == list(range(2347, 0, -1)), "newest first, as the API gives them"
    assert [len(ids(line)) for line in (thousand, more, one, part)] == [1000, 1001, 1, 347]
    assert [line["pages"] for line in (all_, thousand, more, one, part)] == [3, 1, 2, 1, 4]
    assert ids(part) == list(range(347, 0, -1))
    assert [line["lookup_id"] for line in (all_, thousand, more, one, part)] == ["a", None, None, "7", "a"]
    assert list(all_) == ["lookup_id", "operation", "path", "query", "status", "pages", "response"]
    assert all_["response"]["hasMore"] is False
    assert all_["path"] == {"loyaltyProgramId": 1, "integrationId": "many"}
    assert part["query"] == {"pageSize": 100, "skip": 2000}
    assert {line["status"] for line in found(tmp_path / "out")} == {200}
    assert all_["response"]["data"][0]["amount"] == all_["response"]["data"][40]["amount"], "whole rows"
    counts = assert_balanced(tmp_path / "out")["kinds"]["lookups"]
    assert (counts["read"], counts["applied"]) == (5, 5)


def test_a_page_that_fails_is_tried_again(sim: Simulator, tmp_path: Path) -> None:
    sim.put_rows(500, profile="p")
    source = write(tmp_path / "in.jsonl", [lookup_of("p", query={"pageSize": 100})])
    sim.faults(
        "5xx:target=skip=100,to-request=3", "cut-before:target=skip=200,to-request=5",
        "cut-after:target=skip=300,to-request=8", f"storm:operation={TRANSACTIONS},to-request=1",
    )  # fmt: skip
    ended = cli(*lookup(sim, TRANSACTIONS, source, tmp_path / "out"))
    assert ended.code == FINISHED, ended.err
    (line,) = found(tmp_path / "out")
    assert (ids(line), line["pages"]) == (list(range(500, 0, -1)), 5)
    failed = [row for row in sim.rows("requests") if row["status"] != 200]
    assert len({row["target"] for row in failed}) >= 3
    assert report(tmp_path / "out")["operations"][TRANSACTIONS]["retries"] == len(failed)


def test_rows_that_are_added_meanwhile(sim: Simulator, tmp_path: Path) -> None:
    """They push others to the next page. Each that was there at the start comes, and none comes twice."""
    for customer in ("p", "q"):
        sim.put_rows(1500, profile=customer)
    source = write(tmp_path / "in.jsonl", [lookup_of(name, query={"pageSize": 30}) for name in ("p", "q")])
    sim.faults("latency:ms=20")
    running = start(*lookup(sim, TRANSACTIONS, source, tmp_path / "out"))
    wait_until(lambda: sim.summary()["requests"] >= 4, "it began", running)
    added = 0
    while running.process.poll() is None:
        for customer, rows in (("p", 3), ("q", 15)):
            sim.put_rows(rows, profile=customer)
        added += 1
        time.sleep(0.02)
    assert running.end().code == FINISHED
    assert added > 10
    for line, first in zip(found(tmp_path / "out"), (1, 1501), strict=True):
        counted = Counter(ids(line))
        assert set(counted.values()) == {1}
        assert set(range(first, first + 1500)) <= set(counted)
        assert line["pages"] > 51, "nothing was pushed: the test shows nothing"


def test_what_csv_says(sim: Simulator, tmp_path: Path) -> None:
    sim.put_rows(30, profile="a,b", subledger="gold")
    sim.put_rows(20, profile="a,b", subledger="s1")
    sim.put_rows(5, profile="漢 字/%", created="2026-01-01T00:00:00Z")
    source = tmp_path / "in.csv"
    source.write_text(
        "lookup_id,loyaltyProgramId,integrationId,subledgerId,pageSize,startDate,awaitsActivation\n"
        'x,1,"a,b",,10,,\n'
        '\n"y ""z""",1,"a,b",gold,,,\n'
        ",1,漢 字/%,,,2026-01-01T00:00:03Z,\n"
        "w,1,漢 字/%,,,,true\n"
        "v,1,漢 字/%,,,,false\n",
        encoding="utf-8",
    )
    ended = cli(*lookup(sim, TRANSACTIONS, source, tmp_path / "out"))
    assert ended.code == DEAD_LETTERS, ended.err
    results = [(line["lookup_id"], len(ids(line)), line["pages"]) for line in found(tmp_path / "out")]
    assert results == [("x", 50, 5), ('y "z"', 30, 1), (None, 2, 1), ("w", 0, 1)]
    (dead_letter,) = dead_letters(tmp_path / "out")
    assert (dead_letter["id"], dead_letter["reason"], dead_letter["pointer"]) == (
        "v",
        "invalid_lookup",
        "/query/awaitsActivation",
    )
    assert dead_letter["source"]["position"] == 7  # the line that an editor shows
    assert dead_letter["record"]["awaitsActivation"] == "false"


def test_query_parameters(sim: Simulator, tmp_path: Path) -> None:
    for subledger, rows in (("a", 3), ("b", 5), ("c,d", 7)):
        sim.put_rows(rows, card="CARD-1", subledger=subledger, session=f"s{rows}")
    path = {"loyaltyProgramId": 1, "loyaltyCardId": "CARD-1"}
    queries: list[tuple[Json, int]] = [
        ({}, 15),
        ({"subledgerId": ["a", "b"]}, 8),
        ({"subledgerId": "a,b"}, 8),
        ({"subledgerId": ["c,d"]}, 7),
        ({"customerSessionIDs": ["s7"], "loyaltyTransactionType": "session"}, 7),
        ({"loyaltyTransactionType": "import"}, 0),
        ({"startDate": "2020-01-01T00:00:00+02:00", "endDate": "2999-01-01T00:00:00.5Z"}, 15),
        ({"endDate": "2020-01-01T00:00:00Z"}, 0),
        ({"awaitsActivation": True, "subledgerId": None}, 0),
    ]
    source = write(tmp_path / "in.jsonl", [{"path": path, "query": query} for query, _ in queries])
    ended = cli(*lookup(sim, CARD_TRANSACTIONS, source, tmp_path / "out"))
    assert ended.code == FINISHED, ended.err
    assert [len(ids(line)) for line in found(tmp_path / "out")] == [rows for _, rows in queries]


def test_a_404_is_an_answer(sim: Simulator, tmp_path: Path) -> None:
    sim.put_rows(3, profile="known")
    source = write(tmp_path / "in.jsonl", [lookup_of("nobody"), lookup_of("known"), lookup_of("a/../b?c")])
    for operation in (TRANSACTIONS, BALANCES):
        ended = cli(*lookup(sim, operation, source, tmp_path / operation))
        assert ended.code == FINISHED, ended.err
        missing, known, odd = found(tmp_path / operation)
        assert (missing["status"], missing["pages"], known["status"], odd["status"]) == (404, 1, 200, 404)
        assert "customer" in missing["response"]["message"]
    assert report(tmp_path / TRANSACTIONS)["kinds"]["lookups"]["applied"] == 3


def test_bad_lines_are_dead_letters(sim: Simulator, tmp_path: Path) -> None:
    sim.put_rows(3, profile="p")
    bad: list[tuple[Any, str, str | None]] = [
        ("{", "not_json", None),
        ("[]", "not_an_object", None),
        ({"lookup_id": "n", "path": {"integrationId": "p"}}, "invalid_lookup", "/path"),
        (lookup_of("p", "x"), "invalid_lookup", "/path/loyaltyProgramId"),  # type: ignore[arg-type]
        (lookup_of("p", query={"pageSize": 1001}), "invalid_lookup", "/query/pageSize"),
        (lookup_of("p", query={"pagesize": 10}), "invalid_lookup", "/query/pagesize"),
        (lookup_of("p", query={"startDate": "yesterday"}), "invalid_lookup", "/query/startDate"),
        (lookup_of("p", query={"startDate": "2026-01-32"}), "invalid_lookup", "/query/startDate"),
        (lookup_of("p", query={"loyaltyTransactionType": "gift"}), "invalid_lookup", "/query/loyaltyTransactionType"),
        (lookup_of("p", body={}), "invalid_lookup", "/body"),
        (lookup_of(""), "invalid_field", "/path/integrationId"),
        ({"path": []}, "invalid_field", "/path"),
    ]
    source = write(tmp_path / "in.jsonl", [*(line for line, _, _ in bad), lookup_of("p")])
    ended = cli(*lookup(sim, TRANSACTIONS, source, tmp_path / "out"))
    assert ended.code == DEAD_LETTERS, ended.err
    dead = dead_letters(tmp_path / "out")
    assert [(dead_letter["reason"], dead_letter["pointer"]) for dead_letter in dead] == [
        (why, where) for _, why, where in bad
    ]
    assert [dead_letter["source"]["position"] for dead_letter in dead] == list(range(1, len(bad) + 1))
    assert {dead_letter["kind"] for dead_letter in dead} == {"lookups"}
    assert len(found(tmp_path / "out")) == len(sim.rows("requests")) == 1
    assert_balanced(tmp_path / "out")


@pytest.mark.parametrize("operation", ["get_everything", "create_referral", "GET_LOYALTY_BALANCES"])
def test_what_is_no_read_is_refused(sim: Simulator, tmp_path: Path, operation: str) -> None:
    source = write(tmp_path / "in.jsonl", [lookup_of("p")])
    ended = cli(*lookup(sim, operation, source, tmp_path / "out"))
    ended.says(USAGE, operation, "get_customer_session", "best_prior_price", "get_event_v3")
    assert not (tmp_path / "out").exists()


def test_a_used_folder_is_refused(sim: Simulator, tmp_path: Path) -> None:
    sim.put_rows(3, profile="p")
    source = write(tmp_path / "in.jsonl", [lookup_of("p")])
    words = lookup(sim, TRANSACTIONS, source, tmp_path / "out")
    assert cli(*words).code == FINISHED
    before = (tmp_path / "out" / "lookups" / "slice-000001.jsonl").read_bytes()
    cli(*words).says(USAGE, "--output", "--resume")
    assert cli(*words, "--resume").code == FINISHED
    cli(*lookup(sim, BALANCES, source, tmp_path / "out"), "--resume").says(USAGE, "OPERATION")
    cli(*lookup(sim, TRANSACTIONS, tmp_path / "none*.jsonl", tmp_path / "other")).says(USAGE, "--input")
    assert (tmp_path / "out" / "lookups" / "slice-000001.jsonl").read_bytes() == before
    assert len(sim.rows("requests")) == 1


def test_killed_and_resumed(sim: Simulator, tmp_path: Path) -> None:
    """The same lines as without, in the order of the input, each once; what was read is not read again."""
    for number in range(200):
        sim.put_rows(1 + number % 7, profile=f"c{number}")
    order = [(number * 77) % 200 for number in range(200)]
    source = write(
        tmp_path / "in.jsonl",
        [lookup_of(f"c{number}", lookup_id=f"l{number}", query={"pageSize": 2}) for number in order],
    )
    sim.faults("latency:ms=20,jitter=40", "5xx:share=0.02", "cut-after:share=0.02")
    words = lookup(sim, TRANSACTIONS, source, tmp_path / "out", RESUME_IF_BEGUN, "--rate", 400)
    for requests in (100, 250):
        running = start(*words)
        wait_until(lambda least=requests: sim.summary()["requests"] >= least, "some were read", running)  # type: ignore[misc]
        running.kill()
    assert cli(*words, "--limit", 20).code == FINISHED
    assert cli(*words).code == FINISHED
    sent = [row for row in sim.rows("requests") if row["status"] == 200]
    sim.faults()
    assert cli(*lookup(sim, TRANSACTIONS, source, tmp_path / "whole")).code == FINISHED
    assert [line["lookup_id"] for line in found(tmp_path / "out")] == [f"l{number}" for number in order]
    assert found(tmp_path / "out") == found(tmp_path / "whole")
    needed = sum(line["pages"] for line in found(tmp_path / "whole"))
    assert len(sent) - needed <= 200, "only what was in flight at a kill is read again"
    assert list((tmp_path / "out" / "state").glob("lines-*")) == []
    assert_balanced(tmp_path / "out")


def test_the_rate_is_kept(sim: Simulator, tmp_path: Path) -> None:
    """Pages count as requests too."""
    sim.put_rows(400, profile="p")
    source = write(tmp_path / "in.jsonl", [lookup_of("p", query={"pageSize": 10}) for _ in range(3)])
    ended = cli(*lookup(sim, TRANSACTIONS, source, tmp_path / "out", "--rate", 50))
    assert ended.code == FINISHED, ended.err
    arrived = sorted(float(row["arrived"]) for row in sim.rows("requests"))
    assert len(arrived) == 120
    for first, last in zip(arrived, arrived[50:], strict=False):
        # 51 requests need 1 second; what arrives late by chance may make it look a little shorter
        assert last - first > 0.9
    assert {line["pages"] for line in found(tmp_path / "out")} == {40}


def test_thousands_of_customers(sim: Simulator, tmp_path: Path) -> None:
    """More than a slice's worth is not needed to see that all are there, once and in order, from several files."""
    count = 5000
    names = [f"c{number}" for number in range(count)]
    threads = [
        threading.Thread(target=lambda part=part: [sim.put_rows(2, profile=name) for name in names[part::4]])
        for part in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for part in range(5):
        write(
            tmp_path / f"in-{part}.jsonl", [lookup_of(name, lookup_id=name) for name in names[part * 1000 :][:1000]]
        )
    ended = cli(*lookup(sim, POINTS, tmp_path / "in-*.jsonl", tmp_path / "out"))
    assert ended.code == FINISHED, ended.err
    results = found(tmp_path / "out")
    assert [line["lookup_id"] for line in results] == names
    assert all(len(ids(line)) == 2 for line in results)
    assert len(sim.rows("requests")) == count


def test_reads_that_have_no_pages(sim: Simulator, tmp_path: Path) -> None:
    sim.put_session("s/1 ü", profileId="p", state="open", cartItems=[{"sku": "a", "quantity": 1, "price": 19.99}])
    by_id = {
        SESSION: [{"path": {"customerSessionId": "s/1 ü"}}, {"path": {"customerSessionId": "none"}}],
        INVENTORY: [{"path": {"integrationId": "p"}, "query": {"profile": True, "loyalty": "true"}}],
        EVENT: [{"path": {"integrationId": "none"}}],
        "best_prior_price": [
            {"body": {"skus": ["a"], "timeframe": "30", "timeframeEndDate": "2026-01-01T00:00:00Z",
                      "timeframeEndDateType": "strict"}}
        ],
        "integration_get_all_campaigns": [{}, {"query": {"pageSize": 1}}],
    }  # fmt: skip
    answers = {}
    under_way = []
    for operation, lookups in by_id.items():
        source = write(tmp_path / f"{operation}.jsonl", lookups)
        under_way.append(start(*lookup(sim, operation, source, tmp_path / operation)))
    for running in under_way:
        assert running.end().code == FINISHED, running.err
    for operation in by_id:
        answers[operation] = found(tmp_path / operation)
    there, missing = answers[SESSION]
    assert (there["status"], missing["status"], there["pages"]) == (200, 404, 1)
    assert there["response"]["customerSession"]["cartItems"][0]["sku"] == "a"
    assert '"price":19.99' in (tmp_path / SESSION / "lookups" / "slice-000001.jsonl").read_text()
    assert answers[INVENTORY][0]["response"]["profile"]["integrationId"] == "p"
    assert answers[EVENT][0]["status"] == 404
    all_, paged = answers["integration_get_all_campaigns"]
    assert [one["id"] for one in all_["response"]["data"]] == [one["id"] for one in paged["response"]["data"]]
    assert (all_["pages"], paged["pages"]) == (1, len(paged["response"]["data"]))
