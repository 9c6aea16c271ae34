"""Dead letters that BigQuery exported: a replay treats them as the lines that they were written from."""

import json
from datetime import datetime
from typing import Any

import pytest

from beam_talonone.pipelines.replay.dead_letters import open_dead_letter
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import Shown, of_bytes, of_value
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_columns import DEAD_LETTER_COLUMNS, row_of
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.transforms.sources.prepare import Prepared

EVENT = {"event_id": "e-1", "type": "bought", "customer_id": "c-1", "event_time": "2026-05-01T12:00:00Z"}
SOURCE = {"subscription": "projects/p/subscriptions/s", "message_id": "1"}


def letter(shown: Shown, reason: Reason = Reason.REFUSED, stage: Stage = Stage.SEND, **more: Any) -> dict[str, Any]:
    outcome = Outcome(
        End.DEAD, reason.value, "why", operation="track_event_v2", status=500, attempts=3, stage=stage,
        first_sent=1_777_636_800.25, generation=2,
    )  # fmt: skip
    return {**dead_letter("events", "e-1", shown, SOURCE, outcome, "job", 1_777_636_801.5, "old", ["d"]), **more}


def exported(line: dict[str, Any]) -> bytes:
    """The row of a dead letter as BigQuery exports it: integers as texts, times with a blank and UTC, no nulls."""
    row = row_of(jsonio.dumps(line), DEAD_LETTER_COLUMNS)
    shown = {
        name: f"{value:%Y-%m-%d %H:%M:%S.%f} UTC" if isinstance(value, datetime) else value
        for name, value in row.items()
        if value is not None
    }
    return jsonio.dumps({**shown, "status": str(row["status"]), "attempts": str(row["attempts"])})


def opened(line: bytes) -> Prepared:
    return open_dead_letter(Raw(LETTERS, "letters.jsonl", 1, "jsonl", line, None, None), BuildOptions())


def shown_problem(prepared: Prepared) -> tuple[str, ...] | None:
    problem = prepared.problem
    return None if problem is None else (str(problem.reason), problem.detail, str(problem.pointer))


@pytest.mark.parametrize(
    "line",
    [
        letter(Shown(EVENT)),
        letter(Shown(EVENT), Reason.OUTCOME_UNKNOWN),
        letter(Shown({**EVENT, "attributes": {"n": 10**25}})),
        letter(of_bytes(json.dumps(EVENT).encode())),
        letter(Shown({"event_id": "e-1"}), Reason.MISSING_FIELD, Stage.VALIDATE),
        letter(Shown("no JSON"), Reason.NOT_JSON, Stage.DECODE),
        letter(Shown('"a text"'), Reason.NOT_AN_OBJECT, Stage.DECODE),
        letter(Shown(None), Reason.UNREADABLE_FILE, Stage.DECODE),
        letter(of_value({**EVENT, "attributes": {"a": b"x"}})),
        {**letter(Shown(jsonio.dumps(letter(Shown(EVENT))).decode())), "kind": LETTERS},
    ],
    ids=["refused", "unknown", "digits", "text", "invalid", "no JSON", "quotes", "file", "altered", "nested"],
)
def test_a_row_is_opened_as_the_line_was(line: dict[str, Any]) -> None:
    from_line, from_row = opened(jsonio.dumps(line)), opened(exported(line))
    assert from_row.work == from_line.work
    assert shown_problem(from_row) == shown_problem(from_line)
    assert from_row.origin == from_line.origin, "it has the same keys, and the same place"
    assert from_row.raw == from_line.raw
    if from_line.dead_letter is not None:
        again, before = json.loads(from_row.dead_letter or b""), json.loads(from_line.dead_letter)
        assert again == {name: value for name, value in before.items() if value is not None}


def test_a_corrected_row_is_sent() -> None:
    row = {
        **json.loads(exported(letter(of_value({**EVENT, "attributes": {"a": b"x"}})))),
        "record": json.dumps(EVENT),
    }
    assert opened(json.dumps(row).encode()).work is not None


def test_a_row_whose_source_is_no_json_is_named() -> None:
    row = {**json.loads(exported(letter(Shown(EVENT)))), "source": "somewhere"}
    problem = opened(json.dumps(row).encode()).problem
    assert problem is not None
    assert "it needs `kind`" in str(problem)
