"""Dead letters of messages without a known kind: a replay sends them once a person has set the kind, or maps them."""

import json

import pytest

from beam_talonone.pipelines.backfill.staging_rows import RecordStager
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter, open_mapped_dead_letter
from beam_talonone.pipelines.replay.replayable import Replayability, replayability
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.schemas.decoding.shown import of_bytes
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.transforms.mapping.mapping import FileMapping

EVENT = {"event_id": "e-1", "type": "bought", "customer_id": "c-1", "event_time": "2026-05-01T12:00:00Z"}
DOCUMENT = {"id": 7, "who": "c-1", "at": "2026-05-01T12:00:00Z"}
SOURCE = {"subscription": "projects/p/subscriptions/s", "message_id": "17"}
STAGER = RecordStager(-(2**63), 2**63 - 1, False, "replay")
MAPPING = FileMapping(
    "mine.yaml",
    """
version: 1
let: {types: {literal: {visit: visit}}}
events:
  when: {with time: at}
  fields: {event_id: text(id), customer_id: who, event_time: at, type: "translate(type || 'visit', $types)"}
""",
)


def letter(data, reason="missing_field", stage=Stage.VALIDATE, kind="records"):
    outcome = Outcome(End.DEAD, reason, "why", stage=stage)
    return dead_letter(kind, None, of_bytes(data), SOURCE, outcome, "job", 1.0)


def raw_of(dead):
    return Raw(LETTERS, "letters.jsonl", 1, "jsonl", jsonio.dumps(dead), None, None)


def staged(prepared):
    outcome = STAGER.stage(prepared, ("letters.jsonl", 0, 1, "jsonl")).outcome
    return None if outcome is None or outcome[3] is None else json.loads(outcome[3])


def test_it_stays_a_dead_letter_that_says_what_to_do():
    dead = letter(jsonio.dumps(EVENT))
    prepared = open_dead_letter(raw_of(dead), BuildOptions())
    assert (prepared.problem.reason, prepared.problem.pointer) == ("missing_field", "/kind")
    assert "set `kind` to one of orders, returns, profiles, events, calls" in prepared.problem.detail
    again = staged(prepared)
    assert (again["kind"], again["record"], again["source"]) == ("records", EVENT, SOURCE)
    assert (again["before"]["detail"], again["job"]) == ("why", "replay")


def test_it_is_sent_when_a_person_has_set_the_kind():
    dead = letter(jsonio.dumps(EVENT))
    for unsent in (dead, staged(open_dead_letter(raw_of(dead), BuildOptions()))):
        prepared = open_dead_letter(raw_of({**unsent, "kind": "events"}), BuildOptions())
        assert (prepared.work.kind, prepared.work.id) == ("events", "e-1")
        assert prepared.origin.source == SOURCE


def test_whether_a_replay_sends_it_is_told():
    assert replayability(raw_of(letter(jsonio.dumps(EVENT)))).problem.startswith(
        "the kind of this record is not known"
    )
    mapped = letter(jsonio.dumps(DOCUMENT), "unmapped_value", Stage.MAP)
    assert replayability(raw_of(mapped)) == Replayability(None, needs_mapping=True)
    assert replayability(raw_of({**letter(jsonio.dumps(EVENT)), "kind": "events"})) == Replayability(
        None, refuses_mapping=True
    )


def test_bytes_that_are_no_text_are_not_sent_unedited():
    dead = {**letter(b"\xff{}"), "kind": "events"}
    prepared = open_dead_letter(raw_of(dead), BuildOptions())
    assert prepared.problem.reason == "altered_record"
    assert open_dead_letter(raw_of({**dead, "record": EVENT}), BuildOptions()).work.id == "e-1"


def mapped(dead):
    return list(open_mapped_dead_letter(raw_of(dead), BuildOptions(), AS_USUAL, MAPPING))


@pytest.mark.parametrize(
    ("reason", "stage"),
    [("missing_field", Stage.VALIDATE), ("unmapped_value", Stage.MAP), ("not_json", Stage.DECODE)],
)
def test_a_mapping_makes_records_of_it(reason, stage):
    [prepared] = mapped(letter(jsonio.dumps(DOCUMENT), reason, stage))
    assert (prepared.work.kind, prepared.work.id) == ("events", "7")
    assert prepared.origin.source == SOURCE


def test_what_still_cannot_be_mapped_keeps_its_shape():
    dead = letter(jsonio.dumps({**DOCUMENT, "type": "unheard of"}), "unmapped_value", Stage.MAP)
    [prepared] = mapped(dead)
    again = staged(prepared)
    assert (again["kind"], again["stage"], again["reason"]) == ("records", "map", "unmapped_value")
    assert again["record"] == {**DOCUMENT, "type": "unheard of"}
    [once_more] = mapped({**again, "record": DOCUMENT})
    assert once_more.work.id == "7"


def test_a_record_that_no_mapping_made_stays_a_dead_letter_that_says_so():
    dead = letter(jsonio.dumps(EVENT), "invalid_field", kind="events")
    [prepared] = mapped(dead)
    assert prepared.problem.detail.startswith("no mapping made this record, so mine.yaml does not change it: ")
    again = staged(prepared)
    assert (again["record"], again["before"]["reason"]) == (EVENT, "invalid_field")
    assert open_dead_letter(raw_of(again), BuildOptions()).work.id == "e-1", "without --mapping it is sent"
