"""A request that must not be sent twice, in a process whose engine retries bundles."""

import asyncio

import pytest
from support.fakeloop import START, run
from support.sender_fixture import EPOCH, way

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.observer import NoObserver
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.deduplication import DeduplicationCache, is_unsafe
from beam_talonone.talonone.engine.job import Ended, Job
from beam_talonone.talonone.http.send import Broken, NotSent, Reply
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome

T = "2026-05-01T12:00:00Z"
PROGRAM = {"loyaltyProgramId": 5}
CODE = Reply(201, b'{"code":"X"}')


def call(operation, body=None, path=None, call_id="k"):
    record = {"call_id": call_id, "operation": operation, "path": path or {}, "body": body, "event_time": T}
    return build("calls", parse("calls", record).record, BuildOptions())


def referral(call_id="k", advocate="c"):
    return call("create_referral", {"campaignId": 3, "advocateProfileIntegrationId": advocate}, call_id=call_id)


def referrals(count, call_id="k"):
    advocates = [f"c{number}" for number in range(count)]
    body = {"campaignId": 3, "advocateProfileIntegrationIds": advocates, "usageLimit": 1}
    return call("create_referrals_for_multiple_advocates", body, call_id=call_id)


def record(kind, **fields):
    return build(kind, parse(kind, {"event_time": T, "customer_id": "c", **fields}).record, BuildOptions())


@pytest.mark.parametrize(
    ("work", "unsafe"),
    [
        (referral(), True),
        (referrals(1), True),
        (referrals(2500), True),
        (call("generate_loyalty_card", {}, PROGRAM), True),
        (call("generate_loyalty_card", {"customerProfileIds": ["c"]}, PROGRAM), True),
        (call("generate_loyalty_card", {"cardIdentifier": "card"}, PROGRAM), False),
        (call("create_audience_v2", {"name": "a"}), True),
        (call("create_audience_v2", {"name": "a", "integrationId": "i"}), False),
        (call("delete_customer_data", None, {"integrationId": "c"}), False),
        (call("create_coupon_reservation", {"integrationIDs": ["c"]}, {"couponValue": "X"}), False),
        (call("track_event_v3", {"profileId": "c", "integrationId": "e", "type": "view"}), False),
        (record("orders", order_id="o", status="open"), False),
        (record("returns", return_id="r", order_id="o", items=[{"sku": "a", "quantity": 1}]), False),
        (record("profiles", attributes={"a": 1}, erase=True), False),
        (record("events", event_id="e", type="view"), False),
    ],
)
def test_what_would_act_again(work, unsafe):
    assert is_unsafe(work) is unsafe
    assert isinstance(DeduplicationCache().observer(work), NoObserver)
    # nothing is kept of what may go again
    assert (type(DeduplicationCache().observer(work)) is NoObserver) is not unsafe


def test_what_left_is_remembered_until_it_ended_or_was_taken_back():
    once, work, other = DeduplicationCache(), referrals(2500), referral("other")
    observer = once.observer(work)
    assert once.in_flight(work) == {}
    observer.on_start([(1, 0)], 0, 10.0)
    observer.on_start([(1, 1)], 0, 11.0)
    observer.on_start([(1, 1)], 1, 12.0)
    once.observer(other).on_start([(2, 0)], 0, 13.0)
    assert once.in_flight(work) == {0: InFlight(0, 10.0), 1: InFlight(1, 12.0)}
    observer.on_retract(1, 1)
    observer.on_retract(1, 2)
    assert once.in_flight(work) == {0: InFlight(0, 10.0)}
    once.in_flight(work).clear()
    assert once.in_flight(work) == {0: InFlight(0, 10.0)}
    outcome = Outcome(End.APPLIED)
    observer.on_end(1, outcome)
    assert once.in_flight(work) == {}
    assert once.before(work) == outcome
    assert once.in_flight(other) == {0: InFlight(0, 13.0)}


class Api:
    """Says yes to all but what stands in `script`; counts what it acted on."""

    def __init__(self, *script):
        self.script, self.requests, self.acted = list(script), 0, 0

    async def __call__(self, request, key):
        assert key is None
        self.requests += 1
        answer = self.script.pop(0) if self.script else CODE
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = CODE
        if isinstance(answer, Exception):
            raise answer
        self.acted += answer.status < 300
        return answer


