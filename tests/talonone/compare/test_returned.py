"""What the returned quantities of a session show of its returns, whichever lines they were taken from."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.compare.differences import session_differences
from beam_talonone.talonone.compare.returned import return_differences

CART = [("tea", 3), ("cup", 2), ("tea", 2)]


def cart(*returned):
    lines = zip(CART, returned, strict=True)
    return {"cartItems": [{"sku": sku, "quantity": n, "returnedQuantity": back} for (sku, n), back in lines]}


def by_sku(sku, quantity):
    return {"sku": sku, "quantity": quantity}


def at(position, quantity):
    return {"position": position, "quantity": quantity}


def returned(*returns):
    return [(f"r{number}", items) for number, items in enumerate(returns)]


@pytest.mark.parametrize(
    ("returns", "quantities"),
    [
        ([[by_sku("tea", 2)]], (2, 0, 0)),
        ([[by_sku("tea", 2)]], (1, 0, 1)),
        ([[by_sku("tea", 2)]], (0, 0, 2)),
        ([[by_sku("tea", 2)], [by_sku("tea", 3)]], (3, 0, 2)),
        ([[by_sku("tea", 1)], [at(0, 3)]], (3, 0, 1)),
        ([[by_sku("tea", 1), by_sku("cup", 1)], [at(1, 1)]], (1, 2, 0)),
        ([[by_sku("tea", 1), by_sku("tea", 1)]], (2, 0, 0)),
        ([], (0, 1, 0)),
    ],
)
def test_returns_that_show(returns, quantities):
    assert return_differences(returned(*returns), cart(*quantities)) == []


@pytest.mark.parametrize(
    ("returns", "quantities", "lines"),
    [
        ([[by_sku("tea", 2)]], (0, 0, 0), {"r0": ([by_sku("tea", 2)], ...)}),
        ([[by_sku("tea", 2)]], (1, 0, 0), {"r0": ([by_sku("tea", 2)], [by_sku("tea", 1)])}),
        ([[by_sku("tea", 2), at(1, 1)]], (2, 0, 0), {"r0": ([at(1, 1)], [at(1, 0)])}),
        # the first that is not covered differs, and takes nothing from those that are
        ([[by_sku("tea", 1)], [by_sku("tea", 1)]], (1, 0, 0), {"r1": ([by_sku("tea", 1)], ...)}),
        ([[by_sku("tea", 3)], [by_sku("tea", 1)]], (1, 0, 0), {"r0": ([by_sku("tea", 3)], ...)}),
        ([[by_sku("tea", 2)], [by_sku("tea", 2)]], (3, 0, 0), {"r1": ([by_sku("tea", 2)], [by_sku("tea", 1)])}),
        ([[by_sku("pot", 1)], [at(9, 1)]], (0, 0, 0), {"r0": ([by_sku("pot", 1)], ...), "r1": ([at(9, 1)], ...)}),
        # an excess over the input is reported on the last return
        ([[at(0, 1)], [at(1, 1)]], (3, 1, 0), {"r1": ([], [{"position": 0, "sku": "tea", "quantity": 2}])}),
        (
            [[at(0, 1)], [at(1, 1)]],
            (2, 0, 0),
            {"r1": ([at(1, 1)], [{"position": 0, "sku": "tea", "quantity": 1}])},
        ),
    ],
)
def test_returns_that_do_not_show(returns, quantities, lines):
    found = {
        line["id"]: (line["expected"], line.get("found", ...))
        for line in return_differences(returned(*returns), cart(*quantities))
    }
    assert found == lines


def test_returns_of_a_session_that_is_not_there():
    lines = return_differences(returned([by_sku("tea", 1)], [at(1, 1)]), None)
    assert [(line["kind"], line["id"], line["field"], line["missing"]) for line in lines] == [
        ("returns", "r0", "items", True),
        ("returns", "r1", "items", True),
    ]


@given(st.data())
def test_what_was_returned_shows_however_the_lines_were_chosen(data):
    """Returns by SKU and by position, taken from any lines that have some: none differs; one too many does."""
    left = [quantity for _, quantity in CART]
    made = []
    for _ in range(data.draw(st.integers(1, 4))):
        open_lines = [line for line, n in enumerate(left) if n]
        if not open_lines:
            break
        line = data.draw(st.sampled_from(open_lines))
        same = [other for other in open_lines if CART[other][0] == CART[line][0]]
        if data.draw(st.booleans()):  # by position, else by SKU from one or more of its lines
            same = [line]
        taken = {other: data.draw(st.integers(int(other == line), left[other])) for other in same}
        for other, quantity in taken.items():
            left[other] -= quantity
        total = sum(taken.values())
        made.append(
            [at(line, total) if same == [line] and data.draw(st.booleans()) else by_sku(CART[line][0], total)]
        )
    back = [quantity - still for (_, quantity), still in zip(CART, left, strict=True)]
    assert return_differences(returned(*made), cart(*back)) == []
    assert return_differences(returned(*made, [by_sku("tea", 6)]), cart(*back)) != []


HUGE = [Decimal("1e400000000"), Decimal("-1e400000000"), Decimal("1e-400000000"), 10**4000]


@pytest.mark.parametrize("number", HUGE, ids=["huge", "below", "tiny", "digits"])
def test_numbers_beyond_all_bounds_are_differences_and_no_work(number):
    found = cart(1, 0, 0)
    found["cartItems"][0] |= {"returnedQuantity": number, "quantity": number, "price": number}
    found |= {"total": number, "cartItemTotal": number, "additionalCostTotal": number}
    assert return_differences(returned([at(0, 1)]), found) != []
    wanted = {"state": "closed", "cartItems": [{"sku": "tea", "quantity": 1, "price": Decimal("2.50")}]}
    assert session_differences("s", wanted, found, returned=True, forgotten=False) != []
