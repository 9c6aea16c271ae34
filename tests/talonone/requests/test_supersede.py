"""What newer profile changes leave of an older one."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.supersede import Change, change_of, without
from beam_talonone.talonone.requests.work import Work

NAMES = st.sampled_from(["a", "b", "c", "d"])
AUDIENCES = st.sampled_from([1, 2, 3])


def profile(**fields: Any) -> Work:
    record = {"customer_id": "c", "event_time": "2026-01-01T00:00:00Z", **fields}
    return build("profiles", parse("profiles", record).record, BuildOptions())


def test_what_no_newer_change_names_is_kept() -> None:
    older = profile(attributes={"a": 1, "b": 2}, audiences={"add": [1], "remove": [2]})
    newer = change_of(profile(attributes={"b": 3}, audiences={"remove": [1]}))
    left = without(older, [newer])
    assert left is not None
    assert [part.request.body_json() for part in left.parts] == [
        {"customerProfiles": [{"integrationId": "c", "attributes": {"a": 1}}]},
        {"data": [{"action": "delete", "profileIntegrationId": "c", "audienceId": 2}]},
    ]


def test_nothing_newer_leaves_all() -> None:
    older = profile(attributes={"a": None})
    assert without(older, []) is older


def test_an_erasure_that_came_later_leaves_nothing() -> None:
    assert without(profile(attributes={"a": 1}), [Change(frozenset(), frozenset(), True)]) is None


def test_an_erasure_does_not_take_away_what_came_after_it() -> None:
    assert without(profile(erase=True), [change_of(profile(attributes={"a": 1}))]) is None


@given(
    st.dictionaries(NAMES, st.integers(), min_size=1),
    st.sets(AUDIENCES),
    st.lists(st.tuples(st.frozensets(NAMES), st.frozensets(AUDIENCES)), max_size=4),
)
def test_exactly_the_names_that_are_newer_elsewhere_are_gone(
    attributes: dict[str, int], audiences: set[int], newer: list[tuple[frozenset[str], frozenset[int]]]
) -> None:
    older = profile(attributes=attributes, audiences={"add": sorted(audiences)})
    left = without(older, [Change(names, ids, False) for names, ids in newer])
    gone_names = frozenset().union(*(names for names, _ in newer))
    gone_ids = frozenset().union(*(ids for _, ids in newer))
    kept = change_of(left) if left is not None else Change(frozenset(), frozenset(), False)
    assert kept.attributes == set(attributes) - gone_names
    assert kept.audiences == audiences - gone_ids
