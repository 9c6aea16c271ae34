"""Packing and cutting of calls: what the API gets of one customer, or of one coupon, is in the order of records."""

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakeloop import run
from support.packing import AUDIENCES, LISTS, REFERRALS, RESERVE, UNRESERVE, Api, accept_all, call, other
from support.sender_fixture import way

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.batcher import MOST_OPEN, Batcher
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.outcome import End

LIMIT = 5


@contextmanager
def small_bulks():
    """Bulks of at most five, so that lists of a dozen are cut and packed."""
    rows = {name: replace(row, bulk=replace(row.bulk, limit=LIMIT)) for name, row in OPERATIONS.items() if row.bulk}
    with patch.dict(OPERATIONS, rows):
        yield


CALLS = st.tuples(
    st.sampled_from([AUDIENCES] * 3 + [RESERVE] * 3 + [UNRESERVE] * 2 + [REFERRALS]),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=4)
    | st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12),
    st.sampled_from("XY"),
    st.none() | st.none() | st.sampled_from("abz"),
    st.none() | st.none() | st.none() | st.integers(0, 11),
)
OTHERS = st.tuples(st.sampled_from(["attributes", "attributes", "both", "erase", "event"]), st.sampled_from("abcd"))


def poisoned(record):
    """The customers of a call, one of them bad, and the place of that one."""
    _, customers, _, _, bad = record
    if bad is None:
        return customers, None
    place = bad % len(customers)
    return [*customers[:place], "bad", *customers[place + 1 :]], place


