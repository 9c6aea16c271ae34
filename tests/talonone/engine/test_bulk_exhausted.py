"""A bulk that the API answers with 500 until its retries are exhausted: poisoned records, or an API that is down?"""

import asyncio
from collections import Counter
from itertools import count

import pytest
from msgspec.structs import replace
from support.fakeloop import run
from support.sender_fixture import way

from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.retry_budget import FEW, LEAST_TIME
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.bulk import SOME, isolate, pointed_entries
from beam_talonone.talonone.errors import Unreachable
from beam_talonone.talonone.http.responses import Answer, Problem, Verdict
from beam_talonone.talonone.http.send import BadAddress, Reply
from beam_talonone.talonone.requests.outcome import End

from .test_batcher import JobCollector, work


class Api:
    """Answers 500 to each request with an entry of `poison`, after a while."""

    def __init__(self, poison):
        self.poison, self.applied, self.tries = set(poison), [], Counter()

    async def __call__(self, request, key):
        await asyncio.sleep(0.05)
        customers = [entry["integrationId"] for entry in request.body_json()["customerProfiles"]]
        self.tries.update(customers)
        if self.poison & set(customers):
            return Reply(500, b"")
        self.applied += customers
        return Reply(200, b"{}")


def sent(api, records, **settings):
    """Send `records` profiles in one bulk: the outcomes, what stopped the run, and the seconds that it took."""
    collector = JobCollector()

    async def main():
        loop = asyncio.get_running_loop()
        async with way(api, **settings) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            for number in range(records):
                batcher.accept(collector.job(number, work(number, "attributes", f"c{number}")))
            batcher.flush()
            began = loop.time()
            while len(collector.outcomes) < records and not w.failures and loop.time() - began < 100_000:
                await asyncio.sleep(1.0)
            return w.failures, loop.time() - began, w.permits.in_flight

    failures, seconds, in_flight = run(main())
    assert in_flight == 0, "a permit was not returned"
    return collector.outcomes, failures, seconds


@pytest.mark.parametrize("records", [FEW + 1, 50, 1000])
def test_an_api_that_fails_for_all_ends_the_run(records):
    outcomes, failures, seconds = sent(Api(f"c{number}" for number in range(records)), records)
    assert outcomes == {}
    assert isinstance(failures[0], Unreachable)
    assert seconds <= LEAST_TIME + 300.0 + 60.0


@pytest.mark.parametrize("records", [FEW + 1, 200])
def test_if_the_user_says_that_the_api_is_up_all_of_them_are_dead_letters(records):
    outcomes, failures, _ = sent(Api(f"c{number}" for number in range(records)), records, api_is_up=True)
    assert failures == []
    assert {outcome.reason for outcome in outcomes.values()} == {Reason.RETRIES_EXHAUSTED.value}
    assert len(outcomes) == records


@pytest.mark.parametrize("poison", [{0}, {49}, {7, 8, 30}, set(range(9)), set(range(0, 1000, 100))])
def test_poisoned_records_are_dead_letters_and_the_others_applied(poison):
    api = Api(f"c{number}" for number in poison)
    outcomes, failures, seconds = sent(api, 1000)
    assert failures == []
    assert {number for number, outcome in outcomes.items() if outcome.end is End.DEAD} == poison
    assert {outcomes[number].reason for number in poison} == {Reason.RETRIES_EXHAUSTED.value}
    assert sorted(api.applied) == sorted(f"c{number}" for number in range(1000) if number not in poison)
    assert {f"c{number}": outcome.attempts for number, outcome in outcomes.items()} == api.tries
    assert seconds <= 12 * len(poison) * (LEAST_TIME + 30.0)


def test_a_few_poisoned_records_that_are_all_there_is_are_dead_letters():
    outcomes, failures, _ = sent(Api(f"c{number}" for number in range(FEW - 1)), FEW - 1)
    assert (failures, {outcome.end for outcome in outcomes.values()}) == ([], {End.DEAD})


