"""Each sort of violation that the auditor or the check of traffic finds has a column of the verdict."""

from collections.abc import Collection
from pathlib import Path

import pytest
from streams.harness.traffic import Sent, Traffic

from .auditor import Options
from .test_audit import WRONG as SPOILT
from .test_audit import Scene, Spoil, right
from .verdict import COLUMNS, DOUBLED, LOST, SORTS, UNACCOUNTED, WRONG, Verdict, clean, judge_backfill, judge_stream

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


def test_a_stream() -> None:
    events = [Sent("events", b"", number, f"e{number}") for number in range(2)]
    rows = [
        {"operation": "track_event_v2", "session": None, "body": {"attributes": {"page": record.mark}}}
        for record in events
    ]
    traffic = Traffic(events)
    assert judge_stream(traffic, rows, [], []) == clean()
    assert judge_stream(traffic, rows[:1], [], [])[LOST] == ["events e1"]
    assert judge_stream(traffic, [*rows, rows[0]], [], [])[DOUBLED] == ["events e0: 2 times"]
    assert judge_stream(traffic, rows, [], ["a message"])[UNACCOUNTED] == ["a message"]


def test_a_good_record_of_a_stream_is_a_dead_letter_only_for_an_expected_reason() -> None:
    traffic = Traffic([Sent("events", b"", 0, "e0")])
    dead_letter = {
        "kind": "events", "id": "e0", "reason": "outcome_unknown", "detail": "", "record": {},
        "source": {"subscription": "s", "message_id": "1"},
    }  # fmt: skip
    assert judge_stream(traffic, [], [dead_letter], reasons={"outcome_unknown"}) == clean()
    assert judge_stream(traffic, [], [dead_letter])[WRONG] == ["events e0: outcome_unknown ()"]
