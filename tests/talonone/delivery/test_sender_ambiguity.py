"""Operations whose refusals are not what they seem: read back, known to be done, or nobody's guess."""

import pytest
from support.scripted import CUT, UNCLEAR, found, name_of, sent

from beam_talonone.schemas.operations.audiences import NewAudience, create_audience_v2
from beam_talonone.schemas.operations.cards import (
    CardRegistration,
    NewLoyaltyCard,
    generate_loyalty_card,
    link_loyalty_card_to_profile,
    unlink_loyalty_card_from_profile,
)
from beam_talonone.schemas.operations.events import AdvancedEvent, track_event_v3
from beam_talonone.schemas.operations.loyalty import PointsToActivate, activate_loyalty_points, join_loyalty_program
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.http.responses import Verdict
from beam_talonone.talonone.http.send import NotSent, Reply

NAMELESS_AUDIENCE = create_audience_v2(NewAudience(name="a"))
AUDIENCE = create_audience_v2(NewAudience(name="a", integrationId="i"))
ADVANCED = track_event_v3(AdvancedEvent(profileId="c", integrationId="e", type="view"))
ACTIVATE = activate_loyalty_points(5, PointsToActivate(sessionId="s"))

before = pytest.mark.parametrize(
    "before", [[], [Reply(429, b"")], [NotSent("refused")]], ids=["first", "429", "not sent"]
)


@pytest.mark.parametrize("request_", [AUDIENCE, NAMELESS_AUDIENCE], ids=["named", "nameless"])
@before
def test_an_audience_that_was_there_before_is_refused_and_not_tried_again(request_, before):
    answer, api = sent(request_, *before, Reply(409, b'{"message":"exists"}'))
    assert (answer.verdict, answer.reason, answer.message) == (Verdict.REFUSED, Reason.REFUSED, "exists")
    assert len(api.log) == len(before) + 1


@pytest.mark.parametrize("failure", UNCLEAR, ids=name_of)
def test_an_audience_that_is_there_after_an_unclear_try_is_made(failure):
    answer, api = sent(AUDIENCE, failure, Reply(409, b'{"message":"exists"}'))
    assert (answer.ok, answer.already, answer.unclear_before, len(api.log)) == (True, True, True, 2)


THERE = found({"profileId": "c", "integrationId": "e", "type": "view", "attributes": {}})
OTHER = found({"profileId": "d", "integrationId": "e", "type": "view", "attributes": {}})
MISSING = found({"message": "not found"}, 404)
EXISTS = Reply(409, b'{"message":"exists, or too many requests"}')

tried_before = pytest.mark.parametrize("before", [[], [Reply(429, b"")], [CUT]], ids=["first", "429", "cut"])


@tried_before
def test_an_advanced_event_that_is_there(before):
    answer, api = sent(ADVANCED, *before, EXISTS, found=THERE)
    assert (answer.ok, answer.already, answer.status) == (True, True, 409)
    assert api.log == ["track_event_v3"] * (len(before) + 1) + ["get_event_v3"]


@tried_before
def test_an_advanced_event_that_is_not_there_is_tried_again(before):
    answer, api = sent(ADVANCED, *before, EXISTS, EXISTS, found=MISSING)
    assert (answer.ok, answer.already, answer.status) == (True, False, 201)
    assert api.log == ["track_event_v3"] * (len(before) + 1) + ["get_event_v3", "track_event_v3"] * 2


@tried_before
def test_another_advanced_event_of_that_id(before):
    answer, api = sent(ADVANCED, *before, EXISTS, found=OTHER)
    assert (answer.verdict, answer.reason) == (Verdict.REFUSED, Reason.ID_REUSED)
    assert "exists, or too many requests" in answer.message
    assert api.log[-1] == "get_event_v3"


@tried_before
def test_an_advanced_event_that_cannot_be_read(before):
    answer, _ = sent(ADVANCED, *before, EXISTS, found=found([]))
    assert answer.verdict is Verdict.UNKNOWN


