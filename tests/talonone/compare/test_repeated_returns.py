"""Returns that are sent again when their keys have expired: what the session shows of them, and what goes."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.compare.equality import covered
from beam_talonone.talonone.compare.repeated_returns import Repeat, microseconds
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state.session_cache import SessionMemory
from tests.talonone.protocols.test_carry_out import GET, carry, having, order, returns

RETURN = "return_cart_items"
DAY = 86_400_000_000
SKUS = ("tea", "cup")

carts = st.lists(
    st.fixed_dictionaries({"sku": st.sampled_from(SKUS), "quantity": st.integers(1, 4)}), min_size=1, max_size=4
)
one_item = st.one_of(
    st.fixed_dictionaries({"sku": st.sampled_from(SKUS), "quantity": st.integers(1, 3)}),
    st.fixed_dictionaries({"position": st.integers(0, 4), "quantity": st.integers(1, 3)}),
)
many_returns = st.lists(st.lists(one_item, min_size=1, max_size=3), max_size=8)


def carried_out(cart, requested):
    """The returns that an API takes, and the cart after them."""
    given_back, done = Counter(), []
    for items in requested:
        taken = given_back.copy()
        if all(_take(cart, taken, item) for item in items):
            given_back = taken
            done.append(items)
    return done, [{**line, "returnedQuantity": given_back[place]} for place, line in enumerate(cart)]


def _take(cart, taken, item):
    wanted = item["quantity"]
    for place, line in enumerate(cart):
        if place == item.get("position", place) and line["sku"] == item.get("sku", line["sku"]):
            number = min(wanted, line["quantity"] - taken[place])
            taken[place] += number
            wanted -= number
    return not wanted


@given(carts, many_returns)
def test_an_export_that_is_sent_again_returns_nothing(cart, requested):
    done, after = carried_out(cart, requested)
    for number, items in enumerate(done):
        assert covered(items, [item for earlier in done[:number] for item in earlier], after)


@given(carts, many_returns, many_returns)
def test_no_more_is_claimed_than_was_returned(cart, first, again):
    _, after = carried_out(cart, first)
    claimed = []
    for items in again:
        if covered(items, claimed, after):
            claimed += items
    by_line, by_sku = Counter(), Counter()
    for item in claimed:
        if "position" in item:
            by_line[item["position"]] += item["quantity"]
        by_sku[item.get("sku") or cart[item["position"]]["sku"]] += item["quantity"]
    returned = Counter()
    for line in after:
        returned[line["sku"]] += line["returnedQuantity"]
    assert all(wanted <= returned[sku] for sku, wanted in by_sku.items())
    assert all(wanted <= after[place]["returnedQuantity"] for place, wanted in by_line.items())


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ([{"sku": "tea", "quantity": 2}], True),
        ([{"sku": "tea", "quantity": 3}], False),
        ([{"position": 0, "quantity": 1}], True),
        ([{"position": 0, "quantity": 2}], False),
        ([{"position": 1, "quantity": 1}, {"sku": "tea", "quantity": 1}], True),
        ([{"position": 1, "quantity": 1}, {"sku": "tea", "quantity": 2}], False),
        ([{"sku": "cup", "quantity": 1}], False),
        ([{"sku": "lid", "quantity": 1}], False),
        ([{"position": 9, "quantity": 1}], False),
    ],
)
def test_what_a_session_shows(items, shown):
    repeat = Repeat()
    lines = [
        {"sku": "tea", "quantity": 3, "returnedQuantity": 1},
        {"sku": "tea", "quantity": 3, "remainingQuantity": Decimal("2.0")},
        {"sku": "cup", "quantity": 3},
    ]
    repeat.read({"cartItems": lines, "updated": "2026-05-01T12:00:00.5Z"})
    at = microseconds("2026-05-01T12:00:00.5Z")
    assert repeat.shows(items, [], at) is shown
    assert not repeat.shows(items, [], at + 1), "later than all that the session shows"
    assert not repeat.shows(items, [{"sku": "tea", "quantity": 2}], at), "all of it was claimed before"


@pytest.mark.parametrize("odd", [None, 5, "yesterday", "", "2026-13-01T00:00:00Z"])
def test_without_a_time_the_quantities_tell(odd):
    repeat = Repeat()
    repeat.read({"cartItems": [{"sku": "tea", "quantity": 1, "returnedQuantity": 1}], "updated": odd})
    assert repeat.shows([{"sku": "tea", "quantity": 1}], [], DAY)
    assert not repeat.shows([{"sku": "tea", "quantity": 2}], [], DAY)


def test_times():
    assert microseconds("1970-01-02T00:00:00.000001Z") == DAY + 1
    assert microseconds("1970-01-02T01:00:00.123456789+01:00") == DAY + 123_456


def job(api, *works):
    """How the works end in a job of their own, one after the other."""
    memory, ends = SessionMemory(), []
    for work in works:
        known = memory.known("o")
        if work.kind == "returns":
            known = SessionFacts(
                known.session_sent, known.session_closed, known.order_dead, known.returned, memory.repeat("o")
            )
        outcome = carry(api, work, known=known)
        memory.note(work, outcome)
        ends.append(outcome.end)
    return ends


def having_returned(*more):
    api = having(order(), returns(return_id="r1"), returns({"position": 0, "quantity": 1}, return_id="r2"), *more)
    api.stored.clear()  # the keys have expired
    api.sessions["o"]["updated"] = "2026-06-01T00:00:00Z"
    return api


def test_returns_that_are_there_are_not_sent_again_and_the_session_is_read_once():
    api = having_returned()
    again = [order(), returns(return_id="r1"), returns({"position": 0, "quantity": 1}, return_id="r2")]
    assert job(api, *again) == [End.ALREADY_APPLIED] * 3
    assert api.operations.count(GET) == 2, "once for the order, once for its returns"
    assert RETURN not in api.operations


@pytest.mark.parametrize("place", [1, 2, 3])
def test_one_more_return_is_the_only_one_that_is_sent(place):
    api = having_returned()
    again = [order(), returns(return_id="r1"), returns({"position": 0, "quantity": 1}, return_id="r2")]
    again.insert(place, returns({"sku": "cup", "quantity": 1}, return_id="new"))
    ends = [End.ALREADY_APPLIED] * 3
    ends.insert(place, End.APPLIED)
    assert job(api, *again) == ends
    assert api.operations.count(RETURN) == 1
    assert [line["returnedQuantity"] for line in api.sessions["o"]["cartItems"]] == [2, 1]


def test_a_return_later_than_the_session_is_sent_though_the_quantities_are_there():
    api = having_returned()
    api.sessions["o"]["updated"] = "2026-05-01T11:59:59Z"
    assert job(api, order(), returns(return_id="new")) == [End.ALREADY_APPLIED, End.APPLIED]
    assert api.sessions["o"]["cartItems"][0]["returnedQuantity"] == 3


def test_returns_of_a_cancelled_order_are_not_sent_again():
    api = having_returned(order("cancelled", version=2))
    again = [order(), returns(return_id="r1"), returns(return_id="r2"), order("cancelled", version=2)]
    assert job(api, *again) == [End.ALREADY_APPLIED] * 4


def test_the_returns_of_a_first_export_cost_no_read():
    api = having()
    assert job(api, order(), returns(return_id="r1"), returns(return_id="r2")) == [End.APPLIED] * 3
    assert GET not in api.operations


def test_a_memory_keeps_what_was_read_until_it_forgets():
    memory = SessionMemory()
    assert memory.repeat("o") is None
    memory.note(order(), Outcome(End.APPLIED))
    assert memory.repeat("o") is None
    memory.note(order(), Outcome(End.ALREADY_APPLIED))
    assert memory.repeat("o") is memory.repeat("o") is not None
    memory.note_repeated("p")
    assert memory.repeat("p") is not memory.repeat("o")
    memory.forget()
    assert memory.repeat("o") is None
