"""Calls from requests to outcomes: what was in flight when a run died, portions, and what was answered."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakeloop import START, run
from support.scripted import CUT, ScriptedApi, found
from support.sender_fixture import EPOCH, way

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.http.send import Reply
from beam_talonone.talonone.protocols.carry_out import carry_out
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import DONE, End, Outcome, combined

T = "2026-05-01T12:00:00Z"
NOW, HOUR = EPOCH + START, 3600.0
PROGRAM = {"loyaltyProgramId": 5}
ADVOCATES = "advocateProfileIntegrationIds"


def call(operation, body=None, path=None):
    record = {"call_id": "k", "operation": operation, "path": path or {}, "body": body, "event_time": T}
    return build("calls", parse("calls", record).record, BuildOptions())


def carry(api, work, *, part=0, age=None, **options):
    """The outcome of a part; with `age` it was in flight so many seconds ago, when a run died."""

    async def main():
        async with way(api, give_up_after=None) as w:
            in_flight = None if age is None else InFlight(0, NOW - age)
            sender = w.request_sender(SendOptions(**options), work.identity, f"{part}:x", in_flight)
            return await carry_out(sender, work, work.parts[part], SessionFacts())

    return run(main())


REFERRAL = call("create_referral", {"campaignId": 3, "advocateProfileIntegrationId": "a"})
REFERRALS = call("create_referrals_for_multiple_advocates", {"campaignId": 3, "usageLimit": 1, ADVOCATES: ["a"]})
CARD = call("generate_loyalty_card", {"cardIdentifier": "card"}, PROGRAM)
NAMELESS_CARD = call("generate_loyalty_card", {}, PROGRAM)
AUDIENCE = call("create_audience_v2", {"name": "n", "integrationId": "i"})
NAMELESS_AUDIENCE = call("create_audience_v2", {"name": "n"})
LINK = call("link_loyalty_card_to_profile", {"integrationId": "a"}, {**PROGRAM, "loyaltyCardId": "card"})
UNLINK = call("unlink_loyalty_card_from_profile", {"integrationId": "a"}, {**PROGRAM, "loyaltyCardId": "card"})
JOIN = call("join_loyalty_program", None, {**PROGRAM, "integrationId": "a"})
ADVANCED = build(
    "events",
    parse("events", {"event_id": "e", "customer_id": "a", "type": "t", "event_time": T}).record,
    BuildOptions(events_api="v3"),
)
ACTIVATE = call("activate_loyalty_points", {"sessionId": "s"}, PROGRAM)
MISSING = found({"message": "not found"}, 404)


@pytest.mark.parametrize("age", [1.0, 30 * HOUR])
@pytest.mark.parametrize("work", [REFERRAL, REFERRALS, NAMELESS_CARD, NAMELESS_AUDIENCE], ids=lambda work: work.id)
def test_what_would_act_again_and_was_in_flight_is_unknown_without_a_request(work, age):
    api = ScriptedApi()
    outcome = carry(api, work, age=age)
    assert (outcome.end, outcome.reason, outcome.definite) == (End.DEAD, "outcome_unknown", False)
    assert (outcome.attempts, outcome.first_sent, api.log) == (0, NOW - age, [])
    assert outcome.operation == work.parts[0].request.operation


EVENT_THERE = found({"profileId": "a", "integrationId": "e", "type": "t", "attributes": {}})
INVENTORY = found({"loyalty": {"cards": [{"identifier": "card", "programID": 5}], "programs": {"p": {"id": 5}}}})
NOTHING = found({"loyalty": {"cards": [], "programs": {}}})
LOOKED_FOR = [
    (CARD, found({"profiles": []}), MISSING),
    (LINK, INVENTORY, NOTHING),
    (UNLINK, NOTHING, INVENTORY),
    (JOIN, INVENTORY, NOTHING),
    (ADVANCED, EVENT_THERE, MISSING),
]
looked_for = pytest.mark.parametrize(
    ("work", "done", "not_done"), LOOKED_FOR, ids=[work.parts[0].request.operation for work, *_ in LOOKED_FOR]
)


@looked_for
@pytest.mark.parametrize("age", [1.0, 30 * HOUR])
def test_what_was_in_flight_and_is_there_is_done(work, done, not_done, age):
    api = ScriptedApi(found=done)
    outcome = carry(api, work, age=age)
    assert (outcome.end, outcome.attempts, len(api.log)) == (End.ALREADY_APPLIED, 1, 1)
    assert api.log[0].startswith("get_")


@looked_for
@pytest.mark.parametrize("age", [1.0, 30 * HOUR])
def test_what_was_in_flight_and_is_not_there_goes_again(work, done, not_done, age):
    api = ScriptedApi(found=not_done)
    outcome = carry(api, work, age=age)
    assert (outcome.end, outcome.status) == (End.APPLIED, 201)
    assert api.log[1:] == [work.parts[0].request.operation]


@looked_for
def test_what_was_in_flight_and_cannot_be_read_goes_again_and_its_refusal_is_unknown(work, done, not_done):
    operation = work.parts[0].request.operation
    api = ScriptedApi(found=found("?"))
    assert (carry(api, work, age=1.0).end, api.log[1:]) == (End.APPLIED, [operation])
    status = 409 if work is ADVANCED else 400
    api = ScriptedApi(Reply(status, b'{"message":"no"}'), found=found("?"))
    outcome = carry(api, work, age=1.0)
    assert (outcome.end, outcome.reason) == (End.DEAD, "outcome_unknown")


def test_an_advanced_event_of_other_content_that_was_in_flight_is_an_id_used_twice():
    other = found({"profileId": "b", "integrationId": "e", "type": "t"})
    api = ScriptedApi(Reply(409, b'{"message":"exists"}'), found=other)
    outcome = carry(api, ADVANCED, age=1.0)
    assert (outcome.end, outcome.reason, outcome.status) == (End.DEAD, "id_reused", 409)
    assert api.log == ["get_event_v3", "track_event_v3", "get_event_v3"]
    assert outcome.attempts == 3


def test_an_audience_with_a_name_that_was_in_flight():
    api = ScriptedApi(Reply(409, b'{"message":"exists"}'))
    outcome = carry(api, AUDIENCE, age=30 * HOUR)
    assert (outcome.end, outcome.status, api.log) == (End.ALREADY_APPLIED, 409, ["create_audience_v2"])
    assert carry(ScriptedApi(), AUDIENCE, age=1.0).end is End.APPLIED


@pytest.mark.parametrize(
    ("work", "refusal", "end", "reason"),
    [
        (ACTIVATE, 400, End.DEAD, "outcome_unknown"),
        (ACTIVATE, 404, End.DEAD, "outcome_unknown"),
        (ACTIVATE, 422, End.DEAD, "refused"),
        (call("delete_audience_v2", None, {"audienceId": 7}), 404, End.ALREADY_APPLIED, None),
        (call("delete_audience_v2", None, {"audienceId": 7}), 400, End.DEAD, "refused"),
        (call("delete_audience_memberships_v2", None, {"audienceId": 7}), 404, End.DEAD, "not_found"),
        (call("delete_customer_data", None, {"integrationId": "a"}), 404, End.ALREADY_APPLIED, None),
    ],
)
def test_a_refusal_of_what_was_in_flight(work, refusal, end, reason):
    outcome = carry(ScriptedApi(Reply(refusal, b'{"message":"no"}')), work, age=30 * HOUR)
    assert (outcome.end, outcome.reason, outcome.attempts) == (end, reason, 1)


@pytest.mark.parametrize(("age", "end"), [(22.9 * HOUR, End.APPLIED), (23.1 * HOUR, End.DEAD)])
@pytest.mark.parametrize(
    "work",
    [
        call("track_event_v2", {"profileId": "a", "type": "t"}),
        call("update_customer_session_v2", {"customerSession": {}}, {"customerSessionId": "s"}),
        call("update_customer_profile_v2", {"attributes": {}}, {"integrationId": "a"}),
        call("reopen_customer_session", None, {"customerSessionId": "s"}),
    ],
    ids=lambda work: work.parts[0].request.operation,
)
def test_what_its_key_protects_goes_again_for_23_hours(work, age, end):
    api = ScriptedApi()
    outcome = carry(api, work, age=age)
    assert (outcome.end, len(api.log)) == (end, int(end is End.APPLIED))
    assert outcome.reason == (None if end is End.APPLIED else "outcome_unknown")


def test_what_is_harmless_goes_again_for_ever():
    many = [{"integrationId": f"c{number}"} for number in range(1500)]
    work = call("update_customer_profiles_v2", {"customerProfiles": many})
    assert carry(ScriptedApi(), work, part=1, age=900 * HOUR).end is End.APPLIED


def referrals(count):
    body = {"campaignId": 3, "usageLimit": 1, ADVOCATES: [f"c{number}" for number in range(count)]}
    return call("create_referrals_for_multiple_advocates", body)


@pytest.mark.parametrize(
    ("part", "pointer", "whole"),
    [
        (0, f"/{ADVOCATES}/7", f"/{ADVOCATES}/7"),
        (1, f"/{ADVOCATES}/7", f"/{ADVOCATES}/1007"),
        (2, f"/{ADVOCATES}/0", f"/{ADVOCATES}/2000"),
        (2, f"/{ADVOCATES}/499/x", f"/{ADVOCATES}/2499/x"),
        (1, f"/{ADVOCATES}/x", f"/{ADVOCATES}/x"),
        (1, f"/{ADVOCATES}", f"/{ADVOCATES}"),
        (1, "/campaignId", "/campaignId"),
        (1, None, None),
    ],
)
def test_a_refused_portion_is_pointed_at_in_the_whole_list(part, pointer, whole):
    problem = {"title": "Bad", "details": "so", "source": {"pointer": pointer}}
    refusal = Reply(400, jsonio.dumps({"message": "no", "errors": [problem]}))
    outcome = carry(ScriptedApi(refusal), referrals(2500), part=part)
    assert (outcome.end, outcome.reason, outcome.pointer) == (End.DEAD, "refused", whole)
    assert outcome.detail == "no; Bad: so"


@pytest.mark.parametrize(
    ("body", "response"),
    [
        (b'{"code":"X","amount":1.50}', {"code": "X", "amount": jsonio.loads(b"1.50")}),
        (b'{"effects":[],"code":"X"}', {"effects": [], "code": "X"}),
        (b'{"effects":[["set"]],"createdCoupons":[]}', None),
        (b"", None),
    ],
)
def test_what_was_answered_to_a_call_is_kept_where_results_are_asked_for(body, response):
    outcome = carry(ScriptedApi(Reply(201, body)), REFERRAL, effects=True)
    assert (outcome.end, outcome.response) == (End.APPLIED, response)
    assert carry(ScriptedApi(Reply(201, body)), REFERRAL).response is None


@pytest.mark.parametrize("body", [b'[{"code":"X"}]', b"null", b"plain text", b"\xff", b'{"code":"X'])
def test_a_call_that_is_answered_with_anything_else_may_have_acted(body):
    """Nothing keeps a repeat from making a second code, so there is none."""
    api = ScriptedApi(Reply(201, body))
    outcome = carry(api, REFERRAL, effects=True)
    assert (outcome.end, outcome.reason, outcome.status) == (End.DEAD, "outcome_unknown", 201)
    assert len(api.log) == 1


def test_effects_of_a_call_are_effects():
    body = b'{"effects":[{"effectType":"x","props":{"value":1.50}}]}'
    outcome = carry(
        ScriptedApi(Reply(200, body)), call("track_event_v2", {"profileId": "a", "type": "t"}), effects=True
    )
    assert outcome.effects == [{"effectType": "x", "props": {"value": jsonio.loads(b"1.50")}}]


def test_an_unclear_try_of_a_call_is_an_unknown_outcome():
    outcome = carry(ScriptedApi(CUT), REFERRAL)
    assert (outcome.end, outcome.reason, outcome.attempts, outcome.detail) == (End.DEAD, "outcome_unknown", 1, "cut")
    assert outcome.first_sent == pytest.approx(NOW)


YES = Outcome(End.APPLIED, attempts=1, status=201, first_sent=30.0)
ALREADY = Outcome(End.ALREADY_APPLIED, attempts=2, first_sent=20.0)
SKIPPED = Outcome(End.SKIPPED, "not_dry")
NO = Outcome(End.DEAD, "refused", "no", "/a/1001", attempts=1, first_sent=40.0)
EXHAUSTED = Outcome(End.DEAD, "retries_exhausted", "down", attempts=9, first_sent=10.0)
UNKNOWN = Outcome(End.DEAD, "outcome_unknown", "cut", attempts=1, first_sent=50.0)


@pytest.mark.parametrize(
    ("parts", "decides", "done"),
    [
        ([YES, YES], YES, None),
        ([ALREADY, YES], YES, None),
        ([ALREADY, ALREADY], ALREADY, None),
        ([SKIPPED, YES], YES, None),
        ([SKIPPED, SKIPPED], SKIPPED, None),
        ([YES, NO], NO, [0]),
        ([NO, YES, ALREADY], NO, [1, 2]),
        ([NO, NO], NO, None),
        ([SKIPPED, NO, YES], NO, [2]),
        ([NO, UNKNOWN, YES], UNKNOWN, [2]),
        ([UNKNOWN, NO], UNKNOWN, None),
        ([NO, EXHAUSTED], EXHAUSTED, None),
        ([EXHAUSTED, UNKNOWN], UNKNOWN, None),
        ([EXHAUSTED, YES, UNKNOWN, NO], UNKNOWN, [1]),
    ],
)
def test_one_outcome_of_several(parts, decides, done):
    outcome = combined(parts)
    tried = [part.first_sent for part in parts if part.first_sent is not None]
    assert outcome == msgspec.structs.replace(
        decides,
        attempts=sum(part.attempts for part in parts),
        first_sent=min(tried, default=None),
        parts_done=done,
    )


def test_what_several_were_answered_stands_in_their_order():
    one = msgspec.structs.replace(YES, response={"code": "X"}, effects=[1])
    two = msgspec.structs.replace(YES, effects=[2, 3])
    outcome = combined([one, two, NO])
    assert (outcome.response, outcome.effects) == ([{"code": "X"}, None, None], [1, 2, 3])
    assert (combined([two, two]).response, combined([YES, YES]).effects) == (None, None)
    assert combined([one]) is one


@given(st.lists(st.sampled_from([YES, ALREADY, SKIPPED, NO, EXHAUSTED, UNKNOWN]), min_size=2, max_size=6))
def test_an_unknown_outcome_is_never_hidden_and_what_was_taken_never_forgotten(parts):
    outcome = combined(parts)
    assert (outcome.end is End.DEAD) == any(part.end is End.DEAD for part in parts)
    assert (outcome.reason == Reason.OUTCOME_UNKNOWN) == (UNKNOWN in parts)
    assert outcome.definite == all(part.definite for part in parts)
    assert outcome.attempts == sum(part.attempts for part in parts)
    taken = [index for index, part in enumerate(parts) if part.end in DONE]
    assert (outcome.parts_done or []) == (taken if outcome.end is End.DEAD else [])
