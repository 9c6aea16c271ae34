"""A request that must not be sent twice ends with one ambiguous try, and an outage does not cost each a try."""

import asyncio
from collections import Counter

import pytest
from support.fakeloop import START, run
from support.scripted import CUT, OK, UNCLEAR, name_of, sent
from support.sender_fixture import way

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat
from beam_talonone.schemas.operations.audiences import NewAudience, create_audience_v2
from beam_talonone.schemas.operations.cards import NewLoyaltyCard, generate_loyalty_card
from beam_talonone.schemas.operations.events import TrackEvent, track_event_v2
from beam_talonone.schemas.operations.referrals import (
    NewReferral,
    NewReferrals,
    create_referral,
    create_referrals_for_multiple_advocates,
)
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.dispatcher import Ticket
from beam_talonone.talonone.delivery.retry_budget import LONGEST_WAIT
from beam_talonone.talonone.errors import Unreachable
from beam_talonone.talonone.http.responses import Verdict
from beam_talonone.talonone.http.send import Broken, NotSent, Reply

REFERRAL = create_referral(NewReferral(campaignId=1, advocateProfileIntegrationId="c"))
REFERRALS = create_referrals_for_multiple_advocates(
    NewReferrals(campaignId=1, advocateProfileIntegrationIds=["c"], usageLimit=1)
)
NAMELESS_CARD = generate_loyalty_card(5, NewLoyaltyCard(customerProfileIds=["c"]))
CARD = generate_loyalty_card(5, NewLoyaltyCard(cardIdentifier="card-1"))
NAMELESS_AUDIENCE = create_audience_v2(NewAudience(name="a"))
AUDIENCE = create_audience_v2(NewAudience(name="a", integrationId="i"))
EVENT = track_event_v2(TrackEvent(profileId="c", type="view"))

UNSAFE = [REFERRAL, REFERRALS, NAMELESS_CARD, NAMELESS_AUDIENCE]
NAMED = [CARD, AUDIENCE]
SURELY_NOT = [Reply(429, b""), Reply(409, b""), Reply(425, b""), NotSent("refused")]


def test_these_are_the_operations_that_act_again():
    rows = {name for name, row in OPERATIONS.items() if row.repeat is SafeToRepeat.NO or row.named_by is not None}
    assert rows == {request.operation for request in UNSAFE}
    assert all(OPERATIONS[request.operation].repeats(request) is SafeToRepeat.NO for request in UNSAFE)
    assert all(OPERATIONS[request.operation].repeats(request) is SafeToRepeat.BY_NATURE for request in NAMED)


@pytest.mark.parametrize("failure", UNCLEAR, ids=name_of)
@pytest.mark.parametrize("request_", UNSAFE, ids=name_of)
def test_an_unclear_try_is_the_last(request_, failure):
    noted = []
    answer, api = sent(request_, failure, noted=noted)
    assert (answer.verdict, answer.unclear_before, answer.tries) == (Verdict.UNKNOWN, True, 1)
    assert api.log == [request_.operation]
    assert noted == ["started"]
    assert api.times[-1] < 1.0


@pytest.mark.parametrize("failure", UNCLEAR, ids=name_of)
@pytest.mark.parametrize("request_", NAMED, ids=name_of)
def test_what_has_a_name_goes_again(request_, failure):
    answer, api = sent(request_, failure, failure)
    assert (answer.ok, answer.already, answer.unclear_before, answer.tries) == (True, False, True, 3)
    assert api.log == [request_.operation] * 3


@pytest.mark.parametrize("failure", SURELY_NOT, ids=name_of)
@pytest.mark.parametrize("request_", [REFERRAL, REFERRALS, NAMELESS_CARD], ids=name_of)
def test_a_try_that_surely_did_not_act_is_no_end(request_, failure):
    noted = []
    answer, _ = sent(request_, failure, failure, failure, noted=noted)
    assert (answer.ok, answer.unclear_before, answer.tries) == (True, False, 4)
    assert noted == ["started", "retracted"] * 3 + ["started"]


