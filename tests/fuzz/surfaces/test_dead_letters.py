"""Files of dead letters, damaged: a replay sends a record, or writes the dead letter again with the reason."""

import json
from typing import Any

from fuzz.corpus import KINDS, RECORDS
from fuzz.damage import changed, damaged, json_lines, json_text
from fuzz.endings import OPTIONS, STAGER, check_end, check_shown
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st

from beam_talonone.pipelines.dead_letters.read import DeadLetter, _dead_letter
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter, open_mapped_dead_letter
from beam_talonone.pipelines.replay.pull import as_line
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.schemas.decoding.shown import of_bytes
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.transforms.mapping.resolve import resolve_mapping

SHOPIFY = resolve_mapping("shopify")


def letter(kind: str, **more: Any) -> dict[str, Any]:
    """A dead letter of a valid record, which was sent."""
    outcome = Outcome(
        End.DEAD, Reason.OUTCOME_UNKNOWN.value, "why", "/a/0", "track_event_v2", 503, 2, first_sent=1e9, generation=1
    )
    place = {"file": "f.csv", "position": 7, "format": "csv", "row": 3, "part": "orders/0/1"}
    line = dead_letter(kind, "id", of_bytes(json_text(RECORDS[kind])), place, outcome, "job", 2e9, "try", ["a"])
    return {**line, **more}


def _seeds() -> list[dict[str, Any]]:
    plain = [{**letter(kind), "source": {"file": "f.jsonl", "position": 1}} for kind in KINDS]
    broken = of_bytes(b'{"event_id": "m\xfcller"}')
    inner = letter("orders")
    row = {"header": ["customer_id", "event_time"], "record": "c,2026-05-01T12:00:00Z", "stage": Stage.DECODE.value}
    return [
        *plain, letter("profiles", **row), letter("events", record=broken.record, **broken.marks()),
        {"kind": LETTERS, "record": json_text(inner).decode(), "source": {"message_id": "1"}, "reason": "not_json"},
        {**inner, "before": {"reason": "refused", "stage": "send"}, "reason": "altered_record", "altered": True},
        {name: json.dumps(value, default=str) if isinstance(value, dict) else value for name, value in inner.items()},
    ]  # fmt: skip


SEEDS = [json.loads(json_text(seed)) for seed in _seeds()]
LINES = [json_text(seed) for seed in SEEDS]


def check_opened(line: bytes) -> None:
    """Check that a line ends, whether a mapping is set or not, and that the command `dead-letters` shows it."""
    raw = Raw(LETTERS, "letters", 1, "jsonl", line, None, None)
    for prepared in [open_dead_letter(raw, OPTIONS), *open_mapped_dead_letter(raw, OPTIONS, AS_USUAL, SHOPIFY)]:
        assert prepared.problem is None or prepared.problem.reason is not Reason.DEFECT, prepared.problem
        check_end(prepared)
        STAGER.stage(prepared, ("letters", 0, 1, "jsonl"))
    shown = _dead_letter(raw)
    if isinstance(shown, DeadLetter):
        check_shown(shown)


@fuzzed(examples=40, data=st.data())
def test_damaged_lines(data: st.DataObject) -> None:
    line = data.draw(damaged(LINES) | st.sampled_from(SEEDS).flatmap(json_lines))
    check_opened(line.replace(b"\n", b" "))


@fuzzed(examples=40, data=st.data())
def test_edited_dead_letters(data: st.DataObject) -> None:
    value = data.draw(changed(data.draw(changed(data.draw(st.sampled_from(SEEDS))))))
    check_opened(json_text(value).replace(b"\n", b" "))


@fuzzed(examples=20, data=damaged(LINES))
def test_messages_of_a_topic_of_dead_letters(data: bytes) -> None:
    line = as_line(data, "17")
    assert b"\n" not in line
    check_opened(line)


def test_the_seeds_are_dead_letters() -> None:
    assert all(jsonio.loads(line) for line in LINES)
    opened = [open_dead_letter(Raw(LETTERS, "l", 1, "jsonl", line, None, None), OPTIONS) for line in LINES]
    assert [prepared.work is not None for prepared in opened[: len(KINDS)]] == [True] * len(KINDS)
