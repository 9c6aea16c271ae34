"""A 401, a 403 or a redirect that one request meets, and one that all meet: whose fault it is."""

import asyncio

import pytest
from support.fakeloop import START, run
from support.sender_fixture import way

from beam_talonone.schemas.operations.audiences import AudienceActions, update_customer_profile_audiences
from beam_talonone.schemas.operations.events import TrackEvent, track_event_v2
from beam_talonone.schemas.operations.referrals import NewReferral, create_referral
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.refused_key import IN_A_ROW, Evidence, Fault, RefusedRequests
from beam_talonone.talonone.errors import KeyRefused, StopRun, WrongAddress
from beam_talonone.talonone.http.responses import Verdict
from beam_talonone.talonone.http.send import Broken, Reply

OK = Reply(204, b"")
PAGE = Reply(403, b"<html>Request blocked</html>")
REFUSALS = [Reply(401, b""), PAGE, Reply(302, b""), Reply(308, b"<html>moved</html>")]
AUDIENCES = update_customer_profile_audiences(
    AudienceActions.model_validate({"data": [{"action": "add", "profileIntegrationId": "c", "audienceId": 1}]})
)


def event(word):
    return track_event_v2(TrackEvent(profileId="c", type=word))


class Firewall:
    """Refuses requests whose body has the word `bad`, and all of them while `closed` says so. What reads `reads`."""

    def __init__(self, refusal=PAGE, closed=lambda seconds, number: False, reads=None, takes=0.01):
        self.refusal, self.closed, self.reads, self.takes = refusal, closed, reads, takes
        self.log, self.times = [], []

    async def __call__(self, request, key):
        self.log.append(request.operation)
        now = asyncio.get_running_loop().time() - START
        self.times.append(now)
        number = len(self.log)
        await asyncio.sleep(self.takes)
        if request.method == "GET" and self.reads is not None:
            return self.reads
        if self.closed(now, number):
            return self.refusal
        if request.method == "GET":
            return Reply(404, b'{"message":"no such session"}')
        return self.refusal if b"bad" in (request.body or b"") else OK


def sent(api, words, *, hold_on=None, every=0.0, earlier=False, until=None, suspected=None, **settings):
    """The answers to events of these words, in order; the sender's refusals a second. `suspected` gets the statuses
    whose cause was open, a second."""
    refusals = []
    suspected = [] if suspected is None else suspected

    async def main():
        async with way(api, **settings) as w:
            w.sender.gate.hold_on = hold_on
            w.sender.gate.evidence.earlier = earlier

            async def one(number, word):
                await asyncio.sleep(number * every)
                request = word if not isinstance(word, str) else event(word)
                return await w.sender.final_answer(w.attempt(request, number))

            async def look():
                while True:
                    refusals.append(w.sender.gate.refusal)
                    suspected.append(w.sender.gate.suspected)
                    await asyncio.sleep(1.0)

            looking = asyncio.create_task(look())
            all_of_them = asyncio.gather(*(one(number, word) for number, word in enumerate(words, 1)))
            answers = await asyncio.wait_for(all_of_them, until)
            looking.cancel()
            return answers

    return run(main()), refusals


def ends(answers):
    return [answer.reason for answer in answers]


def among(count, *bad):
    return ["bad" if number in bad else "good" for number in range(count)]


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("concurrency", [1, 4, 64])
@pytest.mark.parametrize("place", [0, 10, 19])
def test_one_request_of_many_is_refused_for_what_it_is(refusal, concurrency, place):
    """Whether it comes first, in between, or last, and however many are under way."""
    api = Firewall(refusal)
    answers, _ = sent(api, among(20, place), concurrency=concurrency)
    assert ends(answers) == [Reason.REFUSED if number == place else None for number in range(20)]
    assert (answers[place].verdict, answers[place].status) == (Verdict.REFUSED, refusal.status)
    assert f"status {refusal.status}" in answers[place].message
    assert api.log.count("track_event_v2") == 21, "the refused one goes a second time, before it is believed"


def test_a_refusal_is_suspected_until_its_cause_is_known():
    statuses = []
    sent(Firewall(), ["good", "bad", *["good"] * 3], every=3.0, suspected=statuses)
    assert 403 in statuses
    assert (statuses[0], statuses[-1]) == (None, None)


@pytest.mark.parametrize("last", [10, 200])
def test_many_are_refused_for_what_they_are(last):
    """Also more in a row than a wrong key would be given."""
    bad = set(range(0, 600, 2)) | set(range(100, 110)) | set(range(600 - last, 600))
    answers, _ = sent(Firewall(takes=0.2), among(600, *bad))
    assert {number for number, answer in enumerate(answers) if answer.reason is Reason.REFUSED} == bad


