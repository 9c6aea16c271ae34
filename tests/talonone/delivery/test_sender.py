"""One request until its answer is final, through every kind of trouble, hours in milliseconds."""

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from support.fakeloop import START, run
from support.sender_fixture import EPOCH, Noting, way

from beam_talonone.schemas.operations.audiences import AudienceActions, update_customer_profile_audiences
from beam_talonone.schemas.operations.events import TrackEvent, track_event_v2
from beam_talonone.schemas.operations.profiles import ProfilesUpdate, update_customer_profiles_v2
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.retry_budget import FEW, LEAST_TIME, LEAST_TRIES
from beam_talonone.talonone.errors import KeyRefused, StopRun, Unreachable, WrongAddress
from beam_talonone.talonone.http.responses import Verdict
from beam_talonone.talonone.http.send import BadAddress, Broken, NotSent, Reply
from beam_talonone.talonone.requests.identity import KEY_HOLDS, key_holds

EVENT = track_event_v2(TrackEvent(profileId="c", type="view"))
PROFILES = update_customer_profiles_v2(ProfilesUpdate.model_validate({"customerProfiles": [{"integrationId": "c"}]}))
AUDIENCES = update_customer_profile_audiences(
    AudienceActions.model_validate({"data": [{"action": "add", "profileIntegrationId": "c", "audienceId": 1}]})
)
OK = Reply(204, b"")


class Api:
    """Plays the answers of a script, then says yes; notes when it was asked and under which key."""

    def __init__(self, *script, after=OK):
        self.script, self.after = list(script), after
        self.keys, self.times = [], []

    async def __call__(self, request, key):
        self.keys.append(key)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        answer = self.script.pop(0) if self.script else self.after
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def waits(self):
        return [b - a for a, b in zip(self.times, self.times[1:], strict=False)]


def answer_of(api, request=EVENT, before=None, **settings):
    """The final answer, the starts that the observer received before each first try under a key, and the fixture."""

    async def main():
        async with way(api, **settings) as w:
            noting = Noting()
            attempt = w.attempt(request, observer=noting)
            if before:
                before(w, attempt)
            return await w.sender.final_answer(attempt), noting.starts, w

    return run(main())


def test_yes_at_once():
    api = Api()
    answer, started, w = answer_of(api)
    assert (answer.ok, answer.tries, answer.unclear_before) == (True, 1, False)
    assert api.keys == ["1#0"]
    assert started == [(0, EPOCH + START)]
    assert w.sender.stats.report()["track_event_v2"]["statuses"] == {"204": 1}


def test_a_refusal_is_final_and_shows_the_api_at_work():
    api = Api(Reply(400, b'{"message":"bad"}'))
    answer, _, w = answer_of(api)
    assert (answer.verdict, answer.reason, answer.message, len(api.keys)) == (
        Verdict.REFUSED,
        Reason.REFUSED,
        "bad",
        1,
    )
    assert w.sender.circuit.last_success is not None


def test_retry_after_in_seconds_is_obeyed():
    api = Api(Reply(429, b"", "7"))
    answer, _, w = answer_of(api)
    assert answer.ok
    assert 7.0 <= api.waits[0] <= 7.5
    assert w.sender.pacer.factor(api.times[0]) < 1.0
    assert not answer.unclear_before


def test_retry_after_as_a_date_is_obeyed(monkeypatch):
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return now

    monkeypatch.setattr("beam_talonone.talonone.http.responses.datetime", Clock)
    api = Api(Reply(503, b"", format_datetime(datetime(2026, 5, 1, 12, 0, 40, tzinfo=UTC), usegmt=True)))
    answer, _, w = answer_of(api)
    assert 40.0 <= api.waits[0] <= 40.5
    assert answer.unclear_before
    assert w.sender.pacer.factor(api.times[0]) < 1.0