DAMAGED = Reply(200, b"", unreadable="it is longer than 64 MiB")


def test_what_happened_is_read_again_if_the_answer_cannot_be_read():
    answer, api = sent(ADVANCED, CUT, EXISTS, found=[DAMAGED, DAMAGED, THERE])
    assert (answer.ok, answer.already, api.log.count("get_event_v3")) == (True, True, 3)
    answer, api = sent(ADVANCED, CUT, EXISTS, found=DAMAGED)
    assert (answer.verdict, api.log.count("get_event_v3")) == (Verdict.UNKNOWN, 3)


@pytest.mark.parametrize("failure", UNCLEAR, ids=name_of)
def test_an_advanced_event_may_go_again(failure):
    answer, api = sent(ADVANCED, failure)
    assert (answer.ok, answer.already, api.log) == (True, False, ["track_event_v3"] * 2)


def test_an_advanced_event_that_stays_in_conflict_is_given_up_some_time():
    answer, api = sent(ADVANCED, *[EXISTS] * 500, found=MISSING)
    assert answer.reason is Reason.RETRIES_EXHAUSTED
    assert api.times[-1] >= 120


BALANCES = found({"balance": {"activePoints": 0}, "profiles": []})
INVENTORY = found({"loyalty": {"cards": [{"identifier": "card-1", "programID": 5}], "programs": {"p": {"id": 5}}}})
NOTHING = found({"loyalty": {"cards": [], "programs": {}}})

looked_for = pytest.mark.parametrize(
    ("request_", "done", "not_done"),
    [
        (generate_loyalty_card(5, NewLoyaltyCard(cardIdentifier="card-1")), BALANCES, MISSING),
        (link_loyalty_card_to_profile(5, "card-1", CardRegistration(integrationId="c")), INVENTORY, NOTHING),
        (unlink_loyalty_card_from_profile(5, "card-1", CardRegistration(integrationId="c")), NOTHING, INVENTORY),
        (join_loyalty_program(5, "c"), INVENTORY, NOTHING),
    ],
    ids=name_of,
)
"""A request; what is read back if it has acted, and if it has not."""


@looked_for
@pytest.mark.parametrize("status", [400, 409])
def test_what_an_unclear_try_did_is_found(request_, done, not_done, status):
    answer, api = sent(request_, CUT, Reply(status, b'{"message":"no"}'), found=done)
    assert (answer.ok, answer.already, len(api.log)) == (True, True, 3)


@looked_for
def test_what_an_unclear_try_did_not_do_is_refused_or_tried_again(request_, done, not_done):
    answer, api = sent(request_, CUT, Reply(400, b'{"message":"no"}'), found=not_done)
    assert (answer.verdict, answer.message, len(api.log)) == (Verdict.REFUSED, "no", 3)
    answer, api = sent(request_, CUT, Reply(409, b"{}"), found=not_done)
    assert (answer.ok, answer.already, len(api.log)) == (True, False, 4)


@looked_for
def test_what_cannot_be_read_is_unknown(request_, done, not_done):
    answer, api = sent(request_, CUT, Reply(400, b'{"message":"no"}'), found=found("?"))
    assert (answer.verdict, len(api.log)) == (Verdict.UNKNOWN, 3)


@looked_for
@before
def test_a_clear_refusal_needs_no_look(request_, done, not_done, before):
    answer, api = sent(request_, *before, Reply(400, b'{"message":"no"}'), found=done)
    assert (answer.verdict, set(api.log)) == (Verdict.REFUSED, {request_.operation})


@pytest.mark.parametrize("status", [400, 404])
def test_points_that_an_unclear_try_may_have_activated_are_nobodys_guess(status):
    answer, _ = sent(ACTIVATE, CUT, Reply(status, b"{}"))
    assert answer.verdict is Verdict.UNKNOWN
    answer, _ = sent(ACTIVATE, Reply(status, b"{}"))
    assert answer.verdict is Verdict.REFUSED
    assert sent(ACTIVATE, CUT)[0].ok