@pytest.mark.parametrize("refusal", REFUSALS)
def test_the_only_request_says_nothing_of_itself(refusal):
    """It is not taken for a bad record: the key may be wrong."""
    api = Firewall(refusal)
    with pytest.raises((KeyRefused, WrongAddress)):
        sent(api, ["bad"])
    assert len(api.log) == 1, "nothing else is asked before the first success"


def test_the_only_request_of_a_job_that_was_accepted_before_is_refused_for_what_it_is():
    """Resumed at the very record: else each run would end at it."""
    api = Firewall()
    (answer,), _ = sent(api, ["bad"], earlier=True)
    assert (answer.verdict, answer.reason) == (Verdict.REFUSED, Reason.REFUSED)
    assert set(api.log) == {"track_event_v2", "get_customer_session"}


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize("concurrency", [1, 64])
@pytest.mark.parametrize("count", [1, 2, 19, 500])
def test_a_key_that_is_wrong_for_all_stops_the_run(count, concurrency, earlier):
    api = Firewall(Reply(401, b""), closed=lambda seconds, number: True)
    with pytest.raises(KeyRefused):
        sent(api, among(count, 0), concurrency=concurrency, earlier=earlier)
    assert len(api.log) <= IN_A_ROW + 2 * concurrency


@pytest.mark.parametrize("concurrency", [1, 8, 64])
@pytest.mark.parametrize("left", [1, 2, 10, 300])
def test_a_key_that_is_revoked_meanwhile_stops_the_run_and_harms_no_request(left, concurrency):
    ended = []

    async def main():
        api = Firewall(Reply(401, b""), closed=lambda seconds, number: number > 100)
        async with way(api, concurrency=concurrency) as w:

            async def one(number):
                ended.append(await w.sender.final_answer(w.attempt(event("good"), number)))

            await asyncio.gather(*(one(number) for number in range(100 + left)))

    with pytest.raises(KeyRefused):
        run(main())
    assert len(ended) == 100
    assert all(answer.ok for answer in ended)


def test_a_refusal_of_all_that_passes_harms_nobody():
    """A second in which a node of the API did not know the key."""
    api = Firewall(closed=lambda seconds, number: 0.05 <= seconds < 0.06)
    answers, _ = sent(api, ["good"] * 200, concurrency=12)
    assert all(answer.ok for answer in answers)


def test_one_that_may_have_acted_before_is_not_taken_for_refused():
    """A firewall in front of the API refused it, which knows nothing of the first try."""
    script = [Broken("cut"), PAGE, PAGE]

    async def send(request, key):
        return await firewall(request, key) if b"good" in (request.body or b"good") else tell()

    def tell():
        answer = script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    firewall = Firewall()
    answers, _ = sent(send, ["good", "once", "good"], every=0.1)
    assert [answer.ok for answer in answers] == [True, False, True]
    assert (answers[1].verdict, answers[1].unclear_before) == (Verdict.UNKNOWN, True)


def test_a_see_other_may_have_acted():
    api = Firewall(Reply(303, b""))
    answers, _ = sent(api, among(5, 2))
    assert answers[2].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_for_one_request_says_nothing_of_the_address(status):
    api = Firewall(Reply(status, b"<html>hello</html>"))
    answers, _ = sent(api, among(20, 0), every=1.0, concurrency=4)
    assert [answer.ok for answer in answers] == [False] + [True] * 19


@pytest.mark.parametrize("status", [400, 413, 406, 451])
def test_a_page_with_another_status_is_a_refusal_from_the_first_request_on(status):
    answers, _ = sent(Firewall(Reply(status, b"<html>no</html>")), ["bad"])
    assert (answers[0].verdict, answers[0].status) == (Verdict.REFUSED, status)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_page_of_a_gateway_is_an_outage_from_the_first_request_on(status):
    api = Firewall(Reply(status, b"<html>bad gateway</html>"), closed=lambda seconds, number: seconds < 30.0)
    answers, _ = sent(api, ["good"] * 3)
    assert all(answer.ok for answer in answers)


@pytest.mark.parametrize("status", [200, 404, 405])
def test_a_page_for_all_is_a_wrong_address(status):
    with pytest.raises(WrongAddress, match="base-url"):
        sent(Firewall(Reply(status, b"<html>hello</html>"), closed=lambda seconds, number: True), ["good"] * 30)


def test_an_outage_does_not_release_what_a_refused_key_holds_back():
    """Refused for ten minutes, and once in a while a 503."""

    class Api(Firewall):
        async def __call__(self, request, key):
            reply = await super().__call__(request, key)
            return Reply(503, b"") if reply is self.refusal and len(self.log) % 5 == 0 else reply

    api = Api(Reply(401, b""), closed=lambda seconds, number: seconds < 600.0)
    answers, refusals = sent(api, ["good"] * 40, hold_on=lambda why: True, concurrency=4, give_up_after=None)
    assert all(answer.ok for answer in answers)
    assert all(isinstance(why, KeyRefused) for why in refusals[10:600]), (
        "it stays refused until something is accepted"
    )
    alone = [at for at in api.times if 10.0 < at < 600.0]
    assert len(alone) < 40


