"""Identities and idempotency keys: the same for the same, other for anything else."""

from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.requests.identity import digest, idempotency_key, identity

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from("abcdef"), JSON))
def test_the_order_of_names_does_not_matter(content):
    assert digest(content) == digest(dict(reversed(list(content.items()))))


def test_any_other_part_is_another_identity():
    kinds, ids, times, versions, contents = ("orders", "profiles"), ("a", "b"), (0, 1), (0, 1), (b"x" * 16, b"y" * 16)
    found = {identity(*parts) for parts in product(kinds, ids, times, versions, contents)}
    assert len(found) == 32


def test_returns_events_and_calls_are_kind_and_id():
    for kind in ("returns", "events", "calls"):
        assert identity(kind, "a", 0, 0, b"x") == identity(kind, "a", 5, 0, b"y")
    assert len({identity(kind, i, 0, 0, b"") for kind in ("returns", "events", "calls") for i in "ab"}) == 6


def test_keys_differ_by_all_that_makes_another_request():
    one, two = digest("one"), digest("two")
    keys = [
        idempotency_key(members, step, dry=dry, attempt=attempt)
        for members in ([one], [two], [one, two], [two, one])
        for step in ("0:a", "0:a#1", "0:a/edit", "1:a")
        for dry in (False, True)
        for attempt in ("", "r1", "r2")
    ]
    assert all(a != b for a, b in combinations(keys, 2))
    assert all(len(key) <= 255 and key.isascii() for key in keys)
    assert len(idempotency_key([one] * 1000, "s")) <= 255


def test_keys_stay_what_they_are():
    # what an earlier version sent must go again under the same key, or it is applied twice
    key = idempotency_key([digest({"b": [1, "x"], "a": None})], "0:track_event_v2")
    assert key == "dac03b7e-3f0e-5f92-b57c-7b9bc8a3a4fe"
    assert identity("events", "e", 0, 0, b"").hex() == "3e0abdd0da419dd146e5d58de7d25abb"
    assert identity("orders", "o", 1, 2, b"\x01" * 16).hex() == "ccf1a06128524c6eb98a1cbdf99222ac"
