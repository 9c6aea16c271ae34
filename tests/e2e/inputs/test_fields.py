"""Misnamed fields, missing fields and times far ahead, as the commands tell them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.prepared import prepare_message

from beam_talonone.pipelines.cli.main import run
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime import arguments
from beam_talonone.transforms.sink.write_steps import ValidateRecords
from e2e.harness import DEAD_LETTERS, FINISHED, event, order, profile, write

DAY = timedelta(days=1)
SHIRT = {"sku": "shirt", "quantity": 1, "price": "19.99"}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    future = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    bare = order("bare", "c")
    del bare["items"], bare["event_time"]
    write(
        tmp_path / "orders.jsonl",
        [
            order("good", "c", note="x", items=[{"sku": "shirt", "quantity": 1, "colour": "red"}]),
            order("priced", "c", items=[SHIRT]),
            bare,
            order("local", "c", event_time="2025-10-26T02:30:00"),
            order("ahead", "c", event_time=future),
        ],
    )
    write(tmp_path / "events.jsonl", [event("e", "c"), event("ahead", "c", event_time=future)])
    lines = ["customer_id,event_time,attribute.city", "c,2026-05-01T12:00:00Z,Lyon", "d,2026-05-01T12:00:00Z,"]
    (tmp_path / "profiles.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def check(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    inputs = [
        f"--orders={folder}/orders.jsonl",
        f"--events={folder}/events.jsonl",
        f"--profiles={folder}/profiles.csv",
    ]
    code = run(["check", *inputs, "--assume-timezone=Europe/Berlin", *more])
    return code, capsys.readouterr().err


def test_check_names_what_is_wrong(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = check(records, capsys)
    assert code == DEAD_LETTERS
    assert "orders.jsonl:2: items/price: did you mean unit_price?" in output
    assert "orders.jsonl:3: missing: event_time, items" in output
    assert "orders.jsonl:4: event_time: 2025-10-26T02:30:00 occurs twice in Europe/Berlin" in output
    assert "1 time_in_future\n" in output
    assert "orders: 5 read, 1 to send, 4 invalid; ignored, as not known: items/colour in 1, note in 1" in output
    assert "events: 2 read, 1 to send, 1 invalid" in output
    assert "profiles: 2 read, 1 to send, 1 invalid" in output
    assert "profiles.csv:2: attribute.city: did you mean attributes.city?" in output


def test_the_options_let_them_pass(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = check(
        records, capsys, "--unknown-fields=ignore", "--ambiguous-time=later", "--max-future=4d", "--show=9"
    )
    assert code == DEAD_LETTERS
    assert (
        "orders: 5 read, 4 to send, 1 invalid; ignored, as not known: items/colour in 1, items/price in 1" in output
    )
    assert "events: 2 read, 2 to send" in output


def test_all_unknown_fields_can_be_refused(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, output = check(records, capsys, "--unknown-fields=refuse")
    assert "orders.jsonl:1: note, items/colour: not known, and refused with --unknown-fields refuse" in output


def test_since_with_an_ambiguous_time(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = check(records, capsys, "--since=2025-10-26T02:30:00")
    assert code == 2
    assert "--since '2025-10-26T02:30:00': 2025-10-26T02:30:00 occurs twice in Europe/Berlin" in output
    assert "--ambiguous-time" in output
    code, _ = check(records, capsys, "--since=2025-10-26T02:30:00", "--ambiguous-time=earlier")
    assert code == DEAD_LETTERS


def test_clean_records_are_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "orders.jsonl", [order("o", "c", items=[])])
    write(tmp_path / "profiles.jsonl", [profile("c", attributes={"price": 1, "customerId": "x"})])
    code = run(["check", f"--orders={tmp_path}/orders.jsonl", f"--profiles={tmp_path}/profiles.jsonl"])
    assert code == FINISHED
    assert "not known" not in capsys.readouterr().err


NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
AHEAD = event("e", "c", event_time="2026-05-02T12:00:01Z")


def test_a_message_far_ahead_is_a_dead_letter_of_its_own() -> None:
    message = Received("projects/p/subscriptions/s", "m", json.dumps(AHEAD).encode(), {}, "", 0.0, "")
    prepared = prepare_message(message, "events", BuildOptions(), Reading(now=lambda: NOW))
    assert prepared.problem is not None
    assert (prepared.problem.reason, prepared.id_or_none()) == (Reason.TIME_IN_FUTURE, "e")
    assert prepare_message(message, "events", BuildOptions(), Reading(now=lambda: NOW + DAY)).work is not None


def test_in_the_library_the_settings_are_named_as_arguments() -> None:
    reading = replace(arguments.reading("Europe/Berlin", None, "1d", None), now=lambda: NOW)
    records = [AHEAD, {**AHEAD, "customerId": 1}, {**AHEAD, "event_time": "2025-10-26T02:30:00"}]
    validate = ValidateRecords("events", BuildOptions(), reading, "step", "job")
    dead_letters = [tagged.value for record in records for tagged in validate.process(record)]
    assert [dead_letter["reason"] for dead_letter in dead_letters] == [
        "time_in_future",
        "misnamed_field",
        "ambiguous_time",
    ]
    for dead_letter, name in zip(dead_letters, ("max_future", "unknown_fields", "ambiguous_time"), strict=True):
        assert name in dead_letter["detail"]
        assert "--" not in dead_letter["detail"]