def test_an_endless_retry_after_is_no_defect():
    api = Api(Reply(429, b"", "9" * 400))
    assert answer_of(api, give_up_after=None)[0].ok
    assert 3600.0 <= api.waits[0] <= 3601.0


def test_a_long_retry_after_does_not_outlast_the_patience_with_the_api():
    api = Api(after=Reply(503, b"", "3000"))
    with pytest.raises(Unreachable):
        answer_of(api)
    assert len(api.times) == 1


def test_parallel_updates_wait_and_take_a_fresh_key():
    api = Api(*[Reply(409, b"")] * 3)
    answer, started, _ = answer_of(api)
    assert answer.ok
    assert api.keys == ["1#0", "1#0", "1#1", "1#1"]
    assert [generation for generation, _ in started] == [0, 0, 1, 1]


def test_no_fresh_key_while_a_try_is_unclear():
    api = Api(Broken("cut"), *[Reply(409, b"")] * 5)
    answer, started, _ = answer_of(api)
    assert answer.unclear_before
    assert set(api.keys) == {"1#0"}
    assert len(started) == 1


def test_waits_grow_and_stay_bounded():
    api = Api(*[NotSent("refused")] * 12)
    assert answer_of(api)[0].ok
    assert 0.25 <= api.waits[0] <= 0.6
    assert max(api.waits) <= 20.1
    assert api.waits[5] > api.waits[0] * 4


@pytest.mark.parametrize(
    ("failure", "ambiguous"),
    [
        (NotSent("refused"), False),
        (Broken("cut"), True),
        (Reply(500, b""), True),
        (Reply(408, b""), True),
        (Reply(429, b""), False),
    ],
)
def test_what_makes_a_try_unclear(failure, ambiguous):
    assert answer_of(Api(failure))[0].unclear_before is ambiguous


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_the_run(status):
    api = Api(Reply(status, b'{"message":"key sesame is not known"}'))
    with pytest.raises(KeyRefused, match=f"{status}.*TALONONE_API_KEY"):
        answer_of(api)
    assert len(api.keys) == 1


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        ("certificate verify failed: self-signed certificate in certificate chain", "--ca-bundle"),
        ("certificate verify failed: unable to get local issuer certificate", "--ca-bundle"),
        ("certificate verify failed: Hostname mismatch", "--base-url"),
        ("certificate verify failed: certificate has expired", "--base-url"),
    ],
)
def test_an_unknown_authority_points_at_the_ca_bundle(failure, advice):
    with pytest.raises(WrongAddress, match=advice):
        answer_of(Api(BadAddress(failure)))


def test_a_redirect_stops_the_run():
    with pytest.raises(WrongAddress, match="redirect"):
        answer_of(Api(Reply(301, b"")))


def test_a_bad_address_before_the_first_success_stops_at_once():
    api = Api(BadAddress("no such host"))
    with pytest.raises(WrongAddress, match=r"https://api\.example cannot be reached: no such host"):
        answer_of(api)
    assert len(api.keys) == 1


def test_a_bad_address_after_a_success_is_an_outage():
    api = Api(*[BadAddress("no such host")] * 5)

    def worked(w, attempt):
        w.sender.circuit.works(START)

    assert answer_of(api, before=worked)[0].ok
    with pytest.raises(Unreachable, match=r"--give-up-after 300.*no such host"):
        answer_of(Api(after=BadAddress("no such host")), before=worked)


def test_an_outage_ends_the_run_after_give_up_after():
    for failure in (NotSent("refused"), Broken("cut"), Reply(502, b"")):
        api = Api(after=failure)
        with pytest.raises(Unreachable):
            answer_of(api, give_up_after=100.0)
        assert 75.0 <= api.times[-1] - START <= 120.1


