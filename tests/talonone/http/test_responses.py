"""The table of answers, and error bodies of any shape."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.http.responses import (
    LONGEST_MESSAGE,
    Verdict,
    classify,
    proves_the_key,
    read_error,
    seconds_to_wait,
)

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


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226, 299])
@pytest.mark.parametrize(
    "body", [b"\n<!doctype html><p>Sign in", b'{"effects":[{"camp', b"[]", b'"ok"', b"null", b"OK", b"\xff\xfe{}"]
)
def test_a_2xx_without_the_apis_answer_may_have_acted(status, body):
    """A login page, a proxy's own words, or an answer that broke off: what was asked may have been done before."""
    answer = classify(EVENT, status, body, None, NOW)
    assert (answer.verdict, answer.acted) == (Verdict.RETRY, True)
    assert not proves_the_key(EVENT, answer)


@pytest.mark.parametrize("body", [b"", b" \n", b'{"effects":[]}', b'{"name":"x"}'])
def test_a_2xx_with_an_object_or_nothing_is_a_success(body):
    answer = classify(EVENT, 200, body, None, NOW)
    assert answer.ok
    assert proves_the_key(EVENT, answer)


@pytest.mark.parametrize("body", [b"[1]", b"[1", b"plain"])
def test_what_is_read_is_left_to_whoever_reads(body):
    read = OPERATIONS["get_customer_session"]
    answer = classify(read, 200, body, None, NOW)
    assert answer.ok
    assert not proves_the_key(read, answer)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_a_page_does_not_outrank_a_5xx(status):
    answer = classify(EVENT, status, b"<html>bad gateway</html>", None, NOW)
    assert (answer.verdict, answer.acted) == (Verdict.RETRY, True)


@pytest.mark.parametrize(
    ("status", "body", "proves"),
    [
        (400, b'{"message":"bad"}', True),
        (409, b'{"errors":[{"title":"busy"}]}', True),
        (422, b'{"message":"bad"}', True),
        (400, b"<html>bad request</html>", False),
        (400, b"", False),
        (429, b'{"message":"slow down"}', False),
        (403, b'{"message":"no"}', False),
        (413, b'{"message":"too large"}', False),
        (503, b'{"message":"down"}', False),
    ],
)
def test_what_proves_that_the_key_is_accepted(status, body, proves):
    assert proves_the_key(EVENT, classify(EVENT, status, body, None, NOW)) is proves


def test_a_404_of_what_creates_proves_nothing():
    update = OPERATIONS["update_customer_session_v2"]
    assert not proves_the_key(update, classify(update, 404, b'{"message":"not found"}', None, NOW))
