"""Equal as far as it is named: sessions, their items, and what was returned."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from beam_talonone.schemas import jsonio
from beam_talonone.talonone.compare.equality import same, same_content, same_state, was_returned

D = Decimal


@pytest.mark.parametrize(
    ("wanted", "found", "equal"),
    [
        (1, 1, True),
        (1, D("1.00"), True),
        (D("19.90"), D("19.9"), True),
        (D("19.90"), D("19.91"), False),
        (0, None, False),
        (0, False, False),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        (False, None, False),
        ("1", 1, False),
        (1, "1", False),
        ("a", "a", True),
        ("a", "A", False),
        ("\u00e9", "e\u0301", False),
        ("", None, True),
        ("", "", True),
        (None, "", True),
        (None, None, True),
        (None, 0, False),
        (None, False, False),
        ("a", None, False),
        ([], None, True),
        ([], [], True),
        ([], [1], False),
        ([1], [], False),
        ([1], None, False),
        ([1, 2], [2, 1], False),
        ([1, {"a": 1}], [D("1.0"), {"a": 1, "b": 2}], True),
        ([1], {"0": 1}, False),
        ({}, None, True),
        ({}, {"a": 1}, True),
        ({"a": None}, None, True),
        ({"a": None}, {}, True),
        ({"a": None}, {"a": 1}, False),
        ({"a": 1}, None, False),
        ({"a": 1}, [1], False),
        ({"a": {"b": ""}}, {"a": {}}, True),
        ({"a": {"b": "x"}}, {"a": {"c": "x"}}, False),
    ],
)
def test_same(wanted, found, equal):
    assert same(wanted, found) is equal


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.decimals(-99, 99, places=2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_everything_is_the_same_as_itself_also_when_it_was_written_and_read(value):
    assert same(value, value)
    assert same(value, jsonio.loads(jsonio.dumps(value)))


@given(st.dictionaries(st.text("ab", max_size=2), JSON, max_size=3), st.dictionaries(st.text("cd", min_size=1), JSON))
def test_what_is_not_named_is_not_compared(wanted, more):
    assert same(wanted, {**wanted, **more})


@given(st.dictionaries(st.text("ab", max_size=2), JSON, min_size=1, max_size=3), st.data())
def test_one_name_that_differs_is_enough(wanted, data):
    name = data.draw(st.sampled_from(sorted(wanted)))
    other = data.draw(JSON)
    assume(not same(wanted[name], other))
    assert not same(wanted, {**wanted, name: other})


@pytest.mark.parametrize(
    ("wanted", "found", "equal"),
    [
        ("open", "open", True),
        ("closed", "closed", True),
        ("closed", "partially_returned", True),
        ("open", "partially_returned", False),
        ("cancelled", "partially_returned", False),
        ("closed", "cancelled", False),
        ("open", None, False),
    ],
)
def test_states(wanted, found, equal):
    assert same_state({"state": wanted}, {} if found is None else {"state": found}) is equal


SESSION = {"state": "closed", "profileId": "c", "cartItems": [{"sku": "tea", "price": D("19.90")}, {"sku": "cup"}]}


@pytest.mark.parametrize(
    ("change", "equal"),
    [
        ({}, True),
        ({"state": "open"}, True),
        ({"total": 5}, True),
        ({"profileId": "d"}, False),
        ({"cartItems": [{"sku": "tea", "price": D("19.9"), "position": 0}, {"sku": "cup", "name": "Cup"}]}, True),
        ({"cartItems": [{"sku": "cup"}, {"sku": "tea", "price": D("19.9")}]}, False),
        ({"cartItems": [{"sku": "tea", "price": D("19.9")}]}, False),
        ({"cartItems": [{"sku": "tea", "price": D("19.9")}, {"sku": "cup"}, {"sku": "hat"}]}, False),
        ({"cartItems": [{"sku": "tea", "price": D("19.9")}, "cup"]}, False),
        ({"cartItems": {}}, False),
        ({"cartItems": None}, False),
    ],
)
def test_the_content_of_a_session(change, equal):
    assert same_content(SESSION, {**SESSION, **change}) is equal


def test_no_items_are_not_taken_for_no_answer():
    assert same_content({"cartItems": []}, {"cartItems": []})
    assert not same_content({"cartItems": []}, {})
    assert not same_content({"cartItems": []}, {"cartItems": [{"sku": "tea"}]})
    assert same_content({"couponCodes": []}, {})


@pytest.mark.parametrize(
    ("items", "before", "cart", "shown"),
    [
        ([("tea", 1)], [], [("tea", 1)], True),
        ([("tea", 1)], [], [("tea", 0)], False),
        ([("tea", 1)], [("tea", 1)], [("tea", 1)], False),
        ([("tea", 1)], [("tea", 1)], [("tea", 2)], True),
        ([("tea", 1)], [], [("tea", 2)], None),
        ([("tea", 1), ("cup", 1)], [], [("tea", 1), ("cup", 1)], True),
        ([("tea", 1), ("cup", 1)], [], [("tea", 1), ("cup", 0)], None),
        ([("tea", 1)], [], [("tea", 1), ("tea", 0)], True),
        ([(0, 1)], [("tea", 1)], [("tea", 1)], False),
        ([(0, 1), ("tea", 1)], [], [("tea", 2)], True),
        ([("hat", 1)], [], [("tea", 1)], False),
        ([(7, 1)], [], [("tea", 1)], False),
        ([("tea", 1)], [], [("tea", None)], False),
        ([("tea", 1)], [], [("tea", "one")], False),
        ([("tea", 1)], [], [], False),
    ],
)
def test_whether_a_session_shows_a_return(items, before, cart, shown):
    def named(entries):
        return [{"position" if isinstance(what, int) else "sku": what, "quantity": n} for what, n in entries]

    found = {"cartItems": [{"sku": sku, "quantity": 9, "returnedQuantity": n} for sku, n in cart]}
    assert was_returned(named(items), named(before), found) is shown


QUANTITY = 100
ITEM = st.fixed_dictionaries({"sku": st.sampled_from("ab"), "quantity": st.integers(1, 3)}) | st.fixed_dictionaries(
    {"position": st.integers(0, 2), "quantity": st.integers(1, 3)}
)


def lines_of(item, skus):
    return [item["position"]] if "position" in item else [line for line, sku in enumerate(skus) if sku == item["sku"]]


def returned_by_line(items, skus, pick):
    """How much of each line is returned after `items`; `pick` says which line of a SKU each piece comes from."""
    counts = [0] * len(skus)
    for item in items:
        for _ in range(item["quantity"]):
            counts[pick(lines_of(item, skus))] += 1
    return counts


def shown(items, before, skus, counts):
    found = [{"sku": sku, "quantity": QUANTITY, "returnedQuantity": n} for sku, n in zip(skus, counts, strict=True)]
    return was_returned(items, before, {"cartItems": found})


@given(st.data(), st.booleans())
def test_a_session_shows_what_is_whichever_lines_the_returns_came_from(data, did):
    """By SKU and by position, of lines that may have a SKU in common; nobody else returned anything."""
    skus = data.draw(st.sampled_from(["abb", "aab", "aba", "aaa"]))
    known = st.lists(ITEM.filter(lambda item: item.get("sku", "a") in skus), max_size=3)
    items, before = data.draw(known.filter(bool)), data.draw(known)
    counts = returned_by_line(before + (items if did else []), skus, lambda lines: data.draw(st.sampled_from(lines)))
    assert shown(items, before, skus, counts) is did


def test_a_return_by_position_after_one_by_sku_of_another_line():
    """The job's first return came off the second line, this one off the first: it is not taken for the first."""
    items, before = [{"position": 0, "quantity": 1}], [{"sku": "a", "quantity": 1}]
    assert shown(items, before, "aa", [1, 1]) is True
    assert shown(items, before, "aa", [1, 0]) is shown(items, before, "aa", [0, 1]) is False
    assert shown(items, before, "aa", [1, 2]) is None


@pytest.mark.parametrize(
    "number", [Decimal("1e400000000"), Decimal("-1e400000000"), 10**4000], ids=["huge", "below", "digits"]
)
def test_quantities_beyond_all_bounds_show_nothing(number):
    assert shown([{"position": 0, "quantity": 1}], [], "aa", [number, number]) is None
