"""What a dead letter says of a call's requests, and what a replay makes of that."""

import pytest

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.engine.applied_parts import applied_parts, done_before
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome

REFERRALS, AUDIENCES = "create_referrals_for_multiple_advocates", "update_customer_profile_audiences"


def referrals(advocates, **body):
    whole = {"campaignId": 1, "usageLimit": 1, "advocateProfileIntegrationIds": advocates, **body}
    return call(REFERRALS, whole)


def audiences(customers):
    return call(
        AUDIENCES, {"data": [{"action": "add", "profileIntegrationId": name, "audienceId": 1} for name in customers]}
    )


def call(operation, body):
    record = {"call_id": "k", "operation": operation, "body": body, "event_time": "2026-05-01T00:00:00Z"}
    return build("calls", parse("calls", record).record, BuildOptions())


NAMES = [f"c{number}" for number in range(2500)]
DEAD = Outcome(End.DEAD, "refused", parts_done=[0, 2])


@pytest.mark.parametrize("make", [referrals, audiences])
def test_what_was_applied_is_left_out(make):
    parts = tuple(applied_parts(make(NAMES), DEAD))
    assert {index: outcome.end for index, outcome in done_before(make(NAMES), parts).items()} == {
        0: End.ALREADY_APPLIED, 2: End.ALREADY_APPLIED,
    }  # fmt: skip


def test_what_stands_beside_the_list_may_change():
    parts = tuple(applied_parts(referrals(NAMES), DEAD))
    assert sorted(done_before(referrals(NAMES, referralPattern="R-####"), parts)) == [0, 2]


def test_of_a_list_that_moved_all_goes_that_is_safe():
    parts = tuple(applied_parts(audiences(NAMES), DEAD))
    assert sorted(done_before(audiences([*NAMES[:1500], "new", *NAMES[1500:]]), parts)) == [0]


def test_of_a_list_that_moved_nothing_goes_that_would_act_twice():
    parts = tuple(applied_parts(referrals(NAMES), DEAD))
    changed = done_before(referrals([*NAMES[:1500], *NAMES[1501:]]), parts)
    assert {(index, outcome.end, outcome.reason) for index, outcome in changed.items()} == {
        (index, End.DEAD, "invalid_call") for index in range(3)
    }


def test_two_requests_with_the_same_entries_are_told_apart_by_number():
    twice = audiences(["c"] * 2000)
    parts = tuple(applied_parts(twice, Outcome(End.DEAD, "refused", parts_done=[0])))
    assert sorted(done_before(twice, parts)) == [0]
