"""A value that the vendor's document refuses never leaves: it is refused here, or changed into an allowed one.

Records may write some values in another form than the API. Examples are a null that counts as absent, an integer for
an id, a decimal in a text, times and lists of the query. A list with more entries than one request takes is split.
BEYOND lists what is refused here although the document allows it, each with the reason.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.request import Request

from .bad import GONE, changed
from .bodies import FRIEND, TRANSACTIONS
from .document import Document
from .table import CASES, Case
from .test_document import parameter_problems, problems
from .wire import case_record, our_requests, wire

VALUES: Final = (
    GONE, None, 0, 1, -1, 2.0, 1.5, 19.99, 10**30, True, False, "", "a", "5", "x" * 101, "x" * 1001, "everything",
    "yes", "true", "19.99", "1e400", "NaN", "a,b", [], [1], ["a"], ["5", "6"], ["a", "a"], [None], {}, {"a": 1},
    {"a": None}, "2026-05-01", "2026-05-01T12:00:00Z", "2026-05-01 12:00:00Z", "2026-05-01t12:00:00z",
    "2026-05-01T12:00:00", "2026-05-01T24:00:00Z", "2026-05-01T12:00:00+99:00", "2026-02-30T12:00:00Z",
    "2016-12-31T23:59:60Z", TRANSACTIONS[0], TRANSACTIONS[0].replace("-", ""), "{" + TRANSACTIONS[0] + "}",
    "urn:uuid:" + TRANSACTIONS[0],
)  # fmt: skip
"""The values that replace another one, one after the other."""

TIMES_OVER: Final = (2, 6, 11, 51, 101, 1001, 2500)
"""How often a list is repeated, to be too long or to have entries twice."""

ANY_JSON: Final = ("attributes", "ü/~ %")
"""What lies within is the caller's own."""

BODIES: Final = [
    pytest.param(case, body, id=f"{case.operation}-{number}")
    for case in CASES
    for number, body in enumerate(case.bodies)
    if body is not None
]
_ITEM: Final = "/customerSession/cartItems/0"

BEYOND: Final = [
    ("Extra inputs are not permitted", "create_referral", "/usagelimit", 1, "a misspelt name would be lost"),
    ("at least 1 character", "link_loyalty_card_to_profile", "/integrationId", "", "an empty id names nobody"),
    ("at most 1000 characters", "create_referral", "/friendProfileIntegrationId", "x" * 1001,
     "the limit of ids, which not every schema repeats"),
    ("at least 1 item", "return_cart_items", "/return/returnedCartItems", [], "a request that does nothing"),
    ("missing: body/customerProfiles", "update_customer_profiles_v2", "/customerProfiles", GONE,
     "a request that does nothing"),
    ("missing: body/data", "update_customer_profile_audiences", "/data", GONE, "a request that does nothing"),
    ("missing: body/profileId", "track_event_v2", "/profileId", GONE, "the operation's text requires it"),
    ("quantities of the cart sum to more", "update_customer_session_v2", f"{_ITEM}/quantity", 10_001,
     "the limit stands in a text"),
    ("more than 1000 cart items", "update_customer_session_v2", "/customerSession/cartItems",
     [{"sku": "a", "quantity": 1}] * 1001, "the limit stands in a text"),
    ("at most 30 digits", "update_customer_session_v2", f"{_ITEM}/price", 10**30,
     "the API counts in binary doubles"),
    ("valid integer", "create_referral", "/usageLimit", 2.0, "counts are written without fraction"),
    ("needs `sku` or `position`", "return_cart_items", "/return/returnedCartItems/0", {"quantity": 1},
     "it names no item"),
    ("greater than or equal to 0", "return_cart_items", "/return/returnedCartItems/1/position", -1,
     "positions count from 0"),
    ("greater than or equal to 1", "return_cart_items", "/return/returnedCartItems/0/quantity", 0,
     "nothing is returned"),
    ("needs `subledgerIds`", "delete_loyalty_transactions_from_ledgers", "/subledgerIds", [],
     "the field's text requires it"),
    ("either `transactionUUIDs` or `sessionId`", "activate_loyalty_points", "/sessionId", "s",
     "the fields' texts exclude each other"),
    ("a transaction stands twice", "activate_loyalty_points", "/transactionUUIDs",
     ["abcdef01-0000-4000-8000-000000000001", "ABCDEF01-0000-4000-8000-000000000001"], "they are the same"),
    ("goes with the target AUDIENCE", "best_prior_price", "/target/targetType", "NONE", "the field's text says so"),
    ("/value (null)", "sync_catalog", "", {"actions": [{"type": "REMOVE_MANY", "payload": {"filters": [
        {"attr": "a", "op": "EQ", "value": None}]}}]}, "a filter needs a value"),
]  # fmt: skip
"""Values that we refuse and the document allows: our words for it, an example (operation, place, value), and why."""


