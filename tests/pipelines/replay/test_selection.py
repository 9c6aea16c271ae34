"""Which dead letters a replay takes, and which of their records it changes."""

import json

import pytest

from beam_talonone.pipelines.backfill.staging_rows import RecordStager
from beam_talonone.pipelines.replay.changes import parse_change
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter
from beam_talonone.pipelines.replay.selection import CHANGES_NOTHING_AMBIGUOUS, ReplaySelection
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import of_bytes
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.requests.build import BuildOptions

EVENT = {"event_id": "e-1", "type": "bought", "customer_id": "c-1", "event_time": "2026-05-01T12:00:00Z"}
AMBIGUOUS = {
    "reason": "outcome_unknown", "key": {"attempt": "", "generation": 0}, "first_sent_at": "2026-05-02T09:15:00Z",
    "operation": "track_event_v2",
}  # fmt: skip
STAGER = RecordStager(-(2**63), 2**63 - 1, False, "replay")


def opened(selection, **fields):
    letter = {
        "kind": "events", "record": EVENT, "source": {"file": "f.jsonl", "position": 1}, "stage": "send",
        "reason": "refused", "detail": "", "job": "j", "failed_at": "2026-05-02T09:15:00Z", **fields,
    }  # fmt: skip
    raw = Raw(LETTERS, "letters.jsonl", 3, "jsonl", jsonio.dumps(letter), None, None)
    return open_dead_letter(raw, BuildOptions(), selection=selection)


def staged(prepared):
    """The kind of the row and its outcome."""
    record = STAGER.stage(prepared, ("letters.jsonl", 0, 3, "jsonl"))
    return record.row[0], record.outcome


@pytest.mark.parametrize(
    ("selection", "fields", "rule"),
    [
        (ReplaySelection(("refused",)), {}, None),
        (ReplaySelection(("unknown_attribute", "refused"), ("events",)), {}, None),
        (ReplaySelection(("not_found",)), {}, "--only not_found"),
        (ReplaySelection(("not_found", "defect")), {}, "--only not_found defect"),
        (ReplaySelection((), ("orders", "returns")), {}, "--kind orders returns"),
        (ReplaySelection(("refused",), ("orders",)), {}, "--kind orders"),
    ],
)
def test_the_others_are_filtered_by_the_option_that_leaves_them_out(selection, fields, rule):
    prepared = opened(selection, **fields)
    assert prepared.filtered_by == rule
    assert (prepared.work is None) == (rule is not None)
    if rule is not None:
        assert staged(prepared) == ("events", ("filtered", "map", rule, None))


@pytest.mark.parametrize(
    ("kind", "counted"), [("lookups", "lookups"), ("dead_letters", LETTERS), ("new", LETTERS), (["x"], LETTERS)]
)
def test_what_is_left_out_counts_under_its_kind(kind, counted):
    assert staged(opened(ReplaySelection(("not_found",)), kind=kind))[0] == counted


def test_the_reason_is_the_one_in_the_line():
    altered = {**of_bytes(b"\xff").marks(), "record": "\ufffd", "before": {"reason": "not_json"}}
    assert opened(ReplaySelection(("altered_record",)), reason="altered_record", **altered).filtered_by is None
    assert opened(ReplaySelection(("not_json",)), reason="altered_record", **altered).filtered_by == "--only not_json"


def test_a_line_that_is_no_dead_letter_is_not_left_out():
    raw = Raw(LETTERS, "letters.jsonl", 3, "jsonl", b'{"torn', None, None)
    prepared = open_dead_letter(raw, BuildOptions(), selection=ReplaySelection(("refused",)))
    assert prepared.problem is not None


CHANNEL = ReplaySelection(changes=(parse_change("attributes.channel=web"),))


def test_a_record_is_sent_with_the_change():
    prepared = opened(CHANNEL)
    assert prepared.work is not None
    assert json.loads(prepared.work.parts[0].request.body)["attributes"] == {"channel": "web"}
    assert json.loads(prepared.raw.line) == {**EVENT, "attributes": {"channel": "web"}}


def test_a_row_of_csv_is_sent_with_the_change():
    source = {"file": "f.csv", "position": 2, "format": "csv", "row": 1}
    prepared = opened(CHANNEL, source=source, record={**EVENT, "attributes.channel": "shop"})
    assert json.loads(prepared.work.parts[0].request.body)["attributes"] == {"channel": "web"}


def test_a_change_does_not_make_an_altered_record_right():
    shown = of_bytes(b'{"event_id": "e-1", "type": "\xff"}')
    prepared = opened(CHANNEL, record=shown.record, **shown.marks())
    assert (prepared.work, prepared.problem.reason) == (None, "altered_record")
    _, (end, _, _, line) = staged(prepared)
    assert (end, json.loads(line)["record"]) == ("dead_lettered", shown.record)


def test_a_record_that_may_have_acted_is_left_out_instead_of_changed():
    prepared = opened(CHANNEL, **AMBIGUOUS)
    assert (prepared.work, prepared.filtered_by) == (None, CHANGES_NOTHING_AMBIGUOUS)
    same = opened(CHANNEL, record={**EVENT, "attributes": {"channel": "web"}}, **AMBIGUOUS)
    assert same.work is not None, "the change changes nothing"


def test_a_path_that_leads_nowhere_costs_that_record_before_anything_is_sent():
    prepared = opened(CHANNEL, record={**EVENT, "attributes": "none"})
    kind, (end, stage, reason, line) = staged(prepared)
    again = json.loads(line)
    assert (kind, end, stage, reason) == ("events", "dead_lettered", "validate", "invalid_field")
    assert again["record"] == {**EVENT, "attributes": "none"}
    assert again["source"] == {"file": "f.jsonl", "position": 1}
    assert again["detail"].startswith('--set /attributes/channel="web": attributes is a text')


def test_all_changes_are_made():
    both = ReplaySelection(changes=(parse_change("type=sold"), parse_change("attributes.n=1")))
    assert json.loads(opened(both).raw.line) == {**EVENT, "type": "sold", "attributes": {"n": 1}}


def test_a_selection_is_named_by_its_options():
    selection = ReplaySelection(("refused",), ("events",), CHANNEL.changes)
    assert selection.as_json() == {
        "--only": ["refused"], "--kind": ["events"], "--set": ['/attributes/channel="web"'],
    }  # fmt: skip
    assert ReplaySelection().as_json() == {}