def test_an_unclear_try_after_others_is_the_last_too():
    answer, api = sent(REFERRAL, Reply(429, b""), NotSent("refused"), CUT)
    assert (answer.verdict, len(api.log), answer.message) == (Verdict.UNKNOWN, 3, "cut")


@pytest.mark.parametrize("request_", UNSAFE, ids=name_of)
def test_a_refusal_is_a_refusal(request_):
    answer, api = sent(request_, Reply(400, b'{"message":"no such campaign"}'))
    assert (answer.verdict, answer.reason, len(api.log)) == (Verdict.REFUSED, Reason.REFUSED, 1)


class Outage:
    """Fails all for `seconds`, after having worked for a while. Notes when which operation was asked, and how many
    were in flight at a time while it failed."""

    def __init__(self, failure, seconds, latency=0.01):
        self.failure, self.seconds, self.latency = failure, seconds, latency
        self.during, self.after, self.busy, self.together = [], [], 0, []

    async def __call__(self, request, key):
        now = asyncio.get_running_loop().time() - START
        down = now < self.seconds
        (self.during if down else self.after).append((now, request.operation))
        self.busy += 1
        if down:
            self.together.append(self.busy)
        await asyncio.sleep(self.latency)
        self.busy -= 1
        if not down:
            return OK
        if isinstance(self.failure, Exception):
            raise self.failure
        return self.failure


def through(api, requests, *, concurrency=64, give_up_after=300.0, within=4000):
    """The verdicts of requests that wait together for their turn, and what stopped them."""
    verdicts = {}

    async def main():
        async with way(api, rate=100.0, concurrency=concurrency, give_up_after=give_up_after) as w:

            class Sending(Ticket):
                async def run(self):
                    attempt = w.attempt(requests[self.number], self.number)
                    attempt.ticket = self
                    verdicts[self.number] = (await w.sender.final_answer(attempt)).verdict

            for number in range(len(requests)):
                w.dispatcher.submit(Sending(number, (("profile", str(number)),)))
            for _ in range(within):
                await asyncio.sleep(1.0)
                if len(verdicts) == len(requests) or w.failures:
                    break
            return w.failures

    return verdicts, run(main())


SECONDS, COUNT = 200.0, 500
HANDFUL = 30
"""Tries in an outage of 200 s: the waits double from 0.5 s to 20 s, and then are half of that at least."""


@pytest.mark.parametrize("failure", [NotSent("refused"), Reply(429, b"")], ids=name_of)
def test_an_outage_that_acts_on_nothing_is_waited_out_by_few(failure):
    api = Outage(failure, SECONDS)
    verdicts, failures = through(api, [REFERRAL] * COUNT)
    assert failures == []
    assert Counter(verdicts.values()) == {Verdict.APPLIED: COUNT}
    assert len(api.during) <= HANDFUL
    waits = [b - a for (a, _), (b, _) in zip(api.during[2:], api.during[3:], strict=False)]
    assert max(waits) <= LONGEST_WAIT + 0.1
    assert min(waits[-3:]) >= LONGEST_WAIT / 2
    assert max(api.together[2:]) == 1
    assert api.after[-1][0] <= SECONDS + LONGEST_WAIT + COUNT / 100.0 + 5.0  # then all go at the rate again