def refused_places(record):
    """The places of a call's list that its bad one takes with it: its portion, or all where one request is enough."""
    customers, bad = poisoned(record)
    return () if bad is None else range(bad // LIMIT * LIMIT, min(len(customers), (bad // LIMIT + 1) * LIMIT))


def expected(records):
    """Per customer what is to reach the API, in order; per coupon runs of reserving and unreserving."""
    wanted, coupons = defaultdict(list), defaultdict(list)
    for number, record in enumerate(records):
        if len(record) == 2:
            what, customer = record
            if what in ("attributes", "both"):
                wanted[customer].append(("attributes", number))
            if what == "both":
                wanted[customer].append(("member", number, 0))
            if what in ("erase", "event"):
                wanted[customer].append((what, number) if what == "event" else (what,))
            continue
        operation, _, coupon, key, _ = record
        for place, customer in enumerate(poisoned(record)[0]):
            if place in refused_places(record):
                continue
            if operation in (RESERVE, UNRESERVE):
                wanted[customer].append((operation, coupon))
                coupons[coupon].append((operation, customer))
                continue
            atom = ("member", number, place) if operation == AUDIENCES else ("referral", number)
            for owner in dict.fromkeys([customer, key or customer]):
                wanted[owner].append(atom)
    return wanted, {coupon: runs(done) for coupon, done in coupons.items()}


def runs(done):
    """Of a coupon's changes: as often as it turns from the one to the other, and who was in each."""
    found = []
    for operation, customer in done:
        if not found or found[-1][0] != operation:
            found.append((operation, []))
        found[-1][1].append(customer)
    return [(operation, sorted(customers)) for operation, customers in found]


@settings(max_examples=250)
@given(
    st.lists(CALLS | OTHERS, max_size=25),
    st.sets(st.integers(0, 25)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_each_customer_and_each_coupon_in_order_and_each_record_once(records, flushes, pointers, breaks, seed):
    keys = {number: record[3] for number, record in enumerate(records) if len(record) == 5}
    api = Api(seed, pointers, breaks, LIMIT, keys=keys)
    with small_bulks():
        works = [
            other(number, *record)
            if len(record) == 2
            else call(number, record[0], poisoned(record)[0], record[2], record[3])
            for number, record in enumerate(records)
        ]
        outcomes = accept_all(works, api, flushes)
    wanted, coupons = expected(records)
    assert dict(api.applied) == wanted
    assert {coupon: runs(done) for coupon, done in api.coupons.items()} == coupons
    for record, work, outcome in zip(records, works, outcomes, strict=True):
        bad = poisoned(record)[1] if len(record) == 5 else None
        if bad is None:
            assert outcome.end is End.APPLIED
            continue
        assert (outcome.end, outcome.reason, outcome.status) == (End.DEAD, "refused", 400)
        assert outcome.pointer == (f"/{LISTS[record[0]]}/{bad}" if pointers else None)
        taken = [part for part in range(len(work.parts)) if part != bad // LIMIT]
        assert outcome.parts_done == (taken or None)


SINGLE = [AUDIENCES, RESERVE, UNRESERVE]


@pytest.mark.parametrize("operation", SINGLE)
def test_calls_travel_in_bulks_of_a_thousand(operation):
    api = Api()
    outcomes = accept_all([call(number, operation, [f"c{number}"]) for number in range(2500)], api)
    assert sorted(api.sizes(operation)) == [500, 1000, 1000]
    assert {outcome.end for outcome in outcomes} == {End.APPLIED}


@pytest.mark.parametrize("operation", SINGLE)
def test_calls_of_several_entries_fill_bulks_as_far_as_they_fit(operation):
    api = Api()
    works = [call(number, operation, [f"c{number}-{one}" for one in range(300)]) for number in range(7)]
    accept_all(works, api)
    assert sorted(api.sizes(operation)) == [300, 900, 900]


@pytest.mark.parametrize("operation", SINGLE)
def test_a_call_that_fills_a_bulk_goes_by_itself(operation):
    api = Api()
    accept_all([call(0, operation, ["x"]), call(1, operation, [f"c{one}" for one in range(1000)])], api)
    assert sorted(api.sizes(operation)) == [1, 1000]


@pytest.mark.parametrize("operation", SINGLE)
def test_two_calls_of_one_customer_are_two_requests(operation):
    api = Api()
    accept_all([call(0, operation, ["a", "b"]), call(1, operation, ["c"]), call(2, operation, ["b"])], api)
    assert api.sizes(operation) == [3, 1]


def test_each_coupon_has_bulks_of_its_own():
    api = Api()
    coupons = ["X", "Y/1 %", "Z"]
    accept_all([call(number, RESERVE, [f"c{number}"], coupons[number % 3]) for number in range(30)], api)
    assert sorted(api.sizes(RESERVE)) == [10, 10, 10]
    for request, done, *_ in api.requests:
        numbers = {int(customer[1:]) % 3 for customer, _ in done}
        assert numbers == {coupons.index(request.path["couponValue"])}


def test_calls_and_profile_records_share_bulks_of_audiences():
    api = Api()
    accept_all([call(0, AUDIENCES, ["a"]), other(1, "both", "b"), call(2, AUDIENCES, ["c"])], api)
    assert api.sizes(AUDIENCES) == [3]


def test_reserving_and_unreserving_one_coupon_keep_their_order():
    api = Api(slow={"a": 5.0})
    works = [call(0, RESERVE, ["a"]), call(1, RESERVE, ["b"]), call(2, UNRESERVE, ["c"]), call(3, RESERVE, ["d"])]
    accept_all(works, api)
    assert [(request.operation, len(done)) for request, done, *_ in api.requests] == [
        (RESERVE, 2), (UNRESERVE, 1), (RESERVE, 1),
    ]  # fmt: skip
    times = [(began, ended) for _, _, began, ended in api.requests]
    assert all(ended <= began for (_, ended), (began, _) in pairwise(times))


def test_of_another_coupon_it_does_not_matter():
    api = Api(slow={"a": 5.0})
    accept_all([call(0, RESERVE, ["a"], "X"), call(1, UNRESERVE, ["b"], "Y")], api)
    assert [request.path["couponValue"] for request, *_ in api.requests] == ["Y", "X"]


def test_bulks_of_many_coupons_do_not_wait_for_ever():
    """The first hundred leave when one more coupon comes, although nobody seals them."""
    api, outcomes = Api(), []

    async def main():
        async with way(api) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            for number in range(MOST_OPEN + 20):
                work = call(number, RESERVE, [f"c{number}"], f"X{number}")
                job = Job(
                    number, work, SendOptions(), lambda job: SessionFacts(), lambda job, end: outcomes.append(end)
                )
                batcher.accept(job)
            await asyncio.sleep(60.0)

    run(main())
    assert len(outcomes) == MOST_OPEN


@pytest.mark.parametrize(("pointers", "most"), [(True, 12), (False, 22)])
@pytest.mark.parametrize("operation", SINGLE)
def test_a_poisoned_call_costs_its_own_dead_letter_and_a_few_requests(operation, pointers, most):
    api = Api(pointers=pointers)
    works = [call(number, operation, [f"c{number}-{one}" for one in range(4)]) for number in range(200)]
    works[77] = call(77, operation, ["c77-0", "c77-1", "bad", "c77-3"])
    outcomes = accept_all(works, api)
    assert [number for number, outcome in enumerate(outcomes) if outcome.end is not End.APPLIED] == [77]
    assert (outcomes[77].reason, outcomes[77].status, outcomes[77].operation) == ("refused", 400, operation)
    assert outcomes[77].pointer == (f"/{LISTS[operation]}/2" if pointers else None)
    assert len(api.requests) - 1 <= most
    assert outcomes[77].attempts == sum("bad" in [customer for customer, _ in done] for _, done, *_ in api.requests)


@pytest.mark.parametrize("operation", [*SINGLE, REFERRALS])
def test_a_call_that_is_too_much_leaves_in_portions_one_after_the_other(operation):
    api = Api(slow={"c0": 3.0, "c1000": 2.0, "c2000": 1.0})
    (outcome,) = accept_all([call(7, operation, [f"c{one}" for one in range(2500)])], api)
    assert api.sizes(operation) == [1000, 1000, 500]
    assert [customer for _, done, *_ in api.requests for customer, _ in done] == [f"c{one}" for one in range(2500)]
    times = [(began, ended) for _, _, began, ended in api.requests]
    assert all(ended <= began for (_, ended), (began, _) in pairwise(times))
    assert (outcome.end, outcome.attempts) == (End.APPLIED, 3)


def test_a_portion_waits_for_its_own_customers_only():
    """c1500 has a slow request before the call, and the first portion does not wait for it.

    c5 has a later request, which leaves when the first portion has ended; that of c2400 waits for the last portion.
    """
    works = [
        other(0, "event", "c1500"),
        call(1, REFERRALS, [f"c{one}" for one in range(2500)]),
        other(2, "event", "c5"),
        other(3, "event", "c2400"),
    ]
    api = Api(slow={"c1500": 50.0, "c0": 1.0})
    accept_all(works, api)
    span = {number: (began, ended) for _, [(_, (_, number)), *_], began, ended in api.requests if number != 1}
    first, second, third = [
        (began, ended) for request, _, began, ended in api.requests if request.operation == REFERRALS
    ]
    assert first[1] < span[0][1] <= second[0] < second[1] <= third[0]
    assert first[1] <= span[2][0] < second[0]
    assert third[1] <= span[3][0]


def test_a_refused_portion_does_not_keep_the_next_from_leaving():
    customers = [f"c{one}" for one in range(2500)]
    customers[1234] = "bad"
    api = Api()
    (outcome,) = accept_all([call(7, REFERRALS, customers)], api)
    assert api.sizes(REFERRALS) == [1000, 1000, 500]
    assert (outcome.end, outcome.reason, outcome.parts_done) == (End.DEAD, "refused", [0, 2])
    assert outcome.pointer == "/advocateProfileIntegrationIds/1234"


def test_an_ordering_key_is_held_by_every_portion_and_by_a_packed_call():
    api = Api(slow={"x": 5.0, "c0": 5.0}, keys={0: "z", 1: "z"})
    works = [
        call(0, AUDIENCES, ["x"], key="z"),
        call(1, AUDIENCES, [f"c{one}" for one in range(1500)], key="z"),
        other(2, "event", "z"),
    ]
    accept_all(works, api)
    assert [atom[:2] for atom in api.applied["z"]] == [("member", 0)] + [("member", 1)] * 1500 + [("event", 2)]


@pytest.mark.parametrize("operation", [AUDIENCES, REFERRALS, RESERVE])
def test_a_call_that_is_cut_and_ordered_by_one_of_its_own_customers_ends(operation):
    """It holds that customer once, and does not wait for itself."""
    (outcome,) = accept_all([call(0, operation, [f"c{one}" for one in range(1001)], key="c5")], Api())
    assert outcome.end is End.APPLIED


@pytest.mark.parametrize("operation", [RESERVE, UNRESERVE])
@pytest.mark.parametrize("empty", [0, 1, 2])
def test_a_call_without_entries_spoils_no_bulk(operation, empty):
    lists = [["a"], ["b"]]
    lists.insert(empty, [])
    sent = []

    class Reading(Api):
        async def __call__(self, request, key):
            sent.append(request.body_json())
            return await super().__call__(request, key) if sent[-1]["integrationIDs"] else self.answer(request, [])

    outcomes = accept_all([call(number, operation, customers) for number, customers in enumerate(lists)], Reading())
    assert {outcome.end for outcome in outcomes} == {End.APPLIED}
    assert sorted(customer for body in sent for customer in body["integrationIDs"]) == ["a", "b"]
