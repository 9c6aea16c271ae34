"""Packing: what reaches the API of one customer is in the order of the records, and every record ends once."""

import asyncio
import random
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fakeloop import run
from support.sender_fixture import EPOCH, way

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.delivery.observer import NoObserver
from beam_talonone.talonone.delivery.send_options import InFlight, SendOptions
from beam_talonone.talonone.engine.batcher import Batcher
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.http.send import Broken, Reply
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome, skipped

T = "2026-05-01T12:00:00Z"


def work(number, what, customer, poison=False, mode="bulk"):
    """A record whose number can be read off its requests."""
    name = "bad" if poison else "a"
    attributes = {f"{name}{number}": number}
    audiences = {"add": [number * 10, number * 10 + 1]}
    records = {
        "attributes": ("profiles", {"customer_id": customer, "attributes": attributes}),
        "audiences": ("profiles", {"customer_id": customer, "audiences": audiences}),
        "both": ("profiles", {"customer_id": customer, "attributes": attributes, "audiences": audiences}),
        "erase": ("profiles", {"customer_id": customer, "erase": True}),
        "all": (
            "profiles",
            {"customer_id": customer, "attributes": attributes, "audiences": audiences, "erase": True},
        ),
        "order": (
            "orders",
            {"order_id": f"o{number % 3}", "customer_id": customer, "status": "open", "identifiers": [str(number)]},
        ),
        "event": ("events", {"event_id": f"e{number}", "type": f"t{number}", "customer_id": customer}),
    }
    kind, fields = records[what]
    return build(kind, parse(kind, {**fields, "event_time": T}).record, BuildOptions(profile_mode=mode))


