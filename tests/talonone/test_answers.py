"""The table of answers, and error bodies of any shape."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.answers import LONGEST_MESSAGE, Verdict, classify, read_error, seconds_to_wait

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVENT = OPERATIONS["track_event_v2"]
SAID = b'{"message":"no","errors":[{"title":"Bad","details":"so bad","source":{"pointer":"/a/0"}}]}'


@pytest.mark.parametrize(
    ("status", "verdict", "reason", "acted", "slows"),
    [
        (200, Verdict.APPLIED, None, True, False),
        (201, Verdict.APPLIED, None, True, False),
        (204, Verdict.APPLIED, None, True, False),
        (301, Verdict.STOP, None, False, False),
        (302, Verdict.STOP, None, False, False),
        (400, Verdict.REFUSED, Reason.REFUSED, False, False),
        (401, Verdict.STOP, None, False, False),
        (403, Verdict.STOP, None, False, False),
        (404, Verdict.REFUSED, Reason.NOT_FOUND, False, False),
        (408, Verdict.RETRY, None, True, False),
        (409, Verdict.RETRY, None, False, False),
        (413, Verdict.REFUSED, Reason.REFUSED, False, False),
        (422, Verdict.REFUSED, Reason.REFUSED, False, False),
        (425, Verdict.RETRY, None, False, False),
        (429, Verdict.RETRY, None, False, True),
        (500, Verdict.RETRY, None, True, False),
        (502, Verdict.RETRY, None, True, False),
        (503, Verdict.RETRY, None, True, True),
        (504, Verdict.RETRY, None, True, False),
        (599, Verdict.RETRY, None, True, False),
        (199, Verdict.RETRY, None, True, False),
        (999, Verdict.RETRY, None, True, False),
    ],
)
def test_the_table(status, verdict, reason, acted, slows):
    answer = classify(EVENT, status, SAID, None, NOW)
    assert (answer.verdict, answer.reason, answer.acted, answer.slows) == (verdict, reason, acted, slows)
    assert answer.ok == (verdict is Verdict.APPLIED)
    if not answer.ok:
        assert (answer.message, answer.pointer) == ("no; Bad: so bad", "/a/0")


def test_an_unknown_attribute_has_a_reason_of_its_own():
    body = b'{"message":"x","errors":[{"title":"Other"},{"title":"Unknown","source":{"pointer":"/attributes/shoe"}}]}'
    answer = classify(EVENT, 400, body, None, NOW)
    assert (answer.reason, answer.pointer) == (Reason.UNKNOWN_ATTRIBUTE, "/attributes/shoe")


def test_an_erased_customer_is_erased():
    assert classify(OPERATIONS["delete_customer_data"], 404, b"", None, NOW).ok
    assert not classify(EVENT, 404, b"", None, NOW).ok


def test_an_answer_without_words_tells_its_status():
    assert classify(EVENT, 500, b"<html>", None, NOW).message == "status 500"


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["message", "errors", "title", "details", "source", "pointer"]), inner)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=40) | SHAPES.map(jsonio.dumps), st.integers(100, 999))
def test_no_body_raises(body, status):
    answer = classify(EVENT, status, body, None, NOW)
    assert answer.ok or answer.message
    assert answer.pointer is None or isinstance(answer.pointer, str)


def test_endless_bodies():
    assert read_error(b"[" * 10_000 + b"]" * 10_000) == ("", ())
    assert len(read_error(jsonio.dumps({"message": "x" * 10**6}))[0]) == LONGEST_MESSAGE


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Wed", None),
        ("Fri, 99 May 2026 12:00:10 GMT", None),
        ("Wed, 21 Oct 99999999999999 07:28:00 GMT", None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("Fri, 01 May 2026 12:00:10 GMT", 10.0),
        ("Fri, 01 May 2026 14:00:10 +0200", 10.0),
        ("Fri, 01 May 2026 12:00:10 -0000", 10.0),
        ("Fri, 01 May 2026 11:00:00 GMT", 0.0),
        ("9" * 400, float("inf")),
    ],
)
def test_retry_after(header, seconds):
    assert seconds_to_wait(header, NOW) == seconds


@given(st.text(max_size=40))
def test_no_header_raises(header):
    found = seconds_to_wait(header, NOW)
    assert found is None or found >= 0


@pytest.mark.parametrize("status", [200, 201])
def test_a_web_page_is_no_answer(status):
    """A login page or a wrong host answers 200 to everything: nothing of it was done."""
    answer = classify(EVENT, status, b"\n<!doctype html><p>Sign in", None, NOW)
    assert (answer.verdict, answer.acted) == (Verdict.RETRY, False)
    assert classify(EVENT, status, b'{"effects":[]}', None, NOW).ok
