"""What the API would do twice if it were sent twice: referrals, cards and audiences without a name of their own."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.servers.ports import free_port

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    RESUME_IF_BEGUN,
    STOPPED,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    call,
    cli,
    dead_letters,
    lines,
    replay,
    report,
    simulator,
    simulator_at,
    start,
    wait_until,
    write_kinds,
)

REFERRAL, REFERRALS = "create_referral", "create_referrals_for_multiple_advocates"
CARD, AUDIENCE = "generate_loyalty_card", "create_audience_v2"
LINK, UNLINK, JOIN = "link_loyalty_card_to_profile", "unlink_loyalty_card_from_profile", "join_loyalty_program"
ACTIVATE = "activate_loyalty_points"


def referral(number: int) -> Json:
    body = {"campaignId": 1, "advocateProfileIntegrationId": f"a{number}", "attributes": {"call": f"ref{number}"}}
    return call(f"ref{number}", REFERRAL, number % 100, body=body)


def referrals(number: int, advocates: int) -> Json:
    ids = [f"b{number}-{at}" for at in range(advocates)]
    body = {"campaignId": 2, "advocateProfileIntegrationIds": ids, "usageLimit": 1, "attributes": {"call": number}}
    return call(f"many{number}", REFERRALS, number % 100, body=body)


def card(number: int, **more: Any) -> Json:
    body = {"customerProfileIds": [f"holder{number}"], **more}
    return call(f"card{number}", CARD, number % 100, path={"loyaltyProgramId": 4}, body=body)


def audience(number: int, **more: Any) -> Json:
    return call(f"aud{number}", AUDIENCE, number % 100, body={"name": f"audience {number}", **more})


def named(count: int) -> list[Json]:
    """Cards and audiences with identifiers, `count` of each."""
    cards = [card(number, cardIdentifier=f"CARD-{number}") for number in range(count)]
    return cards + [audience(number, integration="crm", integrationId=f"crm-{number}") for number in range(count)]


def named_others(count: int) -> list[Json]:
    """The same beside cards and audiences without a name."""
    return [record | {"call_id": f"named {record['call_id']}"} for record in _renamed(named(count))]


def _renamed(records: list[Json]) -> Iterator[Json]:
    for number, record in enumerate(records):
        body = record["body"]
        new = {"name": f"named {number}"} if "name" in body else {"customerProfileIds": [f"named {number}"]}
        yield record | {"body": body | new}


def assert_named_once(sim: Simulator, count: int) -> None:
    cards = {row["id"]: row["profiles"] for row in sim.rows("cards")}
    assert cards == {f"CARD-{number}": [f"holder{number}"] for number in range(count)}
    assert Counter(row["name"] for row in sim.rows("audiences")) == {
        f"audience {number}": 1 for number in range(count)
    }


def unsafe(each: int) -> list[Json]:
    """`each` of every kind without protection, and a call of 2,500 advocates."""
    records = [make(number) for number in range(each) for make in (referral, card, audience)]
    records += [referrals(number, 3) for number in range(each)]
    return [*records, referrals(each, 2500)]


def sent(row: Json) -> str:
    """A name for the content of a request: two requests with the same name are one sent twice."""
    body = row["body"]
    match row["operation"]:
        case "create_referral":
            return f"ref {body['advocateProfileIntegrationId']}"
        case "create_referrals_for_multiple_advocates":
            return f"many {body['attributes']['call']} {body['advocateProfileIntegrationIds'][0]}"
        case "generate_loyalty_card":
            return f"card {body['customerProfileIds'][0]}"
    return f"aud {body['name']}"


def acted_once(sim: Simulator) -> set[str]:
    counted = Counter(map(sent, sim.acted(REFERRAL, REFERRALS, CARD, AUDIENCE)))
    assert {what for what, number in counted.items() if number > 1} == set(), "sent twice"
    return set(counted)


def portions(records: list[Json]) -> set[str]:
    """All that `records` should lead to, as `sent` names it."""
    found = set()
    for record in records:
        ids = record["body"].get("advocateProfileIntegrationIds")
        for first in range(0, len(ids) if ids else 1, 1000):
            part = {"advocateProfileIntegrationIds": ids[first:]} if ids else {}
            found.add(sent({"operation": record["operation"], "body": record["body"] | part}))
    return found


def applied(output: Path) -> set[str]:
    return {line["id"] for line in lines(output, "results/*.jsonl") if line["kind"] == "calls"}


def assert_acted_once_or_unknown(sim: Simulator, records: list[Json], output: Path) -> list[Json]:
    """Assert that each call acted once, or is a dead letter of unknown outcome; return these dead letters."""
    acted = acted_once(sim)
    assert acted <= portions(records)
    done, dead = applied(output), dead_letters(output)
    assert {dead_letter["reason"] for dead_letter in dead} <= {"outcome_unknown"}
    assert done | {dead_letter["id"] for dead_letter in dead} == {record["call_id"] for record in records}
    assert len(done) + len(dead) == len(records)
    for record in records:
        if record["call_id"] in done:
            assert portions([record]) <= acted, f"{record['call_id']} counts as applied and did not act"
    assert_balanced(output)
    return dead


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    with simulator(latency_ms=5) as sim:
        yield sim


def test_cut_after_acting(sim: Simulator, tmp_path: Path) -> None:
    """A third of all is cut after it acted: those are unknown, the others applied, and no replay sends one again."""
    records = unsafe(40)
    sim.faults("cut-after:share=0.34")
    words = backfill(sim.url, write_kinds(tmp_path, {"calls": records}), tmp_path / "out", "--results")
    ended = cli(*words)
    assert ended.code == DEAD_LETTERS, ended.err
    dead = assert_acted_once_or_unknown(sim, records, tmp_path / "out")
    cut = [row for row in sim.rows("requests") if row["fault"] == "cut-after"]
    assert len(sim.rows("requests")) == len(portions(records)), "each left once"
    assert len(cut) - 2 <= len(dead) <= len(cut), "two may be portions of one call"
    assert len(cut) > 30
    assert acted_once(sim) == portions(records)
    sim.faults()
    before = len(sim.rows("requests"))
    for again in ("again", "twice"):
        ended = cli(*replay(sim.url, tmp_path / "out", tmp_path / again, "--max-dead-letters", "100%"))
        assert ended.code == DEAD_LETTERS, ended.err
        assert {dead_letter["id"] for dead_letter in dead_letters(tmp_path / again)} == {
            dead_letter["id"] for dead_letter in dead
        }
        assert {dead_letter["reason"] for dead_letter in dead_letters(tmp_path / again)} == {"outcome_unknown"}
    ended = cli(*replay(sim.url, tmp_path / "again", tmp_path / "third", "--max-dead-letters", "100%"))
    assert {dead_letter["reason"] for dead_letter in dead_letters(tmp_path / "third")} == {"outcome_unknown"}
    assert len(sim.rows("requests")) == before, "nothing is sent again"


def test_killed_again_and_again(sim: Simulator, tmp_path: Path) -> None:
    records = [*unsafe(60), *named_others(60)]
    sim.faults("latency:ms=60", "cut-after:share=0.05")
    inputs = write_kinds(tmp_path, {"calls": records})
    words = backfill(sim.url, inputs, tmp_path / "out", "--results", RESUME_IF_BEGUN, "--rate", 150)
    for share in (0.2, 0.5, 0.8):
        running = start(*words)
        count = int(share * len(records))
        wait_until(lambda count=count: sim.summary()["acted"] >= count, f"{share:.0%} were sent", running)  # type: ignore[misc]
        running.kill()
    ended = cli(*words)
    assert ended.code == DEAD_LETTERS, ended.err
    dead = assert_acted_once_or_unknown(sim, records, tmp_path / "out")
    assert 0 < len(dead) <= 0.1 * len(records) + 3 * 20, "at this rate and latency few are in flight at a kill"
    unsure = {dead_letter["id"] for dead_letter in dead}
    assert all("named" not in name for name in unsure), "what has a name is looked for, or goes again"
    before = len(sim.rows("requests"))
    assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "again")).code == DEAD_LETTERS
    assert len(sim.rows("requests")) == before
    assert {dead_letter["id"] for dead_letter in dead_letters(tmp_path / "again")} == unsure


def test_what_is_known_not_to_have_acted_is_tried_again(sim: Simulator, tmp_path: Path) -> None:
    """429 for all for a while, and now and then later."""
    records = unsafe(20)
    sim.faults("storm:to=2", "storm:share=0.05")
    words = backfill(sim.url, write_kinds(tmp_path, {"calls": records}), tmp_path / "out", "--results")
    ended = cli(*words)
    assert ended.code == FINISHED, ended.err
    assert assert_acted_once_or_unknown(sim, records, tmp_path / "out") == []
    assert sum(row["status"] == 429 for row in sim.rows("requests")) > 5


def test_refused_connections_are_tried_again(tmp_path: Path) -> None:
    """Nobody listens at first, and nobody again for a while later."""
    records = unsafe(30)
    port = free_port()
    inputs = write_kinds(tmp_path, {"calls": records})
    url = f"http://127.0.0.1:{port}"
    with socket.socket() as taken:  # bound, but not listening: connections are refused
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        running = start(*backfill(url, inputs, tmp_path / "out", "--results"))
        journal = tmp_path / "out" / "state" / "journal-slice-000001.jsonl"
        wait_until(lambda: journal.exists() and journal.stat().st_size > 0, "it was tried", running)
        time.sleep(1.0)
    with simulator_at(port) as sim:
        ended = running.end()
        assert ended.code == FINISHED, ended.err
        assert assert_acted_once_or_unknown(sim, records, tmp_path / "out") == []
        assert acted_once(sim) == portions(records)
    counts = report(tmp_path / "out")["operations"]
    assert sum(row["retries"] for row in counts.values()) > 0


def test_names_make_cards_and_audiences_safe(sim: Simulator, tmp_path: Path) -> None:
    """With an identifier of its own each is there exactly once, though many first tries were cut after they acted."""
    records = named(60)
    sim.faults("cut-after:share=0.3,to-request=100")
    inputs = write_kinds(tmp_path, {"calls": records})
    ended = cli(*backfill(sim.url, inputs, tmp_path / "out", "--results"))
    assert ended.code == FINISHED, ended.err
    assert_named_once(sim, 60)
    outcomes = Counter(line["outcome"] for line in lines(tmp_path / "out", "results/*.jsonl"))
    assert sum(outcomes.values()) == len(records)
    assert outcomes["already_applied"] > 10


def test_a_name_that_is_taken_by_somebody_else_is_no_success(sim: Simulator, tmp_path: Path) -> None:
    """The answer "exists" means that we made it only after an ambiguous try."""
    taken = [card(1, cardIdentifier="TAKEN"), audience(1, integrationId="taken")]
    inputs = write_kinds(tmp_path, {"calls": taken})
    assert cli(*backfill(sim.url, inputs, tmp_path / "first")).code == FINISHED
    others = [record | {"call_id": f"other {record['call_id']}"} for record in taken]
    inputs = write_kinds(tmp_path, {"calls": others})
    ended = cli(*backfill(sim.url, inputs, tmp_path / "out"))
    assert ended.code == DEAD_LETTERS, ended.err
    found = {
        dead_letter["id"]: (dead_letter["reason"], dead_letter["status"])
        for dead_letter in dead_letters(tmp_path / "out")
    }
    assert found == {"other card1": ("refused", 400), "other aud1": ("refused", 409)}


def test_links_and_memberships_after_a_cut(sim: Simulator, tmp_path: Path) -> None:
    """Linked, unlinked, joined once each; the API's "already" is found out by reading back."""
    count = 25

    def on_card(name: str, operation: str, number: int, hour: int, customer: str) -> Json:
        path = {"loyaltyProgramId": 4, "loyaltyCardId": f"CARD-{number}"}
        return call(f"{name}{number}", operation, hour, path=path, body={"integrationId": customer})

    made = [card(number, cardIdentifier=f"CARD-{number}") for number in range(count)]
    assert cli(*backfill(sim.url, write_kinds(tmp_path, {"calls": made}), tmp_path / "cards")).code == FINISHED
    records = [on_card("link", LINK, number, 200, f"friend{number}") for number in range(count)]
    records += [on_card("unlink", UNLINK, number, 201, f"holder{number}") for number in range(count)]
    records += [
        call(f"join{number}", JOIN, 202, path={"loyaltyProgramId": 9, "integrationId": f"friend{number}"})
        for number in range(count)
    ]
    sim.faults(*(f"cut-after:share=0.6,to-request=75,operation={operation}" for operation in (LINK, UNLINK, JOIN)))
    ended = cli(*backfill(sim.url, write_kinds(tmp_path, {"calls": records}), tmp_path / "out", "--results"))
    assert ended.code == FINISHED, ended.err
    outcomes = Counter((line["operation"], line["outcome"]) for line in lines(tmp_path / "out", "results/*.jsonl"))
    for operation in (LINK, UNLINK, JOIN):
        acted = sim.acted(operation)
        assert len(acted) == count, "the simulator refuses a second one"
        assert outcomes[operation, "applied"] + outcomes[operation, "already_applied"] == count
        assert outcomes[operation, "already_applied"] > 2
    assert {row["id"]: row["profiles"] for row in sim.rows("cards")} == {
        f"CARD-{number}": [f"friend{number}"] for number in range(count)
    }
    assert {(row["program"], row["id"]) for row in sim.rows("loyalty")} == {
        (9, f"friend{number}") for number in range(count)
    }
    assert_balanced(tmp_path / "out")


