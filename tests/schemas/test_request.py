"""Requests on the wire: any id goes through whole."""

from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.schemas.operations.profiles import ProfileUpdate, update_customer_profile_v2
from beam_talonone.schemas.request import Request, query_text, render_query

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(IDS)
def test_any_id_comes_back_from_the_path(value):
    target = get_customer_session(value).target()
    *before, segment = target.split("/")
    assert before == ["", "v2", "customer_sessions"]
    assert unquote(segment, errors="strict") == value
    assert segment.isascii()
    assert not set(segment) & set("/?# \"'<>\\^`{|}")
    assert yarl.URL("http://h" + target, encoded=True).raw_path_qs == target


@pytest.mark.parametrize(("value", "segment"), [(".", "%2E"), ("..", "%2E%2E"), ("...", "%2E%2E%2E"), ("a.b", "a.b")])
def test_dots_are_no_folders(value, segment):
    assert get_customer_session(value).target() == "/v2/customer_sessions/" + segment


def test_ids_of_a_thousand_characters():
    assert unquote(get_customer_session("🛒" * 1000).target()).endswith("🛒" * 1000)


@given(IDS, IDS)
def test_query_values_come_back(name, value):
    request = Request("x", "GET", "/x", {}, {name: value})
    query = request.target().partition("?")[2]
    assert [unquote(part) for part in query.split("=")] == [name, value]


def test_query_text():
    assert query_text(True) == "true"
    assert query_text(datetime(2026, 5, 1, tzinfo=UTC)) == "2026-05-01T00:00:00Z"
    assert render_query({"a": None, "b": False, "c": 3}) == {"b": "false", "c": "3"}


@given(IDS)
def test_bytes_and_back(value):
    request = update_customer_profile_v2(value, ProfileUpdate(attributes={"a": value}), dry=True)
    assert Request.from_bytes(request.to_bytes()) == request
    assert request.body_json() == {"attributes": {"a": value}}
