"""The problem that is shown of a dead letter is the one that the replay then meets."""

import json

import pytest

from beam_talonone.pipelines.replay.dead_letters import open_dead_letter
from beam_talonone.pipelines.replay.replayable import UNPROTECTED, Replayability, replayability
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.requests.build import BuildOptions

EVENT = {"event_id": "e-1", "type": "bought", "customer_id": "c-1", "event_time": "2026-05-01T12:00:00Z"}


def raw_of(**fields):
    letter = {
        "kind": "events", "record": EVENT, "source": {"file": "f.jsonl", "position": 1}, "stage": "send",
        "reason": "refused", "detail": "", "job": "j", "failed_at": "2026-05-02T09:15:00Z", **fields,
    }  # fmt: skip
    return Raw(LETTERS, "letters.jsonl", 1, "jsonl", json.dumps(letter).encode(), None, None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"source": {"file": "f.csv", "position": 2, "format": "csv", "row": 1}},
        {"reason": "retries_exhausted", "key": {"attempt": "", "generation": 0}, "operation": "track_event_v2"},
        {"operation": "get_customer_session", "detail": "the session could not be read back: no answer"},
    ],
)
def test_a_dead_letter_that_is_sent_has_no_problem(fields):
    raw = raw_of(**fields)
    assert replayability(raw) == Replayability(None, needs_mapping=False, refuses_mapping=True)
    assert open_dead_letter(raw, BuildOptions()).work is not None


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"source": {"file": "f.csv", "position": 2, "format": "joined"}}, "one row of a document of several rows"),
        ({"altered": True}, "the record is not the input as it came"),
        ({"kind": "lookups"}, "lookups are not replayed"),
        ({"operation": "get_event_v3"}, "a read that failed"),
        ({"reason": "unreadable_file", "record": None}, "has no record to replay"),
        ({"source": {"file": "f.csv", "format": "csv"}, "record": "a,b"}, "a row of CSV without `header`"),
        ({"record": "caf\ufffd", "stage": "decode", "reason": "not_json"}, "version 0.1 wrote a record"),
        ({"source": 7}, "not a dead letter"),
        ({"reason": "of_a_later_version"}, "the unknown reason of_a_later_version"),
    ],
)
def test_the_problem_is_that_of_the_replay(fields, problem):
    raw = raw_of(**fields)
    prepared = open_dead_letter(raw, BuildOptions())
    assert prepared.problem is not None
    assert replayability(raw).problem == prepared.problem.detail
    assert problem in prepared.problem.detail


@pytest.mark.parametrize("fields", [{"source": {"file": "f", "position": 1, "part": "events/0/0"}}, {"stage": "map"}])
def test_a_mapped_record_needs_its_mapping(fields):
    assert replayability(raw_of(**fields)) == Replayability(None, needs_mapping=True)


@pytest.mark.parametrize(
    ("operation", "body", "problem"),
    [
        ("create_referral", {}, UNPROTECTED),
        ("create_audience_v2", {"name": "x"}, UNPROTECTED),
        ("create_audience_v2", {"name": "x", "integrationId": "a"}, None),
        ("create_coupon_reservation", {}, None),
    ],
)
def test_an_unprotected_request_that_may_have_acted_is_not_sent(operation, body, problem):
    record = {"call_id": "k", "operation": operation, "body": body}
    ambiguous = {"reason": "outcome_unknown", "key": {"attempt": "", "generation": 0}, "operation": operation}
    assert replayability(raw_of(kind="calls", record=record, **ambiguous)).problem == problem
    assert replayability(raw_of(kind="calls", record=record, operation=operation)).problem is None