def test_an_outage_is_waited_out_and_its_tries_do_not_count():
    api = Api()

    async def send(request, key):
        if START + 5 < asyncio.get_running_loop().time() < START + 5 + 10 * 3600:
            raise NotSent("refused")
        return await api(request, key)

    async def main():
        async with way(send, give_up_after=None) as w:
            await w.sender.final_answer(w.attempt(EVENT))
            await asyncio.sleep(5.01)
            return await asyncio.gather(*(w.sender.final_answer(w.attempt(EVENT, number)) for number in range(5)))

    answers = run(main())
    assert all(answer.ok for answer in answers)
    assert min(answer.tries for answer in answers) > 1000


async def beside_others(api, request=EVENT, every=1.0):
    """The answer to a request of number 1, while others succeed."""

    async def send(sent, key):
        return await api(sent, key) if key.startswith("1#") else OK

    async with way(send) as w:

        async def others():
            while True:
                await w.sender.final_answer(w.attempt(EVENT, 2))
                await asyncio.sleep(every)

        beside = asyncio.create_task(others())
        answer = await w.sender.final_answer(w.attempt(request))
        beside.cancel()
        return answer


@pytest.mark.parametrize(
    "failure", [Reply(500, b""), Reply(409, b""), Reply(429, b""), NotSent("x"), Broken("x"), Reply(503, b"")]
)
def test_a_request_that_fails_while_others_succeed_is_given_up(failure):
    api = Api(after=failure)
    answer = run(beside_others(api))
    assert (answer.verdict, answer.reason) == (Verdict.REFUSED, Reason.RETRIES_EXHAUSTED)
    assert LEAST_TIME <= api.times[-1] - api.times[0] <= LEAST_TIME + 45
    assert answer.tries >= LEAST_TRIES
    assert f"({answer.tries} tries)" in answer.message


def test_it_is_not_given_up_before_120_seconds():
    def passing(seconds):
        class Passing(Api):
            async def __call__(self, request, key):
                self.after = Reply(500, b"") if asyncio.get_running_loop().time() < START + seconds else OK
                return await super().__call__(request, key)

        return Passing()

    assert run(beside_others(passing(119.0))).ok


def test_time_without_any_success_does_not_count():
    async def main():
        async def send(request, key):
            now = asyncio.get_running_loop().time()
            if key.startswith("1#") and now < START + 4000:
                return Reply(500, b"")
            if START + 60 < now < START + 3990:
                raise NotSent("down")
            return OK

        async with way(send, give_up_after=None) as w:

            async def others(number):
                while True:
                    await w.sender.final_answer(w.attempt(EVENT, number))
                    await asyncio.sleep(0.5)

            beside = [asyncio.create_task(others(number)) for number in (2, 3)]
            answer = await w.sender.final_answer(w.attempt(EVENT))
            for task in beside:
                task.cancel()
            return answer

    assert run(main()).ok


@pytest.mark.parametrize("give_up_after", [300.0, 30.0, None])
def test_a_request_alone_that_always_gets_500_is_given_up(give_up_after):
    api = Api(after=Reply(500, b""))
    answer = answer_of(api, give_up_after=give_up_after)[0]
    assert answer.reason is Reason.RETRIES_EXHAUSTED
    assert api.times[-1] - START >= LEAST_TIME


def test_several_such_requests_one_after_the_other_are_given_up_too():
    async def main():
        async with way(Api(after=Reply(500, b""))) as w:
            return [await w.sender.final_answer(w.attempt(EVENT, number)) for number in range(5)]

    assert {answer.reason for answer in run(main())} == {Reason.RETRIES_EXHAUSTED}


def test_many_that_get_500_together_are_an_outage():
    async def main():
        async with way(Api(after=Reply(500, b""))) as w:
            attempts = [w.attempt(EVENT, 1) for _ in range(FEW + 1)]
            await asyncio.gather(*(w.sender.final_answer(attempt) for attempt in attempts))

    with pytest.raises(Unreachable):
        run(main())


