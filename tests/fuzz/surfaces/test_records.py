"""Odd records of each kind: what is read without a model is sent, and refused, as the model has it."""

from typing import Any
from unittest import mock

from fuzz.corpus import KINDS, RECORDS
from fuzz.damage import changed, json_text
from fuzz.endings import OPTIONS, check_end
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st

from beam_talonone.schemas.decoding import parse as parsing
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL, Reading
from beam_talonone.transforms.sources.prepare import Prepared, prepare

_STRICT = Reading(unknown_fields="refuse")


def prepared(kind: str, line: bytes, reading: Reading, *, by_model: bool) -> Prepared:
    """A record, read with its model or without."""
    raw = Raw(kind, "input", 1, "jsonl", line, None, None)
    if not by_model:
        return prepare(raw, OPTIONS, reading)
    with mock.patch.object(parsing, "usual_record", return_value=None):
        return prepare(raw, OPTIONS, reading)


def ending(record: Prepared) -> Any:
    """The work of a record with its unknown names, or why it is refused."""
    if record.work is not None:
        return record.work, record.unknown_names
    problem = record.problem
    return None if problem is None else (problem.reason, problem.detail, problem.pointer, problem.fields)


@fuzzed(examples=40, data=st.data(), kind=st.sampled_from(KINDS), reading=st.sampled_from([AS_USUAL, _STRICT]))
def test_a_record_ends_as_by_its_model(data: st.DataObject, kind: str, reading: Reading) -> None:
    value = data.draw(changed(RECORDS[kind]))
    if data.draw(st.booleans()):
        value = data.draw(changed(value))
    line = json_text(value).replace(b"\n", b" ")
    fast, slow = (prepared(kind, line, reading, by_model=by_model) for by_model in (False, True))
    check_end(fast)
    assert ending(fast) == ending(slow)