def test_a_stream_goes_on_beside_a_message_that_is_refused():
    answers, refusals = sent(Firewall(), among(50, 3, 20, 49), hold_on=lambda why: True, every=0.5)
    assert [number for number, answer in enumerate(answers) if answer.reason is Reason.REFUSED] == [3, 20, 49]
    assert not any(refusals), "the key was never suspected"


def test_the_first_message_of_a_stream_waits_for_another_to_compare_with():
    """Reading works, so reading goes on; and nothing is a dead letter before another message is accepted."""
    api = Firewall()
    answers, refusals = sent(api, ["bad", "good"], hold_on=lambda why: True, every=600.0)
    assert ends(answers) == [Reason.REFUSED, None]
    assert not any(refusals)
    assert api.log.count("get_customer_session") <= 2


def test_a_stream_whose_key_may_only_read_holds():
    writes = Firewall(Reply(403, b""), closed=lambda seconds, number: True, reads=Reply(404, b'{"message":"no"}'))
    with pytest.raises(TimeoutError):
        sent(writes, ["good"] * 300, hold_on=lambda why: True, every=1.0, until=500.0)
    assert len(writes.log) < IN_A_ROW + 40


def test_stopping_ends_the_waiting_of_a_suspect():
    async def main():
        async with way(Firewall()) as w:
            w.sender.gate.hold_on = lambda why: True
            task = asyncio.create_task(w.sender.final_answer(w.attempt(event("bad"))))
            await asyncio.sleep(60.0)
            assert not task.done()
            w.sender.stopping.set()
            await asyncio.sleep(0.2)
            assert isinstance(task.exception(), StopRun)

    run(main())


def test_what_must_not_go_twice_is_tried_again_after_a_refusal():
    """A refusal did not act, so that is no second time."""
    referral = create_referral(NewReferral(campaignId=1, advocateProfileIntegrationId="c"))
    api = Firewall(closed=lambda seconds, number: number == 1)
    answers, _ = sent(api, [referral, "good", AUDIENCES])
    assert all(answer.ok for answer in answers)


def test_a_page_may_have_acted_and_what_must_not_go_twice_does_not():
    """Also when it is the very first answer, and a stream waits for the address to be put right."""
    referral = create_referral(NewReferral(campaignId=1, advocateProfileIntegrationId="c"))
    page = Reply(200, b"<html>signed out</html>")
    beside = Firewall(page, closed=lambda seconds, number: number == 1)
    answers, _ = sent(beside, [referral, "good", "good"], every=0.1)
    assert [answer.verdict for answer in answers] == [Verdict.UNKNOWN, Verdict.APPLIED, Verdict.APPLIED]
    assert beside.log.count("create_referral") == 1
    alone = Firewall(page, closed=lambda seconds, number: seconds < 100.0, reads=page)
    answers, _ = sent(alone, [referral], hold_on=lambda why: True)
    assert (answers[0].verdict, alone.log.count("create_referral")) == (Verdict.UNKNOWN, 1)


def test_the_evidence_of_one_key_says_nothing_of_another():
    evidence = Evidence()
    refused_at = evidence.refuses(0, evidence.leaves())
    evidence.use(1)
    evidence.accepts(0, evidence.leaves())
    assert evidence.accepted <= refused_at
    evidence.accepts(1, evidence.leaves())
    assert evidence.accepted > refused_at


def test_what_had_left_before_the_refusal_proves_nothing():
    """The key may have been revoked between the two."""
    evidence = Evidence()
    early, late = evidence.leaves(), evidence.leaves()
    refused_at = evidence.refuses(0, late)
    evidence.accepts(0, early)
    assert evidence.accepted <= refused_at


def test_what_was_refused_before_the_key_was_put_right_says_nothing_of_the_request():
    """Also when nobody looked while all were waiting for it."""

    async def fault(evidence, refused_at):
        async def never():
            raise AssertionError("it need not be asked")

        suspects = RefusedRequests(evidence, lambda key: False, lambda count: False, never, lambda: True)
        return await suspects.fault(0, refused_at)

    evidence = Evidence()
    evidence.accepts(0, evidence.leaves())
    before = evidence.refuses(0, evidence.leaves())
    evidence.put_right()
    evidence.accepts(0, evidence.leaves())
    after = evidence.refuses(0, evidence.leaves())
    evidence.accepts(0, evidence.leaves())
    assert run(fault(evidence, before)) is Fault.OPEN
    assert run(fault(evidence, after)) is Fault.OWN
