"""Opening dead letters: a damaged one costs at most that dead letter, and no altered record is sent."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_talonone.pipelines.backfill.staging_rows import RecordStager
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.shown import Shown, of_bytes, of_value, shown
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.output_lines import dead_letter
from beam_talonone.transforms.formats.csv import raw_row

EVENT = {"event_id": "e-1", "type": "bought", "customer_id": "c-1", "event_time": "2026-05-01T12:00:00Z"}
STAGER = RecordStager(-(2**63), 2**63 - 1, False, "replay")


def dead_letter_of(shown_record, reason=Reason.REFUSED, stage=Stage.SEND, kind="events", source=None, **more):
    outcome = Outcome(End.DEAD, reason.value, "why", stage=stage, first_sent=None)
    where = source or {"file": "f.jsonl", "position": 7}
    return {**dead_letter(kind, "e-1", shown_record, where, outcome, "job", 1.0), **more}


def opened(letter):
    """A dead letter (or a line of one) as a replay opens and stages it."""
    line = letter if isinstance(letter, bytes) else jsonio.dumps(letter)
    prepared = open_dead_letter(Raw(LETTERS, "letters.jsonl", 1, "jsonl", line, None, None), BuildOptions())
    staged = STAGER.stage(prepared, ("letters.jsonl", 0, 1, "jsonl"))
    again = None if staged.outcome is None or staged.outcome[3] is None else json.loads(staged.outcome[3])
    return prepared, again


def is_sent(letter):
    prepared, again = opened(letter)
    assert (prepared.work is None) == (again is not None)
    return prepared.work is not None


@pytest.mark.parametrize(
    "record",
    [
        b'{"event_id":"e","type":"t","customer_id":"c","event_time":"2026-05-01T12:00:00Z","attributes":{"a":19.90}}',
        b'{"event_id":20260501200000000001,"type":"t","customer_id":12345678901234567890,'
        b'"event_time":"2026-05-01T12:00:00Z","attributes":{"a":1e3,"b":-0.0,"a":[1,{"z":1,"a":2}]}}',
    ],
)
def test_the_digits_of_a_record_stay_through_letter_and_replay(record):
    raw = Raw("events", "f", 1, "jsonl", record, None, None)
    shown_record = Shown(msgspec.Raw(record))
    prepared, _ = opened(dead_letter_of(shown_record))
    assert prepared.raw.line == record
    assert prepared.work is not None
    again, _ = opened(dead_letter_of(shown(raw)))
    assert (again.work.identity, again.work.content) == (prepared.work.identity, prepared.work.content)
    assert again.work.parts[0].request.body == prepared.work.parts[0].request.body


ALTERED = [
    of_value({**EVENT, "attributes": {"a": b"x"}}),
    of_bytes(json.dumps({**EVENT, "customer_id": "müller"}, ensure_ascii=False).encode("latin-1")),
    of_bytes(json.dumps(EVENT).encode(), cut=True),
]


@pytest.mark.parametrize("shown_record", ALTERED)
def test_an_altered_record_is_not_sent_before_somebody_edited_it(shown_record):
    letter = dead_letter_of(shown_record)
    prepared, again = opened(letter)
    assert prepared.work is None
    assert (again["reason"], again["stage"]) == ("altered_record", "decode")
    assert "set `altered` to false" in again["detail"]
    kept = {name: value for name, value in letter.items() if name not in again["before"]}
    assert {name: again[name] for name in kept} == json.loads(jsonio.dumps(kept))
    assert again["before"]["reason"] == "refused"

    # again and again
    _, third = opened(again)
    assert third["before"] == again["before"]
    assert {**third, "failed_at": 0} == {**again, "failed_at": 0}

    for one in (letter, again):
        # by tools that write numbers, spaces and names in their own way
        rewritten = json.dumps(json.loads(jsonio.dumps(one)), indent=None, sort_keys=True).encode()
        assert not is_sent(rewritten)
        assert not is_sent({**one, "altered": 1})
        assert not is_sent({**one, "record_sha256": None})
        assert not is_sent({**one, "record_sha256": "edited"})
        assert not is_sent(
            {name: value for name, value in one.items() if name not in ("record_base64", "record_sha256")}
        )
        assert is_sent({**one, "record": EVENT})
        assert is_sent({**one, "record": json.dumps(EVENT, indent=1)})
        assert is_sent({**one, "altered": False, "record": EVENT})


def test_what_is_said_not_to_be_altered_is_sent():
    letter = dead_letter_of(of_bytes(json.dumps(EVENT).encode(), cut=True))
    assert is_sent({**letter, "altered": False})
    assert is_sent({name: value for name, value in letter.items() if name != "altered"})


def test_bytes_that_could_not_be_read_are_kept_through_a_replay():
    letter = dead_letter_of(ALTERED[1], Reason.NOT_JSON, Stage.DECODE)
    _, again = opened(letter)
    assert again["record_base64"] == letter["record_base64"]
    assert again["source"] == letter["source"]


def test_what_an_earlier_try_left_is_kept_through_a_refusal():
    sent = Outcome(End.DEAD, Reason.OUTCOME_UNKNOWN.value, "?", first_sent=1_000_000.0, generation=2)
    letter = dead_letter("events", "e-1", ALTERED[0], {"file": "f"}, sent, "job", 2e6, "attempt", ["part"])
    _, again = opened(letter)
    first, _ = opened({**letter, "record": EVENT})
    second, _ = opened({**again, "record": EVENT})
    assert first.origin == second.origin
    assert (first.origin.attempt, first.origin.generation, first.origin.unknown) == ("attempt", 2, True)
    assert first.origin.parts_done == ("part",)


@pytest.mark.parametrize(
    ("letter", "sent"),
    [
        # as version 0.1 wrote them: nothing is marked
        ({"record": EVENT, "reason": "refused", "stage": "send"}, True),
        ({"record": EVENT, "reason": "invalid_field", "stage": "validate", "detail": "a: is wrong"}, True),
        (
            {
                "record": json.dumps({**EVENT, "type": "m\ufffdller"}, ensure_ascii=False),
                "reason": "not_json",
                "stage": "decode",
            },
            False,
        ),
        ({"record": json.dumps({**EVENT, "customer_id": "müller"}), "reason": "not_json", "stage": "decode"}, True),
        ({"record": {**EVENT, "customer_id": "m\ufffdller"}, "reason": "not_found", "stage": "send"}, True),
        ({"record": {**EVENT, "customer_id": "b'C-1'"}, "detail": "a value that JSON cannot carry: b'C-1'"}, False),
        (
            {"record": {**EVENT, "attributes": {"a": ["nan"]}}, "detail": "a value that JSON cannot carry: b'C-1'"},
            False,
        ),
        (
            {
                "record": {**EVENT, "attributes": {"a": "datetime.timedelta(days=1)"}},
                "detail": "a value that JSON cannot carry: datetime.timedelta(days=1)",
            },
            False,
        ),
        ({"record": {**EVENT, "customer_id": "C-1"}, "detail": "a value that JSON cannot carry: b'C-1'"}, True),
        (
            {
                "record": {**EVENT, "customer_id": "b'C-1'"},
                "detail": "a value that JSON cannot carry: b'C-1'",
                "altered": False,
            },
            True,
        ),
    ],
)
def test_letters_of_version_0_1(letter, sent):
    defaults = {"kind": "events", "source": {"file": "f"}, "reason": "invalid_field", "stage": "validate"}
    assert is_sent({**defaults, **letter}) is sent
    if not sent:
        _, again = opened({**defaults, **letter})
        assert again["reason"] == "altered_record"
        assert not is_sent(again)


HEADER = ["event_id", "type", "customer_id", "event_time", "attributes.city"]
ROW = b"e-1,bought,c-1,2026-05-01T12:00:00Z,Bonn"


def csv_letter(row, reason=Reason.BAD_ROW, **more):
    return dead_letter_of(
        shown(raw_row("events", "e.csv", 3, row, HEADER)), reason, Stage.DECODE,
        source={"file": "e.csv", "position": 3, "format": "csv"}, **more,
    )  # fmt: skip


def test_a_row_of_csv_is_whole_and_goes_again():
    letter = csv_letter(ROW, Reason.UNKNOWN_ATTRIBUTE)
    assert letter["record"] == dict(zip(HEADER, ROW.decode().split(","), strict=True))
    prepared, _ = opened(letter)
    assert json.loads(prepared.work.parts[0].request.body)["attributes"] == {"city": "Bonn"}
    long = "x" * 100_000
    prepared, _ = opened(csv_letter(ROW + long.encode(), Reason.UNKNOWN_ATTRIBUTE))
    assert json.loads(prepared.work.parts[0].request.body)["attributes"] == {"city": "Bonn" + long}


def test_a_row_that_could_not_be_taken_apart_is_whole_and_goes_again_when_corrected():
    broken = ROW + b"," + b"y" * 10_000
    letter = csv_letter(broken)
    assert (letter["record"], letter["header"]) == (broken.decode(), HEADER)
    prepared, again = opened(letter)
    assert prepared.work is None
    assert {name: again[name] for name in ("reason", "record", "header")} == {
        "reason": "bad_row", "record": broken.decode(), "header": HEADER,
    }  # fmt: skip
    for one in (letter, again):
        assert is_sent({**one, "record": ROW.decode()})
        assert is_sent({**one, "record": json.dumps(EVENT)})
        assert is_sent({**one, "record": EVENT})
        assert is_sent({**one, "record": dict(zip(HEADER, ROW.decode().split(","), strict=True))})
        assert not is_sent({**one, "record": ROW.decode(), "header": None})


def test_a_row_that_is_not_utf8_goes_again_when_corrected():
    letter = csv_letter(ROW + "ü".encode("latin-1"))
    _, again = opened(letter)
    assert again["reason"] == "altered_record"
    for one in (letter, again):
        assert is_sent({**one, "record": ROW.decode() + "ü"})


def test_what_an_editor_writes_into_a_row_of_csv_is_taken_as_in_json():
    cells = {**dict(zip(HEADER, ROW.decode().split(","), strict=True)), "attributes.size": 42, "store_id": None}
    edited = {**cells, "attributes": {"new": True}, "customer_id": 17}
    prepared, _ = opened({**csv_letter(ROW), "record": edited})
    request = prepared.work.parts[0].request
    assert json.loads(request.body)["attributes"] == {"city": "Bonn", "size": 42, "new": True}
    assert prepared.work.profiles == ("17",)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not_json"),
        (b'{"kind": "events", "rec', "not_json"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "invalid_field"),
        (b'{"kind": "events", "record": "m\xfcller", "source": {}}', "not_json"),
        ({"kind": ["events"], "record": {}, "source": {}}, "invalid_field"),
        ({"kind": "lookups", "record": {}, "source": {}}, "read_operation"),
        ({"kind": "events", "source": {}, "reason": "refused"}, "invalid_field"),
        ({"kind": "events", "record": EVENT, "source": None, "reason": "refused"}, "invalid_field"),
        ({"kind": "events", "record": EVENT, "source": {"file": []}, "reason": "refused"}, "invalid_field"),
        ({"kind": "events", "record": EVENT, "source": {"position": 10**30}, "reason": "refused"}, "invalid_field"),
        ({"kind": "events", "record": EVENT, "source": {}}, "invalid_field"),
        ({"kind": "events", "record": EVENT, "source": {}, "reason": "no such"}, "invalid_field"),
        ({"kind": "events", "record": EVENT, "source": {}, "reason": {}}, "invalid_field"),
        (dead_letter_of(Shown(EVENT), Reason.OUTCOME_UNKNOWN, key={"generation": 10**30}), "invalid_field"),
        (dead_letter_of(Shown(EVENT), Reason.OUTCOME_UNKNOWN, key={"attempt": []}), "invalid_field"),
        (dead_letter_of(Shown(EVENT), parts_done="x"), "invalid_field"),
        (
            b'{"kind": "events", "record": {}, "source": {}, "reason": ' + b"[" * 200 + b"]" * 200 + b"}",
            "invalid_field",
        ),
        (b'{"kind": "events", "record": {}, "source": {}, "job": ' + b"1" * 5000 + b"}", "invalid_field"),
        (dead_letter_of(Shown("text")), "not_json"),
        (dead_letter_of(Shown(None)), "not_an_object"),
        (dead_letter_of(Shown([1])), "not_an_object"),
        (dead_letter_of(Shown({})), "missing_field"),
        (dead_letter_of(Shown({**EVENT, "attributes": {"a": Decimal("1E+400")}})), None),
    ],
)
def test_a_letter_that_cannot_be_opened_is_a_dead_letter_that_holds_it(line, reason):
    prepared, again = opened(line)
    if reason is None:
        assert again is None
        return
    assert (again["reason"], prepared.work) == (reason, None)
    assert len(again["detail"]) > 5
    if again["kind"] == LETTERS:
        data = line if isinstance(line, bytes) else jsonio.dumps(line)
        assert again["record"] == of_bytes(data).record


def test_a_letter_within_a_letter_is_opened():
    torn = jsonio.dumps(dead_letter_of(Shown(EVENT)))[:-5]
    _, once = opened(torn)
    _, twice = opened(jsonio.dumps(once))
    assert twice["kind"] == LETTERS
    assert twice["record"] == torn.decode(), "it does not grow"
    assert is_sent({**twice, "record": jsonio.dumps(dead_letter_of(Shown(EVENT))).decode()})
    assert is_sent({**twice, "record": dead_letter_of(Shown(EVENT))})
    assert not is_sent({**twice, "record": dead_letter_of(ALTERED[0])})
    _, latin = opened(
        jsonio.dumps(dead_letter_of(Shown({**EVENT, "type": "m\u00fcller"}))).decode().encode("latin-1")
    )
    assert latin["altered"] is True
    assert not is_sent(latin)


def test_a_letter_nested_without_end_costs_itself():
    letter = dead_letter_of(Shown(EVENT))
    for _ in range(150):
        letter = {**dead_letter_of(Shown(letter)), "kind": LETTERS}
    assert not is_sent(letter)


_ODD = (
    st.none() | st.booleans() | st.integers() | st.just(10**40) | st.text(max_size=20) | st.just([]) | st.just({})
    | st.decimals(allow_nan=False, allow_infinity=False) | st.just({"a": [1, None, {"b": "c"}]})
    | st.sampled_from(["events", "orders", LETTERS, "lookups", "csv", *Reason, True, EVENT, json.dumps(EVENT)])
    | st.recursive(st.none(), lambda inner: st.lists(inner, min_size=1), max_leaves=3)
)  # fmt: skip
_LETTERS = st.sampled_from(
    [
        dead_letter_of(Shown(EVENT)),
        dead_letter_of(
            Shown(EVENT), Reason.OUTCOME_UNKNOWN, key={"attempt": "", "generation": 1}, first_sent_at="2026"
        ),
        dead_letter_of(ALTERED[0]),
        opened(dead_letter_of(ALTERED[1]))[1],
        csv_letter(ROW, Reason.UNKNOWN_ATTRIBUTE),
        csv_letter(ROW + b",,"),
        {**dead_letter_of(Shown(dead_letter_of(Shown(EVENT)))), "kind": LETTERS},
    ]
)
_FIELDS = (
    "kind", "record", "source", "reason", "stage", "detail", "operation", "job", "failed_at", "key", "first_sent_at",
    "parts_done", "altered", "record_sha256", "record_base64", "header", "before", "id", "new",
)  # fmt: skip


@given(
    _LETTERS,
    st.dictionaries(st.sampled_from(_FIELDS), _ODD, max_size=4),
    st.sets(st.sampled_from(_FIELDS), max_size=3),
)
@example(
    dead_letter_of(Shown(EVENT)), {"first_sent_at": "0001-01-01T00:00:00+23:59", "reason": "outcome_unknown"}, set()
)
def test_whatever_becomes_of_a_letter_costs_at_most_that_letter(letter, changes, removed):
    edited = {name: value for name, value in {**letter, **changes}.items() if name not in removed}
    prepared, again = opened(edited)
    assert prepared.problem is None or prepared.problem.reason is not Reason.DEFECT
    if prepared.work is None and prepared.problem.reason is not Reason.UNREADABLE_FILE:
        assert again["detail"]
        json.dumps(again)
        opened(jsonio.dumps(again))


@given(_LETTERS, st.integers(0, 400), st.integers(0, 400), st.binary(max_size=6))
def test_whatever_becomes_of_a_line_costs_at_most_that_letter(letter, at, cut, put):
    line = jsonio.dumps(letter)
    prepared, _ = opened(line[:at] + put + line[at + cut :])
    assert prepared.problem is None or prepared.problem.reason is not Reason.DEFECT


def test_time_of_a_first_try_that_cannot_be_is_as_none():
    letter = dead_letter_of(Shown(EVENT), Reason.OUTCOME_UNKNOWN, key={}, first_sent_at="yesterday")
    assert opened(letter)[0].origin.first_sent is None
    letter["first_sent_at"] = "2026-05-01T12:00:00Z"
    assert opened(letter)[0].origin.first_sent == datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