def sent_in_bulks(api, bulks, *, hold_on=None, give_up_after=300.0):
    """Send bulks of customers, one every 10 s: the outcomes, what stopped the run, and the circuit in the end."""
    collector, numbers = JobCollector(), count()

    async def main():
        async with way(api, give_up_after=give_up_after) as w:
            w.sender.gate.hold_on = hold_on
            batcher = Batcher(w.dispatcher, w.sender)
            for customers in bulks:
                for customer in customers:
                    number = next(numbers)
                    batcher.accept(collector.job(number, work(number, "attributes", customer)))
                batcher.flush()
                await asyncio.sleep(10.0)
            await asyncio.sleep(10_000.0)
            return w.failures, w.sender.circuit

    failures, circuit = run(main())
    return collector.outcomes, failures, circuit


def assert_all_dead_and_forgotten(outcomes, failures, circuit, records):
    assert failures == []
    assert len(outcomes) == records
    assert {outcome.end for outcome in outcomes.values()} == {End.DEAD}
    assert (circuit.failing, circuit.failing_since, circuit.unreachable) == (set(), None, False)


def test_all_records_of_a_bulk_are_dead_letters_if_the_api_works_for_others():
    poison = [f"c{number}" for number in range(FEW + 1)]
    outcomes, failures, _ = sent_in_bulks(
        Api(poison), [poison, *([f"d{number}"] for number in range(400))], give_up_after=None
    )
    assert failures == []
    assert {number for number, outcome in outcomes.items() if outcome.end is End.DEAD} == set(range(FEW + 1))
    assert len(outcomes) == FEW + 1 + 400


def test_many_changes_of_few_customers_are_dead_letters():
    customers = [f"c{number % 3}" for number in range(2 * FEW)]
    assert_all_dead_and_forgotten(*sent_in_bulks(Api(customers), [customers]), 2 * FEW)


@pytest.mark.parametrize("status", [425, 429])
def test_a_bulk_that_is_given_up_no_longer_counts_as_failing(status):
    async def api(request, key):
        return Reply(status, b"")

    customers = [f"c{number}" for number in range(2 * FEW)]
    assert_all_dead_and_forgotten(*sent_in_bulks(api, [customers]), 2 * FEW)


def test_while_records_are_tried_alone_a_stream_waits_for_its_address():
    held, calls = [], count()

    async def api(request, key):
        if len(request.body_json()["customerProfiles"]) > 1 and not held:
            return Reply(500, b"")
        if next(calls) < 10:
            raise BadAddress("no such host")
        return Reply(200, b"{}")

    outcomes, failures, _ = sent_in_bulks(
        api, [[f"c{number}" for number in range(50)]], hold_on=lambda why: not held.append(why), give_up_after=None
    )
    assert failures == []
    assert len(held) == 10
    assert {outcome.end for outcome in outcomes.values()} == {End.APPLIED}


def test_slow_failures_do_not_put_off_the_end_of_the_run():
    async def api(request, key):
        await asyncio.sleep(60.0 if len(request.body_json()["customerProfiles"]) == 1 else 0.05)
        return Reply(500, b"")

    _, failures, seconds = sent(api, 50)
    assert isinstance(failures[0], Unreachable)
    assert seconds <= LEAST_TIME + 30.0 + 300.0 + 61.0


REFUSED = Answer(500, Verdict.REFUSED, Reason.RETRIES_EXHAUSTED, "")
APPLIED = Answer(200, Verdict.APPLIED, None, "")


@pytest.mark.parametrize("entries", [*range(FEW + 1, 3 * FEW), 1000])
def test_of_each_bulk_more_entries_are_tried_than_may_be_poisoned(entries):
    tried = []

    async def send(numbers):
        return REFUSED if len(numbers) == entries else APPLIED

    async def try_some(numbers):
        tried.extend(numbers)
        return numbers[-1], APPLIED

    run(isolate(entries, send, lambda answer, numbers: [], try_some))
    assert len(set(tried)) == SOME


def test_an_exhausted_answer_points_at_places_in_the_whole_bulk():
    alone = []

    async def send(numbers):
        if len(numbers) == 1:
            alone.extend(numbers)
        if 5 not in numbers:
            return APPLIED
        return replace(REFUSED, problems=(Problem("", "", f"/data/{numbers.index(5)}"),))

    async def try_some(numbers):
        return numbers[0], APPLIED

    def pointed(answer, numbers):
        return pointed_entries("data", answer, dict.fromkeys(numbers, 1))

    answers = run(isolate(20, send, pointed, try_some))
    assert [number for number, answer in enumerate(answers) if not answer.ok] == [5]
    assert alone == [5]
