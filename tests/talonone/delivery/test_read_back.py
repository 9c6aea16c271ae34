"""Whether a request shows in what the API has, by answers of the shapes that the vendor's document declares."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.calls import check_request
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import Lookup
from beam_talonone.talonone.delivery.ambiguity import Found
from beam_talonone.talonone.delivery.read_back import LOOKS
from beam_talonone.talonone.http.responses import Answer, Verdict, classify

CARD = "4%2F+@card._-"
SENT = {
    "profileId": "c",
    "integrationId": "e/1",
    "type": "view",
    "attributes": {"shoe": Decimal("42.50"), "none": None, "tags": ["a"]},
    "connectedSessionId": "s",
}
ASKED = {
    "track_event_v3": ({}, SENT, "get_event_v3", {"integrationId": "e/1"}, {}),
    "generate_loyalty_card": (
        {"loyaltyProgramId": "5"}, {"cardIdentifier": CARD, "customerProfileIds": ["c"]},
        "get_loyalty_card_balances", {"loyaltyProgramId": "5", "loyaltyCardId": CARD}, {},
    ),
    "link_loyalty_card_to_profile": (
        {"loyaltyProgramId": "5", "loyaltyCardId": CARD}, {"integrationId": "c"},
        "get_customer_inventory", {"integrationId": "c"}, {"loyalty": "true"},
    ),
    "unlink_loyalty_card_from_profile": (
        {"loyaltyProgramId": "5", "loyaltyCardId": CARD}, {"integrationId": "c"},
        "get_customer_inventory", {"integrationId": "c"}, {"loyalty": "true"},
    ),
    "join_loyalty_program": (
        {"loyaltyProgramId": "5", "integrationId": "c"}, None,
        "get_customer_inventory", {"integrationId": "c"}, {"loyalty": "true"},
    ),
}  # fmt: skip
"""Operation -> path and body of what was sent; operation, path and query of what is read."""

EVENT, CARD_MADE, LINK, UNLINK, JOIN = LOOKS
OPPOSITE = {Found.DONE: Found.NOT_DONE, Found.NOT_DONE: Found.DONE}


def sent(operation, body=None):
    path, usual, *_ = ASKED[operation]
    lookup = Lookup(path=path, body=usual if body is None else body)
    (called,) = check_request(OPERATIONS[operation], lookup, Reason.INVALID_CALL)
    return called.request


def looked(operation, answer, body=None):
    """What looking finds when reading is answered so: an Answer, or a value as the body of a 200."""
    requests = []

    async def read(request):
        requests.append(request)
        return answer if isinstance(answer, Answer) else got(200, jsonio.dumps(answer), request.operation)

    found = asyncio.run(LOOKS[operation](sent(operation, body), read))
    (request,) = requests
    _, _, *expected = ASKED[operation]
    assert [request.operation, request.path, request.query] == expected
    assert (request.method, request.body) == ("GET", None)
    return found


def got(status, body=b"", operation="get_event_v3"):
    return classify(OPERATIONS[operation], status, body, None, datetime(2026, 5, 1, tzinfo=UTC))


def event(**changes):
    """An answer of get_event_v3."""
    found = {
        "id": 6, "created": "2026-05-01T12:00:00Z", "applicationId": 322, "effects": [], **SENT,
        "attributes": {"shoe": Decimal("42.5"), "tags": ["a"]}, **changes,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not ...}


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (event(), Found.DONE),
        (event(storeIntegrationId=None, more=1), Found.DONE),
        (event(attributes={"shoe": Decimal("42.5"), "none": None, "tags": ["a"], "more": 1}), Found.DONE),
        (event(profileId="d"), Found.OTHER),
        (event(profileId=...), Found.OTHER),
        (event(type="buy"), Found.OTHER),
        (event(connectedSessionId=...), Found.OTHER),
        (event(connectedSessionId="t"), Found.OTHER),
        (event(attributes={}), Found.OTHER),
        (event(attributes=None), Found.OTHER),
        (event(attributes=["shoe"]), Found.OTHER),
        (event(attributes={"shoe": 43, "tags": ["a"]}), Found.OTHER),
        (event(attributes={"shoe": "42.5", "tags": ["a"]}), Found.OTHER),
        (event(attributes={"shoe": Decimal("42.5"), "tags": ["a", "b"]}), Found.OTHER),
        (event(attributes={"shoe": Decimal("42.5"), "none": 0, "tags": ["a"]}), Found.OTHER),
        ({}, Found.OTHER),
    ],
)
def test_an_event(answer, found):
    assert looked(EVENT, answer) is found


def test_an_event_of_which_little_was_said():
    little = {"profileId": "c", "integrationId": "e/1", "type": "view"}
    assert looked(EVENT, event(), little) is Found.DONE
    assert looked(EVENT, event(attributes={}, connectedSessionId=...), little) is Found.DONE


@pytest.mark.parametrize(("store", "found"), [("s 1", Found.DONE), ("s 2", Found.OTHER), (..., Found.DONE)])
def test_an_event_of_a_store(store, found):
    """The document does not promise that the store comes back."""
    sent = {"profileId": "c", "integrationId": "e/1", "type": "view", "storeIntegrationId": "s 1"}
    assert looked(EVENT, event(storeIntegrationId=store), sent) is found


BALANCE = {"activePoints": 1.5, "pendingPoints": 0, "spentPoints": 0, "expiredPoints": 0}


@pytest.mark.parametrize(
    "balances",
    [
        {"balance": BALANCE, "subledgerBalances": {"a": BALANCE}, "profiles": []},
        {"balance": BALANCE, "profiles": [{"integrationId": "c", "timestamp": "2026-05-01T12:00:00Z"}]},
        {},
    ],
)
def test_a_card_is_there_whatever_is_on_it(balances):
    assert looked(CARD_MADE, balances) is Found.DONE


def card(identifier, program=5):
    """A card as an inventory shows it."""
    return {
        "id": 1, "created": "2026-05-01T12:00:00Z", "programID": program, "status": "active",
        "identifier": identifier, "usersPerCardLimit": 0, "ledger": {"currentBalance": 1},
    }  # fmt: skip


LINKED = [
    ({"cards": [card("other"), card(CARD)], "programs": {}}, Found.DONE),
    ({"cards": [card(CARD)]}, Found.DONE),
    ({"cards": [card("other")], "programs": {}}, Found.NOT_DONE),
    ({"cards": [card(CARD.lower() + "x")], "programs": {}}, Found.NOT_DONE),
    ({"cards": [card(CARD, program=6)], "programs": {}}, Found.NOT_DONE),
    ({"cards": [card(CARD, program=6), card(CARD)], "programs": {}}, Found.DONE),
    ({"cards": [], "programs": {}}, Found.NOT_DONE),
    ({"programs": {}}, Found.UNKNOWN),
    ({"cards": None, "programs": {}}, Found.NOT_DONE),
    ({"cards": [None, CARD, {}, {"identifier": None}, [card(CARD)]], "programs": {}}, Found.NOT_DONE),
]


@pytest.mark.parametrize(("loyalty", "found"), LINKED)
def test_a_card_that_is_linked(loyalty, found):
    assert looked(LINK, {"loyalty": loyalty}) is found


@pytest.mark.parametrize(("loyalty", "found"), LINKED)
def test_a_card_that_is_unlinked_is_the_opposite(loyalty, found):
    assert looked(UNLINK, {"loyalty": loyalty}) is OPPOSITE.get(found, found)


def program(number, **more):
    return {"id": number, "title": "Bonus", "name": "bonus", "ledger": {"currentBalance": 0}, **more}


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        ({"bonus": program(4), "more": program(5, joinDate="2026-05-01T12:00:00Z")}, Found.DONE),
        ({"bonus": program(5)}, Found.DONE),
        ({"5": program(4)}, Found.NOT_DONE),
        ({"bonus": program("5")}, Found.NOT_DONE),
        ({"bonus": program(None)}, Found.NOT_DONE),
        ({"bonus": None, "more": 5}, Found.NOT_DONE),
        ({}, Found.NOT_DONE),
        (None, Found.NOT_DONE),
        ([program(5)], Found.NOT_DONE),
    ],
)
def test_a_program_that_was_joined(programs, found):
    assert looked(JOIN, {"loyalty": {"cards": [card(CARD)], "programs": programs}}) is found


@pytest.mark.parametrize("operation", list(LOOKS))
def test_what_is_not_there(operation):
    _, _, reads, *_ = ASKED[operation]
    missing = got(404, b'{"message":"not found"}', reads)
    of_a_customer = reads == "get_customer_inventory"  # who is not known may have a card all the same
    assert looked(operation, missing) is (Found.UNKNOWN if of_a_customer else Found.NOT_DONE)


@pytest.mark.parametrize(
    "answer",
    [
        got(400, b'{"message":"bad"}'),
        got(200, b""),
        got(204, b""),
        got(200, b"<html>"),
        got(200, b"[]"),
        got(200, b"null"),
        got(200, b'"done"'),
        got(200, b"[" * 5000 + b"]" * 5000),
        got(200, b'{"a":' * 5000 + b"1" + b"}" * 5000),
        Answer(500, Verdict.REFUSED, Reason.RETRIES_EXHAUSTED, "it keeps failing"),
        Answer(None, Verdict.REFUSED, Reason.RETRIES_EXHAUSTED, "cut"),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:8]!r}",
)
@pytest.mark.parametrize("operation", list(LOOKS))
def test_what_cannot_be_read_tells_nothing(operation, answer):
    assert looked(operation, answer) is Found.UNKNOWN


@pytest.mark.parametrize("answer", [{}, {"loyalty": None}, {"loyalty": []}, {"profile": {"id": 1}}])
@pytest.mark.parametrize("operation", [LINK, UNLINK, JOIN])
def test_an_inventory_without_loyalty_tells_nothing(operation, answer):
    assert looked(operation, answer) is Found.UNKNOWN


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "c", CARD]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["loyalty", "cards", "programs", "identifier", "id", "attributes", "type"]), inner
        )
    ),
    max_leaves=15,
)


@given(st.sampled_from(list(LOOKS)), SHAPES)
def test_no_shape_of_an_answer_breaks_the_looking(operation, answer):
    assert looked(operation, answer) in Found