def many_alike(reply, **settings):
    """The final answers to more requests than may all be poisoned without an outage, when each gets `reply`."""

    async def main():
        async with way(Api(after=reply), **settings) as w:
            attempts = [w.attempt(EVENT, number) for number in range(2 * FEW)]
            answers = await asyncio.gather(*(w.sender.final_answer(attempt) for attempt in attempts))
            return answers, w.sender.circuit.few

    return run(main())


def test_many_that_get_500_are_given_up_if_the_user_says_that_the_api_is_up():
    answers, few = many_alike(Reply(500, b""), api_is_up=True)
    assert {answer.reason for answer in answers} == {Reason.RETRIES_EXHAUSTED}
    assert few, "the run does not give up meanwhile"


@pytest.mark.parametrize("status", [425, 429, 502, 503, 504])
def test_an_outage_is_one_whatever_the_user_says(status):
    with pytest.raises(Unreachable):
        many_alike(Reply(status, b""), api_is_up=True)


@pytest.mark.parametrize(("status", "advice"), [(500, True), (503, False), (429, False)])
def test_the_end_of_the_run_names_the_option_where_it_would_help(status, advice):
    with pytest.raises(Unreachable) as raised:
        many_alike(Reply(status, b""))
    assert ("--api-is-up" in str(raised.value)) is advice


def test_a_few_that_always_get_500_are_given_up_together():
    async def main():
        async with way(Api(after=Reply(500, b""))) as w:
            return await asyncio.gather(*(w.sender.final_answer(w.attempt(EVENT, number)) for number in (1, 2, 3)))

    assert [answer.reason for answer in run(main())] == [Reason.RETRIES_EXHAUSTED] * 3


def down_for(hours, failure):
    class Down(Api):
        async def __call__(self, request, key):
            down = asyncio.get_running_loop().time() < START + hours * 3600
            self.after = failure if down else OK
            return await super().__call__(request, key)

    return Down()


def two_events(api, request=EVENT):
    """Two together, so that neither is alone in failing: the API is down for both."""

    async def main():
        async with way(api, give_up_after=None) as w:
            return await asyncio.gather(*(w.sender.final_answer(w.attempt(request, number)) for number in (1, 2)))

    return run(main())


def test_an_unclear_event_is_not_sent_again_after_23_hours():
    api = down_for(24, Broken("cut"))
    for answer in two_events(api):
        assert (answer.verdict, answer.unclear_before) == (Verdict.UNKNOWN, True)
    assert max(api.times) - START <= 23 * 3600 + 1


def test_it_goes_again_until_then():
    assert all(answer.ok for answer in two_events(down_for(22.9, Broken("cut"))))


def test_what_was_never_sent_waits_for_as_long_as_it_takes():
    assert all(answer.ok for answer in two_events(down_for(24, NotSent("refused"))))


@pytest.mark.parametrize("request_", [PROFILES, AUDIENCES])
def test_harmless_requests_go_again_after_any_time(request_):
    assert all(answer.ok for answer in two_events(down_for(24, Broken("cut")), request_))


def test_a_wait_that_ends_after_the_key_is_not_followed_by_a_try():
    api = Api(Broken("cut"), after=Reply(429, b"", "3000"))

    def old(w, attempt):
        attempt.first_sent = w.sender.wall() - 22.5 * 3600

    answer = answer_of(api, before=old, give_up_after=None)[0]
    assert answer.verdict is Verdict.UNKNOWN
    assert max(api.times) - START <= 0.5 * 3600