@pytest.mark.parametrize("failure", [Reply(500, b""), Reply(503, b""), CUT], ids=name_of)
def test_beside_others_that_fail_an_outage_costs_few_unknown_outcomes(failure):
    api = Outage(failure, SECONDS)
    mixture = [EVENT, REFERRAL, NAMELESS_CARD, REFERRALS, CARD]
    verdicts, failures = through(api, mixture * (COUNT // 5))
    assert failures == []
    lost = [number for number, verdict in verdicts.items() if verdict is not Verdict.APPLIED]
    assert {verdicts[number] for number in lost} <= {Verdict.UNKNOWN}
    assert len(lost) <= HANDFUL
    assert not {number for number in lost if mixture[number % 5] in (EVENT, CARD)}
    assert len(verdicts) == COUNT


def test_those_who_wait_do_not_keep_the_others_from_trying():
    api = Outage(NotSent("refused"), SECONDS)
    verdicts, _ = through(api, [REFERRAL] * 20 + [EVENT], concurrency=2)
    assert Counter(operation for _, operation in api.during)["track_event_v2"] >= 10
    assert set(verdicts.values()) == {Verdict.APPLIED}


@pytest.mark.parametrize("failure", [NotSent("refused"), Reply(429, b"")], ids=name_of)
def test_an_outage_that_does_not_end_stops_the_run(failure):
    api = Outage(failure, 10_000.0)
    verdicts, (stopped, *_) = through(api, [REFERRAL] * 50)
    assert isinstance(stopped, Unreachable)
    assert verdicts == {}
    assert 300.0 <= api.during[-1][0] <= 300.0 + 2 * LONGEST_WAIT
    assert len(api.during) <= 2 * HANDFUL


def test_beside_others_an_outage_that_does_not_end_stops_the_run():
    verdicts, (stopped, *_) = through(Outage(CUT, 10_000.0), [EVENT, REFERRAL] * 25)
    assert isinstance(stopped, Unreachable)
    assert set(verdicts.values()) <= {Verdict.UNKNOWN}
    assert len(verdicts) <= HANDFUL


def test_one_that_fails_alone_does_not_hold_up_the_others():
    """Every twentieth is cut: it ends, and the others go at the rate."""

    class Flaky:
        calls = 0

        async def __call__(self, request, key):
            self.calls += 1
            now = self.calls
            await asyncio.sleep(0.01)
            if now % 20 == 0:
                raise Broken("cut")
            self.last = asyncio.get_running_loop().time() - START
            return OK

    api = Flaky()
    verdicts, failures = through(api, [REFERRAL] * 400)
    assert failures == []
    assert Counter(verdicts.values()) == {Verdict.APPLIED: 380, Verdict.UNKNOWN: 20}
    assert api.last <= 4.0 + 20 * 1.0


@pytest.mark.parametrize("failure", [CUT, Reply(500, b""), Reply(503, b""), Reply(504, b"")], ids=name_of)
def test_an_outage_costs_a_handful_of_unknown_outcomes(failure):
    api = Outage(failure, SECONDS)
    verdicts, _ = through(api, [REFERRAL] * 500)
    assert len(api.during) <= HANDFUL
    assert len([verdict for verdict in verdicts.values() if verdict is Verdict.APPLIED]) >= 500 - HANDFUL


def test_an_outage_that_is_seen_late_costs_no_more_than_what_was_in_flight():
    """No answer within 30 s: 64 are under way before anybody knows, and from then on it is one at a time."""
    api = Outage(CUT, SECONDS, latency=30.0)
    verdicts, _ = through(api, [REFERRAL] * 500)
    assert len([verdict for verdict in verdicts.values() if verdict is Verdict.UNKNOWN]) <= 64 + HANDFUL


def test_an_outage_of_which_nobody_knows_what_it_did_stops_the_run_too():
    verdicts, failures = through(Outage(CUT, 10_000.0), [REFERRAL] * 500)
    assert [type(failure) for failure in failures] == [Unreachable]
    assert len(verdicts) <= HANDFUL


class OnceInBetween(Outage):
    """An outage in which a single request succeeds half-way: unreachable before it, cut after it."""

    succeeded = False

    async def __call__(self, request, key):
        now = asyncio.get_running_loop().time() - START
        self.failure = CUT if self.succeeded else NotSent("refused")
        if self.succeeded or now < self.seconds / 2:
            return await super().__call__(request, key)
        self.succeeded = True
        return OK


def test_one_success_in_an_outage_does_not_let_all_go_that_wait():
    """Those who wait for a permit to send have been let pass before: what they wait for may fail by then."""
    api = OnceInBetween(CUT, SECONDS)
    verdicts, _ = through(api, [REFERRAL] * 500)
    assert len([verdict for verdict in verdicts.values() if verdict is Verdict.UNKNOWN]) <= 2 * HANDFUL
