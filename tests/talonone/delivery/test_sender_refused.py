"""A stream whose key is refused, or whose address is wrong: it waits until that is put right, and loses nothing."""

import asyncio
from itertools import pairwise

import pytest
from support.fakeloop import START, run
from support.sender_fixture import Noting, way

from beam_talonone.schemas.operations.audiences import AudienceActions, update_customer_profile_audiences
from beam_talonone.schemas.operations.events import TrackEvent, track_event_v2
from beam_talonone.schemas.operations.referrals import NewReferral, create_referral
from beam_talonone.talonone.delivery.key_gate import REFUSED_LONGEST_WAIT
from beam_talonone.talonone.errors import KeyRefused, StopRun, WrongAddress
from beam_talonone.talonone.http.responses import Verdict
from beam_talonone.talonone.http.send import BadAddress, Broken, Reply
from beam_talonone.talonone.requests.identity import KEY_HOLDS

EVENT = track_event_v2(TrackEvent(profileId="c", type="view"))
AUDIENCES = update_customer_profile_audiences(
    AudienceActions.model_validate({"data": [{"action": "add", "profileIntegrationId": "c", "audienceId": 1}]})
)
REFERRAL = create_referral(NewReferral(campaignId=1, advocateProfileIntegrationId="c"))
OK, NO = Reply(204, b""), Reply(401, b"")
HOUR = 3600.0


class Api:
    """Refuses from one second to another, and notes when what was asked, of whom, and how many were there at once."""

    def __init__(self, *refused, refusal=NO, takes=0.01):
        self.refused, self.refusal, self.takes = refused, refusal, takes
        self.times, self.keys, self.accepted, self.open, self.most = [], [], [], 0, 0

    def refuses(self, now):
        return any(first <= now - START < last for first, last in self.refused)

    async def __call__(self, request, key):
        now = asyncio.get_running_loop().time()
        self.times.append(now - START)
        self.keys.append(key)
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(self.takes)
        self.open -= 1
        if self.refuses(now):
            if isinstance(self.refusal, Exception):
                raise self.refusal
            return self.refusal
        self.accepted.append(key)
        return OK

    def after(self, seconds):
        return [at for at in self.times if at >= seconds]


def sent(api, count, *, request=EVENT, hold_on=lambda why: True, every=0.0, **settings):
    """The answers to `count` requests, and what the sender told of itself meanwhile."""
    seen = []

    async def main():
        async with way(api, give_up_after=None, **settings) as w:
            w.sender.gate.hold_on = hold_on

            async def one(number):
                await asyncio.sleep(number * every)
                return await w.sender.final_answer(w.attempt(request, number))

            async def look():
                while True:
                    seen.append((asyncio.get_running_loop().time() - START, w.sender.gate.refusal))
                    await asyncio.sleep(1.0)

            looking = asyncio.create_task(look())
            answers = await asyncio.gather(*(one(number) for number in range(1, count + 1)))
            looking.cancel()
            return answers

    return run(main()), seen


@pytest.mark.parametrize("refusal", [NO, Reply(403, b"{}"), Reply(302, b""), Reply(200, b"<html>login</html>")])
def test_it_waits_until_the_key_is_accepted_and_all_go_on(refusal):
    api = Api((0.0, 600.0), refusal=refusal)
    answers, _ = sent(api, 40)
    assert all(answer.ok for answer in answers)
    assert sorted(api.accepted) == sorted(f"{number}#0" for number in range(1, 41)), "each once, under its first key"
    back = min(at for at in api.times if at >= 600.0)
    assert max(api.times) <= back + 1.0, "what waited goes on together"


def test_meanwhile_one_goes_at_a_time_and_later_and_later():
    api = Api((0.0, 3 * HOUR), takes=2.0)
    answers, _ = sent(api, 40, concurrency=16)
    assert all(answer.ok for answer in answers)
    first = [at for at in api.times if at < 4.0]
    assert len(first) == 32, "16 left before the first answer, and as many before so many were refused in a row"
    alone = [at for at in api.times if 4.0 <= at < 3 * HOUR]
    gaps = [later - earlier for earlier, later in pairwise(alone)]
    assert all(gap >= 2.0 for gap in gaps), "never two at a time"
    assert alone[0] <= 4.0 + 1.1, "the first one soon, however many were refused together"
    assert [gap > 30.0 for gap in gaps[:3]] == [False] * 3
    assert all(0.5 * REFUSED_LONGEST_WAIT <= gap <= REFUSED_LONGEST_WAIT + 2.1 for gap in gaps[8:])
    assert len(alone) < 3 * HOUR / (0.5 * REFUSED_LONGEST_WAIT) + 10


