"""The key that orders a call on Dataflow, and which calls belong together in a bounded collection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.streaming.call_key import SEVERAL, call_key, together

T = "2026-05-01T12:00:00Z"
CARD = {"loyaltyProgramId": 5, "loyaltyCardId": "card"}
ONE, TWO = {"integrationIDs": ["a"]}, {"integrationIDs": ["a", "b"]}
REFERRAL = {"campaignId": 1, "advocateProfileIntegrationId": "a"}
REMOVE = {"actions": [{"type": "REMOVE", "payload": {"sku": "s"}}]}


def call(operation, path=None, body=None, call_id="k", **more):
    record = {"call_id": call_id, "operation": operation, "path": path or {}, "body": body, "event_time": T, **more}
    return build("calls", parse("calls", record).record, BuildOptions())


def profiles(*customers):
    return {"customerProfiles": [{"integrationId": one} for one in customers]}


@pytest.mark.parametrize(
    ("work", "lane"),
    [
        (call("delete_customer_data", {"integrationId": "a"}), ("profile", "a")),
        (call("create_coupon_reservation", {"couponValue": "X"}, ONE), ("profile", "a")),
        (call("create_coupon_reservation", {"couponValue": "X"}, TWO), ("coupon", "X")),
        (call("create_coupon_reservation", {"couponValue": "X"}, TWO, ordering_key="o"), ("coupon", "X")),
        (call("link_loyalty_card_to_profile", CARD, {"integrationId": "a"}), ("profile", "a")),
        (call("link_loyalty_card_to_profile", CARD, {"integrationId": "a"}, ordering_key="o"), ("profile", "a")),
        (call("sync_catalog", {"catalogId": 7}, REMOVE), ("catalog", "7")),
        (call("sync_catalog", {"catalogId": 7}, REMOVE, ordering_key="o"), ("catalog", "7")),
        (call("delete_audience_v2", {"audienceId": 9}), ("audience", "9")),
        (call("create_audience_v2", body={"name": "n"}, ordering_key="o"), ("profile", "o")),
        (call("create_audience_v2", body={"name": "n"}), ("call", "k")),
        (call("create_referral", body={**REFERRAL, "friendProfileIntegrationId": "b"}), SEVERAL),
        (call("create_referral", body=REFERRAL), ("profile", "a")),
        (call("update_customer_profiles_v2", body=profiles("a", "b")), SEVERAL),
        (call("update_customer_profiles_v2", body=profiles("a", "b"), ordering_key="o"), ("profile", "o")),
    ],
)
def test_the_lane_of_a_call(work, lane):
    assert call_key(work) == lane


def test_the_customers_of_a_call_that_is_cut_are_all_looked_at():
    customers = [f"c{number}" for number in range(1001)]
    work = call("create_referrals_for_multiple_advocates", body={
        "campaignId": 1, "usageLimit": 1, "advocateProfileIntegrationIds": customers,
    })  # fmt: skip
    assert len(work.parts) == 2
    assert call_key(work) == SEVERAL


def lanes(*works):
    return [lane for lane, _ in together((work, None) for work in works)]


def test_calls_that_hold_nothing_in_common_are_apart():
    found = lanes(
        call("sync_catalog", {"catalogId": 7}, REMOVE, "1"),
        call("sync_catalog", {"catalogId": 8}, REMOVE, "2"),
        call("delete_customer_data", {"integrationId": "a"}, call_id="3"),
        call("create_audience_v2", body={"name": "n"}, call_id="4"),
        call("create_audience_v2", body={"name": "n"}, call_id="5"),
    )
    assert len(set(found)) == 5


@pytest.mark.parametrize(
    "works",
    [
        [call("sync_catalog", {"catalogId": 7}, REMOVE, "1"), call("sync_catalog", {"catalogId": 7}, REMOVE, "2")],
        [call("create_coupon_reservation", {"couponValue": "X"}, ONE, "1"),
         call("delete_customer_data", {"integrationId": "a"}, call_id="2")],
        [call("create_coupon_reservation", {"couponValue": "X"}, ONE, "1"),
         call("create_coupon_reservation", {"couponValue": "X"}, {"integrationIDs": ["z"]}, "2")],
        [call("delete_customer_data", {"integrationId": "a"}, call_id="1"),
         call("delete_customer_data", {"integrationId": "b"}, call_id="2"),
         call("update_customer_profiles_v2", body=profiles("a", "b"), call_id="3")],
        [call("reopen_customer_session", {"customerSessionId": "s"}, call_id="1", ordering_key="o"),
         call("delete_audience_v2", {"audienceId": 1}, call_id="2", ordering_key="o")],
        [call("delete_audience_v2", {"audienceId": 1}), call("delete_audience_v2", {"audienceId": 2})],
    ],
    ids=["catalog", "customer", "coupon", "through a third", "ordering key", "one id"],
)  # fmt: skip
def test_calls_that_share_something_are_together(works):
    assert len(set(lanes(*works))) == 1


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1, max_size=3), min_size=1, max_size=12))
def test_no_two_lanes_hold_the_same(customers):
    works = [
        call("update_customer_profiles_v2", body=profiles(*sorted(some)), call_id=f"{number}")
        for number, some in enumerate(customers)
    ]
    held = {}
    for lane, work in together((work, work) for work in works):
        for key in work.keys():  # noqa: SIM118
            assert held.setdefault(key, lane) == lane
    assert [work for _, work in together((work, work) for work in works)] == works