def bundle(once, api, *works, dies_after=None):
    """The outcomes of a bundle with these records, or {} when it died after so many seconds."""
    outcomes = {}

    def job(number, work):
        def look(job):
            ended = once.before(work)
            return SessionFacts() if ended is None else Ended(ended)

        def on_outcome(job, outcome):
            outcomes[number] = outcome

        return Job(number, work, SendOptions(), look, on_outcome, once.observer(work), once.in_flight(work))

    async def main():
        async with way(api) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            for number, work in enumerate(works):
                batcher.accept(job(number, work))
            for _ in range(2000 if dies_after is None else dies_after):
                await asyncio.sleep(1.0)
                if len(outcomes) == len(works) and dies_after is None:
                    return outcomes
            assert dies_after is not None
            return {}

    return run(main())


def test_a_bundle_that_is_tried_again_gives_the_same_outcomes_and_sends_nothing():
    once, api, works = DeduplicationCache(), Api(), [referral("a"), referrals(2500, "b")]
    first = bundle(once, api, *works)
    assert (api.acted, {outcome.end for outcome in first.values()}) == (4, {End.APPLIED})
    assert first[1].attempts == 3
    assert bundle(once, api, *works) == first
    assert api.requests == 4


def test_a_refusal_is_not_remembered():
    """Nothing was made: the record may come again, fixed or not."""
    once, api = DeduplicationCache(), Api(Reply(400, b'{"message":"no such campaign"}'))
    first = bundle(once, api, referral())
    assert (first[0].end, first[0].reason) == (End.DEAD, "refused")
    assert bundle(once, api, referral())[0].end is End.APPLIED
    assert api.requests == 2


def test_what_was_in_flight_when_a_bundle_died_is_not_sent_again():
    once, api = DeduplicationCache(), Api(3600.0)
    assert bundle(once, api, referral(), dies_after=5) == {}
    (outcome,) = bundle(once, api, referral()).values()
    assert (outcome.end, outcome.reason, api.requests) == (End.DEAD, "outcome_unknown", 1)
    assert outcome.first_sent == pytest.approx(EPOCH + START)
    assert bundle(once, api, referral())[0] == outcome


@pytest.mark.parametrize("failure", [Reply(429, b"", "3600"), NotSent("refused"), Reply(409, b"", "3600")])
def test_what_is_known_not_to_have_acted_goes_again(failure):
    refuses = isinstance(failure, NotSent)
    once, api = DeduplicationCache(), Api(*[failure] * (6 if refuses else 1))
    assert bundle(once, api, referral(), dies_after=2) == {}
    assert once.in_flight(referral()) == {}
    (outcome,) = bundle(once, api, referral()).values()
    assert (outcome.end, api.acted) == (End.APPLIED, 1)


def test_an_unclear_try_ends_and_is_never_repeated():
    once, api = DeduplicationCache(), Api(Broken("cut"))
    first = bundle(once, api, referral())
    assert (first[0].reason, first[0].detail) == ("outcome_unknown", "cut")
    assert bundle(once, api, referral()) == first
    assert api.requests == 1


def test_of_a_call_of_several_requests_the_rest_is_still_sent():
    """The second of three is in flight when the bundle dies: nobody knows whether it acted, the third never left."""
    once, api = DeduplicationCache(), Api(CODE, 3600.0)
    assert bundle(once, api, referrals(2500), dies_after=5) == {}
    assert (api.requests, api.acted) == (2, 1)
    (outcome,) = bundle(once, api, referrals(2500)).values()
    assert (outcome.end, outcome.reason) == (End.DEAD, "outcome_unknown")
    assert (api.requests, api.acted) == (3, 2)


def test_what_the_api_has_taken_of_a_dead_letter_stays_known():
    """Without `parts_done` a replay would make the first thousand codes a second time."""
    once, api = DeduplicationCache(), Api(CODE, Reply(400, b'{"message":"no"}'))
    first = bundle(once, api, referrals(1500))
    assert (first[0].parts_done, first[0].reason) == ([0], "refused")
    assert bundle(once, api, referrals(1500)) == first


def test_what_a_dry_run_left_out_is_not_taken_for_ended():
    once, work = DeduplicationCache(), referral()
    once.observer(work).on_end(1, Outcome(End.SKIPPED, "not_dry"))
    assert once.before(work) is None
