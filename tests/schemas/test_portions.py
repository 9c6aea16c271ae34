"""Portions: what is too much for one request is cut into runs that are allowed, and nothing else is changed."""

from itertools import pairwise
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.operation import Bulk
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.portions import Portion, in_whole, portions

PLAIN: Final = Bulk("list", 3)
CATALOG: Final = Bulk("actions", 4, alike="type", distinct="payload/sku")
SKUS: Final = st.sampled_from(["a", "b", "c", "", 1, "1", None])


def action(kind: Any, sku: Any) -> dict[str, Any]:
    return {"type": kind, "payload": {} if sku is None else {"sku": sku}}


ACTIONS: Final = st.lists(
    st.builds(action, st.sampled_from(["ADD", "REMOVE"]), SKUS) | st.sampled_from([None, 5, {}, {"payload": "a"}]),
    max_size=30,
)
BULKS: Final = st.builds(
    Bulk, st.just("actions"), st.integers(1, 6), alike=st.sampled_from([None, "type"]),
    distinct=st.sampled_from([None, "payload/sku"]),
)  # fmt: skip


def kind_of(entry: Any) -> str | None:
    kind = entry.get("type") if isinstance(entry, dict) else None
    return None if kind is None else str(kind)


def sku_of(entry: Any) -> str | None:
    payload = entry.get("payload") if isinstance(entry, dict) else None
    sku = payload.get("sku") if isinstance(payload, dict) else None
    return None if sku is None else str(sku)


def allowed(bulk: Bulk, entries: list[Any]) -> bool:
    """Whether entries may travel in one request."""
    skus = [sku for sku in map(sku_of, entries) if sku is not None]
    return (
        len(entries) <= bulk.limit
        and (bulk.alike is None or len(set(map(kind_of, entries))) <= 1)
        and (bulk.distinct is None or len(set(skus)) == len(skus))
    )


@given(BULKS, ACTIONS)
def test_portions_are_the_list_in_order_and_each_is_allowed_and_as_long_as_can_be(bulk: Bulk, entries: list[Any]):
    body = {"actions": entries, "version": 3}
    found = portions(bulk, body)
    lists = [portion.body["actions"] for portion in found]
    assert [entry for one in lists for entry in one] == entries
    assert all(portion.body == body | {"actions": one} for portion, one in zip(found, lists, strict=True))
    assert all(allowed(bulk, one) for one in lists)
    # greedy: a portion ends only where one more entry would not be allowed
    assert all(not allowed(bulk, [*one, following[0]]) for one, following in pairwise(lists))
    if entries:
        assert [portion.first for portion in found] == [sum(map(len, lists[:at])) for at in range(len(lists))]
        assert [portion.entries for portion in found] == [len(one) for one in lists]


@given(BULKS, ACTIONS)
def test_what_is_cut_is_not_changed(bulk: Bulk, entries: list[Any]):
    body = {"actions": list(entries)}
    portions(bulk, body)
    assert body == {"actions": entries}


@pytest.mark.parametrize(
    "body",
    [
        None,
        5,
        "text",
        [1, 2, 3, 4],
        {},
        {"other": [1] * 9},
        {"list": []},
        {"list": None},
        {"list": "abcd"},
        {"list": {}},
    ],
)
def test_a_body_without_such_a_list_is_one_portion(body: Any):
    assert portions(PLAIN, body) == [Portion(body, 0 if body == {"list": []} else 1)]


def test_without_a_bulk_nothing_is_cut():
    assert portions(None, {"list": [1] * 9}) == [Portion({"list": [1] * 9})]


@pytest.mark.parametrize(("length", "lengths"), [(1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])])
def test_lengths(length: int, lengths: list[int]):
    assert [portion.entries for portion in portions(PLAIN, {"list": list(range(length))})] == lengths


def test_a_body_that_fits_is_not_copied():
    body = {"list": [1, 2, 3]}
    (portion,) = portions(PLAIN, body)
    assert portion.body is body


def test_25000_catalog_actions():
    """Blocks of one type, SKUs that come again after 700, types in turns, and actions without a SKU."""
    bulk = OPERATIONS["sync_catalog"].bulk
    assert bulk is not None
    actions = [
        *(action("ADD", f"s{number}") for number in range(10_000)),
        *(action("PATCH", f"s{number % 700}") for number in range(2_800)),
        *(action(("REMOVE", "ADD")[number // 500 % 2], f"s{number}") for number in range(7_000)),
        *(action("REMOVE_MANY", None) for _ in range(5_200)),
    ]
    found = portions(bulk, {"actions": actions})
    assert [portion.entries for portion in found] == [1000] * 10 + [700] * 4 + [500] * 14 + [1000] * 5 + [200]
    assert [entry for portion in found for entry in portion.body["actions"]] == actions
    assert all(allowed(bulk, portion.body["actions"]) for portion in found)


CUT: Final = [
    ("/actions/0", 1000, "/actions/1000"),
    ("/actions/17/payload/sku", 1000, "/actions/1017/payload/sku"),
    ("/actions/17/payload/sku", 0, "/actions/17/payload/sku"),
    ("/actions", 1000, "/actions"),
    ("", 1000, ""),
    (None, 1000, None),
    ("/version", 1000, "/version"),
    ("/other/0/actions/3", 1000, "/other/0/actions/3"),
    ("/actions/x", 1000, "/actions/x"),
    ("/actionsx/3", 1000, "/actionsx/3"),
]


@pytest.mark.parametrize(("pointer", "first", "whole"), CUT)
def test_pointers_into_a_portion_are_pointers_into_the_whole(pointer: str | None, first: int, whole: str | None):
    assert in_whole(pointer, CATALOG, first) == whole


def test_without_a_bulk_pointers_stay():
    assert in_whole("/actions/3", None, 1000) == "/actions/3"


@given(BULKS, ACTIONS.filter(bool))
def test_each_entry_is_found_by_its_pointer(bulk: Bulk, entries: list[Any]):
    for portion in portions(bulk, {"actions": entries}):
        for at, entry in enumerate(portion.body["actions"]):
            pointer = in_whole(f"/actions/{at}/payload", bulk, portion.first)
            assert pointer is not None
            _, _, place, _ = pointer.split("/")
            assert entries[int(place)] == entry