def test_what_is_refused_is_told_until_it_is_over():
    api = Api((0.0, 100.0))
    _, seen = sent(api, 3)
    refused_at = [at for at, why in seen if why is not None]
    assert isinstance(seen[5][1], KeyRefused)
    assert min(refused_at) == 3.0, "two seconds without any other request tell that it is not about one of them"
    assert max(refused_at) == pytest.approx(130.0, abs=31.0)
    assert sent(Api(), 3, every=1.0)[1][-1][1] is None


def test_who_comes_while_it_is_refused_waits_with_the_others():
    api = Api((10.0, 2000.0))
    answers, _ = sent(api, 300, every=5.0)
    assert all(answer.ok for answer in answers)
    assert len([at for at in api.times if 10.0 <= at < 2000.0]) < 90, "290 came meanwhile"


def test_tries_that_were_refused_are_no_failures_of_the_request():
    """Six tries in two minutes, and it would be a dead letter."""
    api = Api((0.0, 5 * HOUR))
    (answer,), _ = sent(api, 1)
    assert answer.ok
    assert (answer.verdict, answer.unclear_before) == (Verdict.APPLIED, False)
    assert answer.tries > 100


@pytest.mark.parametrize("request_", [EVENT, AUDIENCES, REFERRAL])
def test_a_refusal_is_known_to_have_done_nothing(request_):
    """Also what must not go twice goes again: the API did not act on it."""
    events = []

    async def main():
        async with way(Api((0.0, 60.0)), give_up_after=None) as w:
            w.sender.gate.hold_on = lambda why: True
            attempt = w.attempt(request_)
            attempt.observer = Noting(events)
            return await w.sender.final_answer(attempt)

    assert run(main()).ok
    assert events[-1] == "started"
    assert events[:-1] == ["started", "retracted"] * (len(events) // 2)


def test_the_key_may_be_refused_a_second_time():
    api = Api((0.0, 50.0), (200.0, 260.0))
    answers, _ = sent(api, 80, every=5.0)
    assert all(answer.ok for answer in answers)
    again = [at for at in api.times if 200.0 <= at < 260.0]
    assert len(again) < 12
    assert again[1] - again[0] <= 5.0 + 1.1, "it begins anew with a short wait"


def test_who_does_not_hold_on_stops():
    reasons = []

    def hold_on(why):
        reasons.append(why)
        return False

    with pytest.raises(KeyRefused):
        sent(Api((0.0, 60.0)), 3, hold_on=hold_on)
    assert {type(why) for why in reasons} == {KeyRefused}


def test_it_may_hold_on_to_some_only():
    only_address = lambda why: isinstance(why, WrongAddress)  # noqa: E731
    answers, _ = sent(Api((0.0, 60.0), refusal=BadAddress("no such host")), 3, hold_on=only_address)
    assert all(answer.ok for answer in answers)
    with pytest.raises(KeyRefused):
        sent(Api((0.0, 60.0)), 3, hold_on=only_address)


def test_stopping_ends_the_waiting():
    async def main():
        async with way(Api((0.0, HOUR)), give_up_after=None) as w:
            w.sender.gate.hold_on = lambda why: True
            tasks = [asyncio.create_task(w.sender.final_answer(w.attempt(EVENT, number))) for number in range(5)]
            await asyncio.sleep(100.0)
            w.sender.stopping.set()
            await asyncio.sleep(0.1)
            assert all(task.done() for task in tasks)
            assert {type(task.exception()) for task in tasks} == {StopRun}

    run(main())


def test_nobody_keeps_leave_to_send_while_it_waits():
    """There are as many leaves as requests in flight: the one that tries needs one."""
    api = Api((0.0, 300.0))
    answers, _ = sent(api, 20, concurrency=1)
    assert all(answer.ok for answer in answers)


def test_what_is_unclear_does_not_go_again_when_its_key_has_expired_meanwhile():
    """The first try broke off and may have acted; then the key was refused for a day."""
    api = Api((5.0, KEY_HOLDS + HOUR))

    async def send(request, key):
        if asyncio.get_running_loop().time() < START + 5.0:
            raise Broken("cut")
        return await api(request, key)

    async def main():
        async with way(send, give_up_after=None) as w:
            w.sender.gate.hold_on = lambda why: True
            ambiguous = asyncio.create_task(w.sender.final_answer(w.attempt(EVENT, 1)))
            await asyncio.sleep(10.0)
            later = asyncio.create_task(w.sender.final_answer(w.attempt(EVENT, 2)))
            harmless = asyncio.create_task(w.sender.final_answer(w.attempt(AUDIENCES, 3)))
            return await asyncio.gather(ambiguous, later, harmless)

    first, second, third = run(main())
    assert (first.verdict, first.unclear_before) == (Verdict.UNKNOWN, True)
    assert (second.ok, third.ok) == (True, True)
    assert "1#0" not in api.accepted