def test_outages_cost_few_referrals(tmp_path: Path) -> None:
    """503, or cut connections, say that the API may have acted. Not every referral may be spent on that: neither
    in a short outage, nor in one that is longer than --give-up-after."""
    records = [referral(number) for number in range(150)]
    inputs = write_kinds(tmp_path, {"calls": records})
    ends = {"503": "outage:kind=503,to=1.5", "cut": "outage:to=1.5", "long": "outage:kind=503"}
    with ExitStack() as stack:
        sims = {name: stack.enter_context(simulator(latency_ms=5)) for name in ends}
        words = {
            name: backfill(
                sim.url, inputs, tmp_path / name, "--results", RESUME_IF_BEGUN, "--rate", 60, "--give-up-after", 4
            )
            for name, sim in sims.items()
        }
        under_way = {name: start(*words[name]) for name in ends}
        for name, sim in sims.items():
            wait_until(lambda sim=sim: sim.summary()["acted"] >= 40, "some were sent", under_way[name])  # type: ignore[misc]
            sim.faults(ends[name])
        under_way["long"].end().says(STOPPED, "--give-up-after")
        sims["long"].faults()
        under_way["long"] = start(*words["long"])
        for name, sim in sims.items():
            ended = under_way[name].end()
            assert ended.code == DEAD_LETTERS, ended.err
            assert 1 <= len(assert_acted_once_or_unknown(sim, records, tmp_path / name)) <= 10