def places(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """All places in a body (JSON pointers), with what stands there."""
    yield at, value
    name = at.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
    if name in ANY_JSON:
        return
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in steps:
        yield from places(one, f"{at}/{str(step).replace('~', '~0').replace('/', '~1')}")


def changes(place: str, value: Any) -> Iterator[Any]:
    """The values to try at a place instead of `value`."""
    yield from (new for new in VALUES if new is not GONE or place)
    if isinstance(value, list) and value:
        yield from (value * times for times in TIMES_OVER)


def outcome(record: dict[str, Any]) -> list[Request] | InvalidRecord:
    """The requests of a record, or its refusal."""
    try:
        return our_requests(record)
    except InvalidRecord as refusal:
        return refusal


def hold(document: Document, case: Case, body: Any) -> None:
    """Assert that what becomes of a body is valid by the document, or refused by both, or for a reason of BEYOND."""
    row = OPERATIONS[case.operation]
    found = outcome(case_record(case, body))
    if isinstance(found, InvalidRecord):
        schema, _ = document.body(row) or ({}, False)
        beyond = document.allows(schema, body) and body is not None
        assert not beyond or any(words in found.detail for words, *_ in BEYOND), found.detail
        return
    for request in found:
        assert problems(document, row, wire(request.method, request.target(), request.body)) == []


@pytest.mark.parametrize(("case", "body"), BODIES)
def test_each_place_of_a_body_spoilt(case: Case, body: Any, document: Document):
    for place, value in places(body):
        for new in changes(place, value):
            hold(document, case, changed(body, place, new))


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[Case, Any]:
    """A case and a body of it that is changed at several places."""
    case, body = draw(st.sampled_from([one.values for one in BODIES]))
    for _ in range(draw(st.integers(2, 4))):
        place, value = draw(st.sampled_from(list(places(body))[1:] or [("/added", None)]))
        if isinstance(body, dict | list):
            new = draw(st.sampled_from(list(changes(place, value))))
            body = changed(body, place, new) if place != "/added" or new is not GONE else body
    return case, body


@settings(max_examples=500)
@given(spoilt())
def test_several_places_of_a_body_spoilt(document: Document, found: tuple[Case, Any]):
    hold(document, *found)


@pytest.mark.parametrize(("words", "operation", "place", "value", "why"), BEYOND)
def test_what_is_refused_beyond_the_document(words: str, operation: str, place: str, value: Any, why: str, document):
    case = next(case for case in CASES if case.operation == operation)
    body = changed(case.bodies[-1], place, value)
    schema, _ = document.body(OPERATIONS[operation]) or ({}, False)
    assert document.allows(schema, body)
    with pytest.raises(InvalidRecord) as refused:
        our_requests(case_record(case, body))
    assert words in refused.value.detail
    assert why


QUERIES: Final = [pytest.param(case, name, id=f"{case.operation}-{name}") for case in CASES for name in case.query]


@pytest.mark.parametrize(("case", "name"), QUERIES)
def test_each_query_parameter_spoilt(case: Case, name: str, document: Document):
    """Any value is refused, or its text on the wire is one that the document allows."""
    row = OPERATIONS[case.operation]
    parameter = next(one for one in document.parameters(row) if one.name == name)
    taken = 0
    for new in VALUES:
        record = changed(case_record(case, case.bodies[-1]), f"/query/{name}", new)
        found = outcome(record)
        if isinstance(found, InvalidRecord):
            assert found.pointer is not None
            without_dry = [f"/query/{other}" for other, needed in row.needs.items() if needed == name]
            assert found.pointer.startswith((f"/query/{name}", *without_dry))
            continue
        texts = wire(row.method, found[0].target(), None).query.get(name, [])
        assert texts == [] or parameter_problems(document, parameter, texts) == [], new
        taken += bool(texts)
    assert taken > 0 or parameter.schema.get("enum") or parameter.schema.get("items", {}).get("enum")


@pytest.mark.parametrize("text", [FRIEND, "", "x" * 1001, "5", "-5", "5.0", "05", "٥", "abc", "x" * 109, 5, True])
@pytest.mark.parametrize("case", [case for case in CASES if case.path], ids=lambda case: case.operation)
def test_each_path_parameter_spoilt(case: Case, text: Any, document: Document):
    for one in document.parameters(OPERATIONS[case.operation]):
        if one.place != "path":
            continue
        record = changed(case_record(case, case.bodies[-1]), f"/path/{one.name}", text)
        found = outcome(record)
        if isinstance(found, InvalidRecord):
            assert found.pointer == f"/path/{one.name}"
            continue
        sent = wire(found[0].method, found[0].target(), None)
        steps = dict(zip(found[0].template.split("/"), sent.segments, strict=True))
        assert parameter_problems(document, one, [steps[f"{{{one.name}}}"]]) == []
