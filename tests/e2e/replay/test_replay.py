"""Dead letters sent again: after they or the account were fixed, and never over newer records."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    KEY,
    PROFILES,
    SESSION,
    Json,
    Simulator,
    assert_balanced,
    backfill,
    cli,
    dead_letters,
    event,
    lines,
    order,
    profile,
    returned,
    simulator,
    write,
    write_kinds,
)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulator(unknown_attributes=("unheard",), latency_ms=2) as sim:
        yield sim


def replay(sim: Simulator, pattern: object, output: Path, *more: object) -> list[object]:
    return ["replay", pattern, "--output", output, "--base-url", sim.url, "--rate", 3000, "--yes", *more]


def edit(output: Path, changes: dict[str, Any]) -> None:
    """Change the records in the dead letters of `output`: id -> what its record becomes."""
    left = set(changes)
    for path in (output / "dead-letters").glob("*.jsonl"):
        edited = []
        for line in path.read_text().splitlines():
            dead_letter = json.loads(line)
            name = dead_letter["id"] or str(dead_letter["record"])
            if name in changes:
                left.discard(name)
                dead_letter["record"] = changes[name]
            edited.append(dead_letter)
        write(path, edited)
    assert not left, f"no dead letters of {left}"


def test_letters_go_again(sim: Simulator, tmp_path: Path) -> None:
    kinds = {
        "orders": [
            order("old", "olga", "completed", 1, attributes={"unheard": 1}),
            order("old", "olga", "completed", 2),
            order("mended", "max", "completed", 1, attributes={"unheard": 1}),
            order("again", "anna", "completed", 1, attributes={"unheard": 1}),
            order("closed", "clara", "completed", 1),
            order("closed", "clara", "completed", 2, coupon_codes=["LATE"]),
            "{broken",
        ],
        "returns": [
            returned("mended-r", "mended", 3),
            returned("early", "not-yet-there", 3),
            returned("reused", "old", 3),
            returned("reused", "old", 3, quantity=2),
        ],
        "profiles": [
            profile("pia", 1, {"a": 1, "b": 1, "unheard": 1}),
            profile("pia", 2, {"a": 2}),
            profile("quinn", 1, {"a": 1, "unheard": 1}),
            profile("quinn", 2, {"a": 2}),
        ],
    }
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    inputs = write_kinds(tmp_path, kinds)
    (tmp_path / "orders-2.jsonl.gz").write_bytes(b"\x1f\x8bno gzip after these two")
    inputs["orders"] = tmp_path / "orders*.jsonl*"
    assert cli(*backfill(sim.url, inputs, first)).code == DEAD_LETTERS
    dead = {
        dead_letter["id"] or str(dead_letter["record"]): dead_letter["reason"] for dead_letter in dead_letters(first)
    }
    assert dead == {
        "old": "unknown_attribute", "mended": "unknown_attribute", "again": "unknown_attribute",
        "closed": "session_closed", "{broken": "not_json", "None": "unreadable_file",
        "mended-r": "order_dead_lettered", "early": "refused", "reused": "id_reused",
        "pia": "unknown_attribute", "quinn": "unknown_attribute",
    }  # fmt: skip

    # what was wrong is put right: records are edited, and the missing order is there now
    edit(
        first,
        {
            "old": order("old", "olga", "completed", 1),
            "mended": order("mended", "max", "completed", 1),
            "pia": profile("pia", 1, {"a": 1, "b": 1}),
            "quinn": profile("quinn", 1, {"a": 1}),
            "{broken": order("written-by-hand", "hanna", "open", 1),
        },
    )
    sim.put_session("not-yet-there", profileId="nora", state="closed", cartItems=[{"sku": "shirt", "quantity": 2}])
    before, requests_before = len(sim.acted()), len(sim.rows("requests"))
    ended = cli(*replay(sim, first / "dead-letters" / "*.jsonl", second, "--edit-closed", "reopen", "--results"))
    assert ended.code == DEAD_LETTERS, ended.err
    acted = sim.acted()[before:]
    assert [(row["operation"], row["session"]) for row in acted if row["profiles"][0] in ("max", "hanna")].count(
        (SESSION, "mended")
    ) == 1
    assert [row["operation"] for row in acted if row["session"] == "mended"] == [SESSION, "return_cart_items"]
    assert sim.sessions()["written-by-hand"]["state"] == "open"
    assert sim.sessions()["not-yet-there"]["returns"] == 1, "a refusal is sent again under a new key"
    assert sim.sessions()["closed"]["couponCodes"] == ["LATE"]
    assert not [row for row in sim.rows("requests")[requests_before:] if "/old" in row["target"]], "it is superseded"
    (changed,) = (row for row in acted if row["operation"] == PROFILES)
    assert changed["body"] == {"customerProfiles": [{"integrationId": "pia", "attributes": {"b": 1}}]}
    assert sim.profiles()["pia"]["attributes"] == {"a": 2, "b": 1}
    assert sim.profiles()["quinn"]["attributes"] == {"a": 2}
    again = {dead_letter["id"]: dead_letter["reason"] for dead_letter in dead_letters(second)}
    assert again == {"again": "unknown_attribute", "reused": "id_reused"}
    assert all(Path(dead_letter["source"]["file"]).parent == tmp_path for dead_letter in dead_letters(second)), (
        "their first source"
    )
    counts = assert_balanced(second)["kinds"]
    assert {name: counts["orders"][name] for name in ("applied", "superseded", "skipped", "dead_lettered")} == {
        "applied": 3, "superseded": 1, "skipped": 1, "dead_lettered": 1,
    }  # fmt: skip
    assert (counts["profiles"]["applied"], counts["profiles"]["superseded"]) == (1, 1)
    assert len(lines(second, "results/*.jsonl")) == 6

    # the same dead letters once more: what the first replay applied is known
    before = len(sim.acted())
    words = replay(sim, first / "dead-letters" / "*.jsonl", third, "--edit-closed", "reopen")
    assert cli(*words).code == DEAD_LETTERS
    assert len(sim.acted()) == before
    assert assert_balanced(third)["kinds"]["returns"]["duplicate"] == 2
    # and you can replay the dead letters of a replay, too
    edit(second, {"again": order("again", "anna", "completed", 1)})
    ended = cli(*replay(sim, second / "dead-letters" / "*.jsonl", tmp_path / "fourth"))
    assert "beside" not in ended.err
    assert [row["session"] for row in sim.acted()[before:]] == ["again"]
    assert cli(*words, "--resume").code == DEAD_LETTERS, "a finished replay is left alone"


def _unclear(record: Json, since: datetime, **more: Any) -> Json:
    moment = since.isoformat().replace("+00:00", "Z")
    kind = "events" if "event_id" in record else "orders" if "status" in record else "returns"
    dead_letter = {
        "kind": kind, "record": record, "source": {"file": "x.jsonl", "position": 1}, "stage": "send",
        "reason": "retries_exhausted", "detail": "", "pointer": None, "operation": None, "status": 500,
        "attempts": 9, "failed_at": moment, "job": "gone", "first_sent_at": moment,
        "key": {"attempt": "", "generation": 0},
    }  # fmt: skip
    return dead_letter | more


def test_unclear_outcomes_go_again_under_their_own_key(sim: Simulator, tmp_path: Path) -> None:
    """The API acted on all of these, though nobody knows."""
    kinds = {
        "orders": [order("o", "c", "completed", 1), order("p", "d", "completed", 1)],
        "returns": [returned("r", "o", 2, customer_id="c"), returned("s", "p", 2, customer_id="d")],
        "events": [event("e", "c", 3), event("f", "c", 4), event("g", "c", 5)],
    }
    assert cli(*backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out")).code == FINISHED
    keys = {row["key"] for row in sim.rows("requests")}
    now = datetime.now(UTC)
    old = now - timedelta(days=2)
    source = write(
        tmp_path / "kept" / "letters.jsonl",
        [
            _unclear(kinds["events"][0], now),
            _unclear(kinds["events"][1], old),
            _unclear(kinds["events"][2], now, reason="refused"),
            _unclear(kinds["orders"][0], old),
            _unclear(kinds["returns"][0], old),
            _unclear(kinds["returns"][1], now, reason="outcome_unknown"),
            _unclear(event("new", "c", 6), now, reason="outcome_unknown"),
        ],
    )
    requests_before, before = len(sim.rows("requests")), len(sim.acted())
    ended = cli(*replay(sim, source, tmp_path / "again", "--results"))
    assert ended.code == DEAD_LETTERS, ended.err
    assert str(source) in ended.err.replace("\n", ""), "nobody is beside these letters to say what was applied since"
    sent = sim.rows("requests")[requests_before:]
    events = [row for row in sent if row["operation"] == "track_event_v2"]
    assert sorted(row["key"] in keys for row in events) == [False, False, True]
    assert sum(row["replayed"] for row in events) == 1, "the first went under its key, and did not act again"
    # a refused one goes under a new key: its dead letter states that the API has not acted
    acted = [(row["operation"], row["profiles"]) for row in sim.acted()[before:]]
    assert acted == [("track_event_v2", ["c"])] * 2
    assert sim.sessions()["o"]["returns"] == sim.sessions()["p"]["returns"] == 1
    (left,) = dead_letters(tmp_path / "again")
    assert (left["id"], left["reason"], left["attempts"]) == ("f", "outcome_unknown", 0)
    outcomes = {(one["kind"], one["id"]): one["outcome"] for one in lines(tmp_path / "again", "results/*.jsonl")}
    assert outcomes["orders", "o"] == outcomes["returns", "r"] == outcomes["returns", "s"] == "already_applied"


def test_letters_without_their_job(sim: Simulator, tmp_path: Path) -> None:
    kinds = {
        "orders": [order("o", "c", "completed", 1, attributes={"unheard": 1})],
        "profiles": ["{", profile("p", 1)],
    }
    assert cli(*backfill(sim.url, write_kinds(tmp_path, kinds), tmp_path / "out")).code == DEAD_LETTERS
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path / "out" / "dead-letters", moved)
    write(moved / "more.jsonl", ["not a letter", {"kind": "orders"}, {"kind": "x", "record": {}, "source": {}}])
    ended = cli(*replay(sim, moved / "*.jsonl", tmp_path / "again"))
    assert ended.code == DEAD_LETTERS
    assert "is not beside" in ended.err.replace("\n", " ")
    assert len(dead_letters(tmp_path / "again")) == 5
    assert_balanced(tmp_path / "again")
    assert KEY not in (tmp_path / "again" / "report.json").read_text()


def test_letters_of_csv_rows_come_back_as_rows(sim: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "profiles.csv"
    path.write_text(
        "customer_id,event_time,version,attributes.number,attributes.unheard,audiences.add\n"
        "0017,2026-05-01T00:00:00Z,2,0042,x,\n"
        "0018,2026-05-01T00:00:00Z,,007,,[5]\n"
    )
    assert cli(*backfill(sim.url, {"profiles": path}, tmp_path / "out")).code == DEAD_LETTERS
    assert sim.profiles()["0018"]["attributes"] == {"number": "007"}
    assert sim.profiles()["0018"]["audiences"] == [5]
    (dead_letter,) = dead_letters(tmp_path / "out")
    mended = {name: value for name, value in dead_letter["record"].items() if name != "attributes.unheard"}
    edit(tmp_path / "out", {"0017": mended})
    assert cli(*replay(sim, tmp_path / "out/dead-letters/*", tmp_path / "again")).code == FINISHED
    assert sim.profiles()["0017"]["attributes"] == {"number": "0042"}


def test_an_order_that_was_cancelled_meanwhile_stays_unknown(sim: Simulator, tmp_path: Path) -> None:
    """It was refused, so there was nothing to cancel. To send it now would close the session of a cancelled order."""
    versions = [order("o", "c", "completed", 1, attributes={"unheard": 1}), order("o", "c", "cancelled", 2)]
    out = tmp_path / "out"
    assert cli(*backfill(sim.url, write_kinds(tmp_path, {"orders": versions}), out)).code == DEAD_LETTERS
    assert assert_balanced(out)["kinds"]["orders"]["skipped"] == 1
    edit(out, {"o": order("o", "c", "completed", 1)})
    again = tmp_path / "again"
    assert cli(*replay(sim, out / "dead-letters" / "*.jsonl", again)).code == FINISHED
    assert assert_balanced(again)["kinds"]["orders"]["superseded"] == 1
    assert sim.acted() == []


def test_a_cancellation_whose_session_was_not_shown_goes_again(sim: Simulator, tmp_path: Path) -> None:
    """A firewall refused the read. That must not make a read of the record, which replays refuse."""
    sim.faults("firewall:operation=get_customer_session,target=customer_sessions/gone")
    sim.put_session("gone", profileId="c", state="open")
    out = tmp_path / "out"
    kinds = {"orders": [order("p", "d", "completed", 1), order("gone", "c", "cancelled", 2)]}
    assert cli(*backfill(sim.url, write_kinds(tmp_path, kinds), out)).code == DEAD_LETTERS
    assert dead_letters(out)[0]["operation"] == SESSION
    sim.faults()
    assert cli(*replay(sim, out / "dead-letters" / "*.jsonl", tmp_path / "again")).code == FINISHED
    assert sim.sessions()["gone"]["state"] == "cancelled"