def test_names_need_no_care(sim: Simulator, tmp_path: Path) -> None:
    """Every first try is cut after it acted, nothing succeeds before: what is safe by its name goes on."""
    records = named(20)
    sim.faults("cut-after:to-request=40")
    ended = cli(*backfill(sim.url, write_kinds(tmp_path, {"calls": records}), tmp_path / "out"), timeout=30)
    assert ended.code == FINISHED, ended.err
    assert_named_once(sim, 20)


def test_points_are_activated_once(sim: Simulator, tmp_path: Path) -> None:
    """A refusal after an ambiguous try does not show whether the try acted: the outcome is unknown, not refused."""
    count = 20
    for number in range(count):
        sim.put_rows(2, program=number, profile=f"p{number}", pending=True, session=f"s{number}")
    records = [
        call(f"k{number}", ACTIVATE, path={"loyaltyProgramId": number}, body={"sessionId": f"s{number}"})
        for number in range(count)
    ]
    sim.faults("cut-after:share=0.4,to-request=20", "5xx:share=0.2,to-request=20")
    ended = cli(*backfill(sim.url, write_kinds(tmp_path, {"calls": records}), tmp_path / "out", "--results"))
    assert ended.code == DEAD_LETTERS, ended.err
    assert len(sim.acted(ACTIVATE)) == count
    dead = dead_letters(tmp_path / "out")
    assert {dead_letter["reason"] for dead_letter in dead} == {"outcome_unknown"}
    assert {dead_letter["id"] for dead_letter in dead}.isdisjoint(applied(tmp_path / "out"))
    assert len(dead) + len(applied(tmp_path / "out")) == count
    before = len(sim.acted())
    assert cli(*replay(sim.url, tmp_path / "out", tmp_path / "again")).code == DEAD_LETTERS
    assert {dead_letter["reason"] for dead_letter in dead_letters(tmp_path / "again")} == {"outcome_unknown"}
    assert len(sim.acted()) == before


def test_the_results_hold_what_was_made(sim: Simulator, tmp_path: Path) -> None:
    """The codes and the cards, also of a call in portions: without them nobody could use what was made."""
    records = [referral(1), card(1), referrals(1, 2500)]
    ended = cli(*backfill(sim.url, write_kinds(tmp_path, {"calls": records}), tmp_path / "out", "--results"))
    assert ended.code == FINISHED, ended.err
    made = {line["id"]: line["response"] for line in lines(tmp_path / "out", "results/*.jsonl")}
    codes = [made["ref1"]["code"], *(row["code"] for part in made["many1"] for row in part["data"])]
    assert set(codes) == {row["id"] for row in sim.rows("referrals")}
    assert len(codes) == 2501
    assert [row["id"] for row in sim.rows("cards")] == [made["card1"]["identifier"]]