def test_stopping_ends_the_waiting():
    async def main():
        async with way(Api(after=NotSent("refused"))) as w:
            task = asyncio.create_task(w.sender.final_answer(w.attempt(EVENT)))
            await asyncio.sleep(20.0)
            w.sender.stopping.set()
            with pytest.raises(StopRun, match="stopped"):
                await task
            return asyncio.get_running_loop().time() - START

    assert run(main()) == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize(
    ("first", "retracted"),
    [(Reply(429, b""), 1), (Reply(409, b""), 1), (NotSent("no"), 1), (Reply(503, b""), 0), (Broken("cut"), 0)],
)
def test_a_try_that_did_not_act_is_taken_back_from_the_journal(first, retracted):
    events = []

    async def main():
        async def send(request, key):
            events.append("sent")
            if len([word for word in events if word == "sent"]) == 1:
                if isinstance(first, Exception):
                    raise first
                return first
            return OK

        async with way(send) as w:
            attempt = w.attempt(EVENT)
            attempt.observer = Noting(events)
            return await w.sender.final_answer(attempt)

    assert run(main()).ok
    again = ["retracted", "started"] if retracted else []
    assert events == ["started", "sent", *again, "sent"]


def test_a_retry_after_pauses_all_and_is_said_once(caplog):
    """Several are under way, and each of them may get the answer to wait."""
    api = Api(*[OK] * 5, *[Reply(429, b"", "30")] * 3)

    async def main():
        async with way(api, give_up_after=None) as w:
            attempts = [w.attempt(EVENT, number) for number in range(1, 301)]
            return await asyncio.gather(*(w.sender.final_answer(attempt) for attempt in attempts))

    assert all(answer.ok for answer in run(main()))
    before = [at for at in api.times if at < START + 30.0]
    after = sorted(at for at in api.times if at >= START + 30.0)
    assert len(before) <= 30, "what had left before it was known"
    assert after[50] - after[0] >= 0.09, "it goes on at half the pace, and faster from there"
    assert [record.levelname for record in caplog.records if "asks for a pause" in record.message] == ["WARNING"]


def test_a_clock_that_is_set_back_does_not_make_a_key_younger():
    api = down_for(24, Broken("cut"))
    back = []

    async def main():
        async with way(api, give_up_after=None) as w:
            wall = w.sender.wall
            w.sender.wall = lambda: wall() - (20 * 3600.0 if back else 0.0)
            attempts = [w.sender.final_answer(w.attempt(EVENT, number)) for number in (1, 2)]
            answers = asyncio.gather(*attempts)
            await asyncio.sleep(3600.0)
            back.append(True)
            return await answers

    assert {answer.verdict for answer in run(main())} == {Verdict.UNKNOWN}
    assert max(api.times) - START <= 23 * 3600 + 1


def test_a_clock_that_is_set_back_ends_no_retries_of_this_process():
    """How long ago this process sent a request is known without the system's clock."""
    api = Api(Broken("cut"))
    back = []

    async def main():
        async with way(api, give_up_after=None) as w:
            wall = w.sender.wall
            w.sender.wall = lambda: wall() - (10 * 3600.0 if back else 0.0)
            answer = asyncio.ensure_future(w.sender.final_answer(w.attempt(EVENT, 1)))
            while not api.times:
                await asyncio.sleep(0.001)
            back.append(True)
            return await answer

    assert run(main()).ok
    assert len(api.times) == 2


def test_a_clock_that_is_set_back_unprotects_what_an_earlier_process_sent():
    api = Api(Broken("cut"))

    async def main():
        async with way(api, give_up_after=None) as w:
            attempt = w.attempt(EVENT, 1)
            attempt.ambiguous, attempt.first_sent = True, w.sender.wall()
            answer = asyncio.ensure_future(w.sender.final_answer(attempt))
            while not api.times:
                await asyncio.sleep(0.001)
            wall = w.sender.wall
            w.sender.wall = lambda: wall() - 10 * 3600.0
            return await answer

    assert run(main()).verdict is Verdict.UNKNOWN
    assert len(api.times) == 1


def test_what_was_sent_in_the_future_is_not_protected():
    assert key_holds(1000.0, 1000.0 + KEY_HOLDS)
    assert not key_holds(1000.0, 1001.0 + KEY_HOLDS)
    assert key_holds(1000.0, 970.0)
    assert not key_holds(1_000_000.0, 900_000.0), "the clock was set back since"
