"""A bulk that the API answers with 500 until its retries are exhausted: poisoned records, or an API that is down?"""

import asyncio

import pytest
from support.fakeloop import run
from support.sender_fixture import way

from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.retry_budget import FEW, LEAST_TIME
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.errors import Unreachable
from beam_talonone.talonone.http.send import Reply
from beam_talonone.talonone.requests.outcome import End

from .test_batcher import JobCollector, work


class Api:
    """Answers 500 to each request with an entry of `poison`, after a while."""

    def __init__(self, poison):
        self.poison, self.applied, self.calls = set(poison), [], 0

    async def __call__(self, request, key):
        await asyncio.sleep(0.05)
        self.calls += 1
        customers = [entry["integrationId"] for entry in request.body_json()["customerProfiles"]]
        if self.poison & set(customers):
            return Reply(500, b"")
        self.applied += customers
        return Reply(200, b"{}")


def sent(api, count):
    """Send `count` profiles in one bulk: the outcomes, what stopped the run, and the seconds that it took."""
    collector = JobCollector()

    async def main():
        loop = asyncio.get_running_loop()
        async with way(api) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            for number in range(count):
                batcher.accept(collector.job(number, work(number, "attributes", f"c{number}")))
            batcher.flush()
            began = loop.time()
            while len(collector.outcomes) < count and not w.failures and loop.time() - began < 100_000:
                await asyncio.sleep(1.0)
            return w.failures, loop.time() - began, w.permits.in_flight

    failures, seconds, in_flight = run(main())
    assert in_flight == 0, "a permit was not returned"
    return collector.outcomes, failures, seconds


@pytest.mark.parametrize("count", [FEW + 1, 50, 1000])
def test_an_api_that_fails_for_all_ends_the_run(count):
    outcomes, failures, seconds = sent(Api(f"c{number}" for number in range(count)), count)
    assert outcomes == {}
    assert isinstance(failures[0], Unreachable)
    assert seconds <= LEAST_TIME + 300.0 + 60.0


@pytest.mark.parametrize("poison", [{0}, {49}, {7, 8, 30}, set(range(9)), set(range(0, 1000, 100))])
def test_poisoned_records_are_dead_letters_and_the_others_applied(poison):
    api = Api(f"c{number}" for number in poison)
    outcomes, failures, seconds = sent(api, 1000)
    assert failures == []
    assert {number for number, outcome in outcomes.items() if outcome.end is End.DEAD} == poison
    assert {outcomes[number].reason for number in poison} == {Reason.RETRIES_EXHAUSTED.value}
    assert sorted(api.applied) == sorted(f"c{number}" for number in range(1000) if number not in poison)
    assert seconds <= 12 * len(poison) * (LEAST_TIME + 30.0)


def test_a_few_poisoned_records_that_are_all_there_is_are_dead_letters():
    outcomes, failures, _ = sent(Api(f"c{number}" for number in range(FEW - 1)), FEW - 1)
    assert (failures, {outcome.end for outcome in outcomes.values()}) == ([], {End.DEAD})
