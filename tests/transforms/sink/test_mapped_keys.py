"""Where records of several kinds go that one pipeline sends: with their order, else with their customer."""

import random

import pytest
from e2e.harness import call, event, order, profile, returned

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.work import Work
from beam_talonone.transforms.sink.mapped_keys import FindMappedKeys, first_key


def work(kind, record, **options):
    return build(kind, parse(kind, record).record, BuildOptions(**options))


ERASE = ("delete_customer_data", {"integrationId": "c"})
UPDATE = {"customerSession": {"profileId": "c", "state": "open"}}


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (work("orders", order("o", "c")), "session/o"),
        (work("returns", returned("r", "o")), "session/o"),
        (work("profiles", profile("c")), "profile/c"),
        (work("events", event("e", "c")), "profile/c"),
        (work("calls", call("k", ERASE[0], path=ERASE[1])), "profile/c"),
        (
            work("calls", call("k", "update_customer_session_v2", path={"customerSessionId": "o"}, body=UPDATE)),
            "session/o",
        ),
        (work("calls", call("k", "delete_audience_v2", path={"audienceId": 7})), "audience/7"),
    ],
    ids=["order", "return", "profile", "event", "call-customer", "call-order", "call-audience"],
)
def test_the_first_key(record, key):
    assert first_key(record) == key


def found_keys(records):
    """The second keys and the works that come out of records with one first key."""
    [key] = {first_key(record) for record in records}
    group = (key, [(record.to_bytes(), b"shown") for record in records])
    return [(second, Work.from_bytes(data)) for second, (data, _) in FindMappedKeys().process(group)]


def second_keys(records):
    return {key for key, _ in found_keys(records)}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([order("o", "guest", "open", 1), order("o", "c", "completed", 2)], "profile/c"),
        ([order("o", "c"), returned("r", "o", 1)], "profile/c"),
        ([order("o", "c"), returned("r", "o", 1, customer_id="was")], "profile/c"),
        ([returned("r", "o", 1, customer_id="c"), returned("s", "o", 2)], "profile/c"),
        ([returned("r", "o", 1)], "session/o"),
    ],
    ids=["changed", "return", "return-of-another", "returns", "unknown"],
)
def test_an_order_and_its_returns_go_with_the_last_customer_of_the_order(records, expected):
    works = [work("returns" if "return_id" in record else "orders", record) for record in records]
    for _ in range(5):
        random.shuffle(works)
        assert second_keys(works) == {expected}


def test_a_return_without_a_customer_gets_that_of_its_order():
    works = [
        work("orders", order("o", "c")),
        work("returns", returned("r", "o", 1)),
        work("returns", returned("s", "o", 2, customer_id="was")),
    ]
    assert [found.profiles for _, found in found_keys(works)] == [("c",), ("c",), ("was",)]
    assert [found.identity for _, found in found_keys(works)] == [found.identity for found in works]
    assert [found.profiles for _, found in found_keys(works[1:2])] == [()]


def test_other_records_keep_their_key():
    assert second_keys([work("profiles", profile("c")), work("events", event("e", "c"))]) == {"profile/c"}
    assert second_keys([work("calls", call("k", "delete_audience_v2", path={"audienceId": 7}))]) == {"audience/7"}
