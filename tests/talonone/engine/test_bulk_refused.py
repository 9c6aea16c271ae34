"""A bulk that is refused with 401, 403 or a redirect because of a few of its entries, or because of the key."""

import asyncio
import random

import pytest
from support.fakeloop import run
from support.sender_fixture import way

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.errors import KeyRefused
from beam_talonone.talonone.http.send import Reply
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End
from tests.talonone.engine.test_batcher import JobCollector, T

MOST = 22
"""Requests that one bad entry of a bulk of 1000 may cost."""


def profile(number, bad):
    fields = {"customer_id": f"c{number}", "event_time": T, "attributes": {"note": "<b>" if bad else "x"}}
    return build("profiles", parse("profiles", fields).record, BuildOptions())


class Firewall:
    """Refuses a body with a tag in it; everything from the request `revoked` on."""

    def __init__(self, refusal, revoked=None):
        self.refusal, self.revoked, self.log, self.applied = refusal, revoked, [], set()

    async def __call__(self, request, key):
        self.log.append(request.operation)
        if self.revoked is not None and len(self.log) >= self.revoked:
            return self.refusal
        if request.method == "GET":
            return Reply(404, b'{"message":"no such session"}')
        if b"<b>" in request.body:
            return self.refusal
        self.applied |= {entry["integrationId"] for entry in jsonio.loads(request.body)["customerProfiles"]}
        return Reply(204, b"")


def outcomes(api, count, bad, hold_on=None, later=None):
    """How `count` profiles ended that came together, of which these are `bad`; and a good one that came `later`."""
    collector = JobCollector()

    async def main():
        async with way(api, give_up_after=None) as w:
            w.sender.gate.hold_on = hold_on
            batcher = Batcher(w.dispatcher, w.sender)
            for number in range(count):
                batcher.accept(collector.job(number, profile(number, number in bad)))
            batcher.flush()
            if later is not None:
                await asyncio.sleep(later)
                batcher.accept(collector.job(count, profile(count, False)))
                batcher.flush()
            await collector.ended(count + (later is not None), w)

    run(main())
    return collector.outcomes


@pytest.mark.parametrize("refusal", [Reply(401, b""), Reply(403, b"<html>blocked</html>"), Reply(307, b"")])
@pytest.mark.parametrize("place", [0, 1, 500, 841, 998, 999])
def test_one_bad_entry_costs_itself_and_a_few_requests(refusal, place):
    """There is nothing else to compare with: the bulk's own parts show that the key is accepted."""
    api = Firewall(refusal)
    found = outcomes(api, 1000, {place})
    dead = {number: outcome for number, outcome in found.items() if outcome.end is End.DEAD}
    assert set(dead) == {place}
    assert (dead[place].reason, dead[place].status) == ("refused", refusal.status)
    assert len(api.applied) == 999
    assert len(api.log) <= MOST
    assert "get_customer_session" not in api.log


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_one_bad_entry_of_few_costs_itself_alone(count):
    for place in range(count):
        api = Firewall(Reply(401, b""))
        found = outcomes(api, count, {place}, lambda why: True)
        assert [number for number, outcome in found.items() if outcome.end is End.DEAD] == [place]
        assert len(api.log) <= 12


@pytest.mark.parametrize("count", [2, 3, 10, 40])
def test_several_bad_entries_cost_no_other(count):
    bad = set(random.Random(count).sample(range(1000), count))
    api = Firewall(Reply(403, b""))
    found = outcomes(api, 1000, bad)
    assert {number for number, outcome in found.items() if outcome.end is End.DEAD} == bad
    assert len(api.log) <= MOST * count


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
def test_a_wrong_key_is_not_looked_for_in_the_entries(count):
    api = Firewall(Reply(401, b""), revoked=1)
    with pytest.raises(AssertionError, match="KeyRefused"):
        outcomes(api, count, {})
    assert len(api.log) <= MOST


def test_a_key_that_is_revoked_while_a_bulk_is_taken_apart_harms_no_entry():
    ended = {}
    for revoked in range(2, 20):
        api = Firewall(Reply(401, b""), revoked=revoked)
        collector = JobCollector()

        async def main(api=api, collector=collector):
            async with way(api, give_up_after=None) as w:
                batcher = Batcher(w.dispatcher, w.sender)
                for number in range(1000):
                    batcher.accept(collector.job(number, profile(number, number == 300)))
                batcher.flush()
                await collector.ended(1000, w)

        with pytest.raises(AssertionError, match="KeyRefused"):
            run(main())
        ended |= collector.outcomes
    assert not any(outcome.end is End.DEAD for outcome in ended.values())


def test_a_stream_holds_a_bulk_until_the_key_is_right():
    api = Firewall(Reply(401, b""), revoked=1)
    reasons = []

    def hold_on(why):
        reasons.append(why)
        api.revoked = None if len(reasons) > 5 else 1
        return True

    found = outcomes(api, 1000, {7}, hold_on)
    assert isinstance(reasons[0], KeyRefused)
    assert {number for number, outcome in found.items() if outcome.end is End.DEAD} == {7}


@pytest.mark.parametrize("count", [2, 3, 5, 40])
@pytest.mark.parametrize("refused", range(1, 30))
def test_a_key_that_is_put_right_while_a_bulk_is_taken_apart_harms_no_entry(refused, count):
    """Whichever part of the bulk is the first that the API accepts, and whether the sender holds on by then."""
    api = Firewall(Reply(401, b""))
    plain = api.__call__

    async def send(request, key):
        api.revoked = 1 if len(api.log) < refused else None
        return await plain(request, key)

    found = outcomes(send, count, {}, lambda why: True, later=100.0)
    assert [number for number, outcome in found.items() if outcome.end is End.DEAD] == []
    assert len(api.applied) == count + 1
