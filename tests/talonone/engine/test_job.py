"""A record of several requests on its way: when it ends, and what of it is no longer sent."""

import asyncio

import pytest
from support.fakeloop import run
from support.scripted import OK, ScriptedApi
from support.sender_fixture import way

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.observer import NoObserver
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.http.send import Reply
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome

NO = Reply(400, b'{"message":"no","errors":[{"title":"Bad","source":{"pointer":"/actions/1"}}]}')
DONE, ALREADY = Outcome(End.APPLIED, attempts=1), Outcome(End.ALREADY_APPLIED, attempts=1)
DEAD, SKIPPED = Outcome(End.DEAD, "refused"), Outcome(End.SKIPPED, "not_dry")


def call(operation, body, path=None):
    record = {"call_id": "k", "operation": operation, "path": path or {}, "body": body}
    return build("calls", parse("calls", {**record, "event_time": "2026-05-01T12:00:00Z"}).record, BuildOptions())


def sync(text):
    """A call of so many runs: "AA R A" adds two, removes one, adds one."""
    kinds = {"A": "ADD", "R": "REMOVE"}
    actions = [
        {"type": kinds[one], "payload": {"sku": f"s{place}"}} for place, one in enumerate(text.replace(" ", ""))
    ]
    work = call("sync_catalog", {"actions": actions}, {"catalogId": 7})
    assert [part.entries for part in work.parts] == [len(run) for run in text.split()]
    return work


REFERRALS = call(
    "create_referrals_for_multiple_advocates",
    {"campaignId": 3, "usageLimit": 1, "advocateProfileIntegrationIds": [f"c{number}" for number in range(2500)]},
)


class Noting(NoObserver):
    def __init__(self):
        self.ends = []

    def on_end(self, number, outcome, part=None):
        self.ends.append(("done", outcome.end) if part is None else ("part", part, outcome.end))


def job(work, outcomes, **more):
    return Job(
        1, work, SendOptions(), lambda job: SessionFacts(), lambda job, outcome: outcomes.append(outcome), **more
    )


def test_a_record_ends_with_its_last_part_and_the_journal_knows_first():
    outcomes, observer = [], Noting()
    made = job(REFERRALS, outcomes, observer=observer)
    assert made.missing == [0, 1, 2]
    made.part_done(2, DONE)
    made.part_done(0, DEAD)
    assert (made.missing, outcomes) == ([1], [])
    made.part_done(1, ALREADY)
    assert observer.ends == [("part", 2, End.APPLIED), ("part", 0, End.DEAD), ("done", End.DEAD)]
    ((outcome,), missing) = outcomes, made.missing
    assert (outcome.end, outcome.parts_done, missing) == (End.DEAD, [1, 2], [])


@pytest.mark.parametrize(
    ("parts", "part", "broken"),
    [
        ({}, 0, False),
        ({0: DONE}, 1, False),
        ({0: ALREADY, 1: DONE}, 2, False),
        ({0: DEAD}, 1, True),
        ({0: DEAD, 1: DONE}, 2, True),
        ({0: SKIPPED}, 1, True),
        ({1: DEAD}, 0, False),
        ({1: DEAD}, 1, False),
    ],
)
def test_what_builds_on_a_part_that_was_not_applied(parts, part, broken):
    assert job(sync("A R A"), [], parts=parts).broken_before(part) is broken
    assert job(REFERRALS, [], parts=parts).broken_before(part) is False  # these are nothing to each other


def carried_out(work, *script, **more):
    api, outcomes = ScriptedApi(*script), []

    async def main():
        async with way(api) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            batcher.accept(job(work, outcomes, **more))
            batcher.flush()
            for _ in range(600):
                await asyncio.sleep(1.0)
                if outcomes or w.failures:
                    break
            assert (w.failures, w.dispatcher.pending) == ([], 0)

    run(main())
    (outcome,) = outcomes
    return outcome, api


def test_after_a_refused_portion_what_builds_on_it_is_not_sent():
    outcome, api = carried_out(sync("AAA RR A R"), OK, NO)
    assert (outcome.end, outcome.reason, outcome.pointer) == (End.DEAD, "refused", "/actions/4")
    assert (outcome.parts_done, outcome.attempts, len(api.log)) == ([0], 2, 2)


def test_a_first_portion_that_is_refused_is_the_end_of_all():
    outcome, api = carried_out(sync("A R A"), NO)
    assert (outcome.end, outcome.pointer, outcome.parts_done, len(api.log)) == (End.DEAD, "/actions/1", None, 1)


def test_portions_that_are_nothing_to_each_other_all_go():
    outcome, api = carried_out(REFERRALS, OK, NO)
    assert (outcome.end, outcome.parts_done, len(api.log)) == (End.DEAD, [0, 2], 3)


def test_a_replay_goes_on_after_what_was_taken():
    outcome, api = carried_out(sync("AAA RR A"), parts={0: ALREADY})
    assert (outcome.end, len(api.log)) == (End.APPLIED, 2)
    outcome, api = carried_out(sync("AAA RR A"), parts={0: ALREADY, 1: ALREADY, 2: ALREADY})
    assert (outcome.end, api.log) == (End.ALREADY_APPLIED, [])


def test_a_failure_that_passes_breaks_nothing():
    outcome, api = carried_out(sync("A R A"), Reply(503, b""), OK, Reply(429, b""))
    assert (outcome.end, outcome.attempts, len(api.log)) == (End.APPLIED, 5, 5)