def atoms(request):
    """(customer, what was done) one by one, in order; sessions count as customers of their own."""
    body = request.body_json()
    match request.operation:
        case "update_customer_profiles_v2":
            for entry in body["customerProfiles"]:
                for name, number in (entry.get("attributes") or {}).items():
                    yield entry["integrationId"], ("attributes", number, name.startswith("bad"))
        case "update_customer_profile_v2":
            for name, number in (body.get("attributes") or {}).items():
                yield request.path["integrationId"], ("attributes", number, name.startswith("bad"))
        case "update_customer_profile_audiences":
            for action in body["data"]:
                if action["audienceId"] % 10 == 0:
                    yield action["profileIntegrationId"], ("audiences", action["audienceId"] // 10, False)
        case "delete_customer_data":
            yield request.path["integrationId"], ("erase", None, False)
        case "update_customer_session_v2":
            number = int(body["customerSession"]["identifiers"][0])
            yield body["customerSession"]["profileId"], ("order", number, False)
            yield "session " + request.path["customerSessionId"], ("order", number, False)
        case "track_event_v2":
            yield body["profileId"], ("event", int(body["type"][1:]), False)


PARTS = {"both": ["attributes", "audiences"], "all": ["attributes", "audiences", "erase"]}


def expected(records):
    """Per customer and per session: what is to reach the API, in the order of the records."""
    wanted = defaultdict(list)
    for number, (what, customer, poison) in enumerate(records):
        for part in PARTS.get(what, [what]):
            if part == "attributes" and poison:
                continue
            wanted[customer].append((part, None if part == "erase" else number, False))
        if what == "order":
            wanted[f"session o{number % 3}"].append((what, number, False))
    return dict(wanted)


class Api:
    """Applies requests after a delay, refuses a whole bulk with a poisoned entry, and notes which overlap."""

    def __init__(self, seed, pointers, breaks):
        self.rng, self.pointers, self.breaks = random.Random(seed), pointers, breaks
        self.applied, self.busy, self.sizes, self.seen = defaultdict(list), set(), [], {}

    async def __call__(self, request, key):
        done = list(atoms(request))
        body = request.body_json() or {}
        self.sizes.append(len(body.get("customerProfiles", ())) or len(body.get("data", ())))
        who = {customer for customer, _ in done}
        assert not who & self.busy, "two requests of one customer at a time"
        self.busy |= who
        try:
            await asyncio.sleep(self.rng.choice([0.0, 0.01, 0.5]))
            return self.answer(request, key, done)
        finally:
            self.busy -= who

    def answer(self, request, key, done):
        if key is not None and key in self.seen:
            return self.seen[key]
        reply = self.look(request, done)
        if key is not None:
            self.seen[key] = reply
        if self.breaks and key is not None and self.rng.random() < 0.2:
            raise Broken("cut")
        return reply

    def look(self, request, done):
        bad = [customer for customer, atom in done if atom[2]]
        if bad:
            listed = [entry["integrationId"] for entry in request.body_json().get("customerProfiles", [])]
            places = [listed.index(customer) for customer in dict.fromkeys(bad) if customer in listed]
            problems = [
                {"title": "Unknown", "source": {"pointer": f"/customerProfiles/{place}/attributes/bad"}}
                for place in (places if self.pointers else [])
            ]
            return Reply(400, jsonio.dumps({"message": "no", "errors": problems or [{"title": "Unknown"}]}))
        for customer, atom in done:
            self.applied[customer].append(atom)
        return Reply(200, b"{}")


class JobCollector(NoObserver):
    """Collects the outcomes of jobs; `together`: those that end alike in a bulk with one call."""

    def __init__(self, together=False):
        self.outcomes, self.recorded, self.sizes = {}, [], []
        self.more = {"on_outcomes": self.on_outcomes} if together else {}

    def on_outcomes(self, jobs, outcome):
        self.sizes.append(len(jobs))
        for job in jobs:
            job.on_outcome(job, outcome)

    def job(self, number, made, **more):
        def on_outcome(job, outcome):
            assert number not in self.outcomes
            self.outcomes[number] = outcome

        more = {**self.more, **more}
        return Job(number, made, SendOptions(), lambda job: SessionFacts(session_sent=True), on_outcome, self, **more)

    def on_start(self, parts, generation, at, *, bulk=False):
        self.recorded.append(("packed", parts) if bulk else ("started", *parts[0]))

    def on_end(self, number, outcome, part=None):
        if part is not None:
            self.recorded.append(("part", number, part))
            return
        assert number not in self.outcomes
        self.recorded.append(("done", number))

    async def ended(self, count, w):
        for _ in range(5000):
            if len(self.outcomes) == count or w.failures:
                break
            await asyncio.sleep(1.0)
        assert w.failures == []
        assert len(self.outcomes) == count


RECORDS = st.lists(
    st.tuples(
        st.sampled_from(["attributes"] * 4 + ["audiences", "both", "both", "erase", "all", "order", "event"]),
        st.sampled_from("abcd"),
        st.sampled_from([False] * 5 + [True]),
    ),
    max_size=40,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    RECORDS,
    st.sets(st.integers(0, 40)),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
    st.sampled_from(["bulk", "rules"]),
    st.booleans(),
)
def test_each_customer_in_order_and_each_record_once(records, flushes, pointers, breaks, seed, mode, together):
    api, collector = Api(seed, pointers, breaks), JobCollector(together)

    async def main():
        async with way(api, give_up_after=None) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            for number, (what, customer, poison) in enumerate(records):
                batcher.accept(collector.job(number, work(number, what, customer, poison, mode)))
                if number in flushes:
                    batcher.flush()
                    await asyncio.sleep(0.3)
            batcher.flush()
            await collector.ended(len(records), w)
            assert w.dispatcher.pending == 0

    run(main())
    assert dict(api.applied) == expected(records)
    assert {number for what, number, *_ in collector.recorded if what == "done"} == set(range(len(records)))
    poisoned = {
        number for number, (what, _, poison) in enumerate(records) if poison and what in ("attributes", "both", "all")
    }
    assert {number for number, outcome in collector.outcomes.items() if outcome.end is End.DEAD} == poisoned
    for number in poisoned:
        outcome = collector.outcomes[number]
        assert (outcome.reason, outcome.status) == ("unknown_attribute", 400)
        assert outcome.pointer in (None, "/customerProfiles/0/attributes/bad")


def accept_all(works, api=None, together=False):
    """Accept works, flush, and wait for their ends; return the API and the run."""
    api, collector = api or Api(0, True, False), JobCollector(together)

    async def main():
        async with way(api) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            for number, made in enumerate(works):
                batcher.accept(collector.job(number, made))
            batcher.flush()
            await collector.ended(len(works), w)

    run(main())
    return api, collector


def test_bulks_hold_at_most_1000_profiles():
    api, collector = accept_all([work(number, "attributes", f"c{number}") for number in range(2500)])
    assert sorted(api.sizes) == [500, 1000, 1000]
    assert all(outcome.end is End.APPLIED for outcome in collector.outcomes.values())


def test_bulks_hold_at_most_1000_audience_actions():
    api, _ = accept_all([work(number, "both", f"c{number}") for number in range(900)])
    assert sorted(api.sizes) == [400, 500, 800, 1000]  # the attributes of a customer leave before its audiences


def test_records_that_end_alike_are_reported_together():
    records = [work(number, "attributes", f"c{number}", poison=number == 700) for number in range(1000)]
    records += [work(1000, "both", "d"), work(1001, "attributes", "e"), work(1002, "attributes", "e")]
    _, collector = accept_all(records, together=True)
    assert sorted(collector.sizes) == [2, 299, 700], "the bad one and the one of two requests end alone"
    assert [number for number, outcome in collector.outcomes.items() if outcome.end is End.DEAD] == [700]
    assert len(collector.outcomes) == 1003


def test_changes_of_one_customer_travel_as_one_entry():
    api, _ = accept_all([work(number, "attributes", "abc"[number % 3]) for number in range(30)])
    assert api.sizes == [3]
    assert [number for _, number, _ in api.applied["a"]] == list(range(0, 30, 3))


def test_a_bulk_is_journalled_with_all_its_members_before_it_leaves():
    _, collector = accept_all([work(0, "attributes", "a"), work(1, "both", "b"), work(2, "attributes", "a")])
    assert collector.recorded[0] == ("packed", [(0, 0), (2, 0), (1, 0)])
    assert ("packed", [(1, 1)]) in collector.recorded
    assert collector.recorded.index(("part", 1, 0)) < collector.recorded.index(("done", 1))


def test_a_bulk_in_flight_at_a_death_goes_again_under_its_key_and_its_records_are_finished():
    works = [work(0, "attributes", "a"), work(1, "all", "b"), work(2, "attributes", "a"), work(3, "both", "c")]
    keys = []

    def api_noting_keys():
        api = Api(0, True, False)

        async def send(request, key):
            keys.append((request.operation, key))
            return await api(request, key)

        return api, send

    api, send = api_noting_keys()

    async def first():
        async with way(send) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            collector = JobCollector()
            for number, made in enumerate(works):
                batcher.accept(collector.job(number, made))
            batcher.flush()
            await collector.ended(4, w)
            return next(members for what, members in collector.recorded if what == "packed")

    members = run(first())
    bulk_key = next(key for operation, key in keys if operation == "update_customer_profiles_v2")
    keys.clear()
    api, send = api_noting_keys()
    collector = JobCollector()

    async def resumed():
        async with way(send) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            jobs = {number: collector.job(number, works[number]) for number in range(4)}
            batcher.accept_pack([(jobs[number], part) for number, part in members], InFlight(0, EPOCH))
            for number in set(jobs) - {number for number, _ in members}:
                batcher.accept(jobs[number])
            batcher.flush()
            await collector.ended(4, w)

    run(resumed())
    assert keys[0] == ("update_customer_profiles_v2", bulk_key)
    assert [atom[0] for atom in api.applied["b"]] == ["attributes", "audiences", "erase"]
    assert [atom[0] for atom in api.applied["c"]] == ["attributes", "audiences"]
    assert all(outcome.end is End.APPLIED for outcome in collector.outcomes.values())


def test_parts_that_ended_in_an_earlier_run_are_not_sent_again():
    collector, api = JobCollector(), Api(0, True, False)

    async def main():
        async with way(api) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            batcher.accept(collector.job(0, work(0, "both", "a"), parts={0: Outcome(End.APPLIED)}))
            batcher.accept(collector.job(1, work(1, "event", "a"), parts={0: skipped(Skip.NOT_DRY)}))
            batcher.flush()
            await collector.ended(2, w)

    run(main())
    assert [atom[:2] for atom in api.applied["a"]] == [("audiences", 0)]
    assert collector.outcomes[1].end is End.SKIPPED


def test_what_is_looked_up_when_the_turn_comes_may_end_a_record():
    collector, api = JobCollector(), Api(0, True, False)

    async def main():
        async with way(api) as w:
            batcher = Batcher(w.dispatcher, w.sender)
            job = collector.job(0, work(0, "event", "a"))
            job.facts_of = lambda job: Outcome(End.SUPERSEDED)
            batcher.accept(job)
            await collector.ended(1, w)

    run(main())
    assert collector.outcomes[0].end is End.SUPERSEDED
    assert not api.applied


@pytest.mark.parametrize("what", ["order", "event", "erase"])
def test_a_waiting_bulk_leaves_before_what_comes_after_it(what):
    api, _ = accept_all([work(0, "attributes", "a"), work(1, "attributes", "b"), work(2, what, "a")])
    assert [atom[0] for atom in api.applied["a"]] == ["attributes", what]
