"""The processor of a key continues from its kept state, and does the same for records in any order."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.ordering.sequencer import Held, Sequencer
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End
from beam_talonone.talonone.state.per_key_state import PerKeyState
from beam_talonone.talonone.streaming.keyed_processor import (
    TOGETHER,
    Arrival,
    KeyedProcessor,
    OutboxEntry,
    Rules,
    Source,
)
from tests.talonone.ordering.test_sequencer import (
    APPLIED,
    RECORDS,
    TOO_EARLY,
    Stream,
    event,
    order,
    profile,
    returned,
)

HOUR = 3600.0
BY = (1000.0, b"this process")
ALL = st.one_of(
    RECORDS,
    st.builds(
        lambda second, which, whose: returned(second, which, customer_id=whose),
        st.integers(0, 9), st.sampled_from(["r", "s"]), st.sampled_from(["c", None]),
    ),
    st.builds(lambda second: order(second, status="completed"), st.integers(0, 9)),
)  # fmt: skip


class Forgetful:
    """A sequencer that is taken apart into bytes after each call, and put together again for the next."""

    def __init__(self, settle):
        self._settle = settle
        self._memory, self._held = msgspec.msgpack.encode(PerKeyState()), None

    def __getattr__(self, name):
        def call(*arguments):
            memory = msgspec.msgpack.decode(self._memory, type=PerKeyState)
            sequencer = Sequencer(memory, self._settle)
            if self._held is not None:
                sequencer.restore(msgspec.msgpack.decode(self._held, type=Held[int]))
            found = getattr(sequencer, name)
            found = list(found(*arguments)) if name == "drain" else found(*arguments) if callable(found) else found
            self._held = msgspec.msgpack.encode(sequencer.snapshot())
            self._memory = msgspec.msgpack.encode(memory)
            return found

        return call() if name in ("held", "waiting_for_order") else call


@given(st.lists(st.tuples(ALL, st.floats(0.0, 60.0)), max_size=25))
def test_a_sequencer_that_is_interrupted_at_any_moment_does_the_same(arrivals):
    through, interrupted = Stream(), Stream()
    interrupted.sequencer = Forgetful(5.0)
    for token, (work, now) in enumerate(sorted(arrivals, key=lambda arrival: arrival[1])):
        for stream in (through, interrupted):
            stream.arrive(work, token, now)
        assert interrupted.sequencer.held == through.sequencer.held
        assert interrupted.sequencer.waiting_for_order == through.sequencer.waiting_for_order
        assert interrupted.sequencer.drain() == list(through.sequencer.drain())
    for stream in (through, interrupted):
        stream.end()
    assert interrupted.ended_tokens == through.ended_tokens
    assert interrupted.settled == through.settled
    assert interrupted.sent == through.sent


@dataclass
class Engine:
    """Does for one key what Beam does: keeps its state, a bag of its arrived records, and one timer."""

    rules: Rules
    kept: bytes | None = None
    bag: list = field(default_factory=list)
    wake: float | None = None
    newest: tuple | None = None
    sent: list = field(default_factory=list)
    ends: dict = field(default_factory=dict)
    closed: dict = field(default_factory=dict)
    fired: int = 0

    def deliver(self, arrived):
        self.bag.append(arrived)
        due = self.rules.due(arrived, self.newest)
        self.wake = due if self.wake is None else min(due, self.wake)

    def pass_time(self, until):
        while self.wake is not None and self.wake <= until:
            self.fire()

    def fire(self):
        self.fired += 1
        assert self.fired < 2000, "it goes on for ever"
        lane = KeyedProcessor(self.rules, self.kept)
        leaving = lane.next_to_send(3)
        self.sent += [one.work for one in leaving]
        settled = lane.ended([(one.work, self.outcome_of(one.work)) for one in leaving], BY)
        more, self.bag = lane.advance(self.bag, self.wake, BY)
        for one in (*settled, *more):
            assert one.token.message_id not in self.ends
            self.ends[one.token.message_id] = one.outcome.end
        self.wake, self.kept, self.newest = lane.wake(self.bag), lane.to_bytes(), lane.newest
        assert self.wake is not None or (self.kept is None and self.bag == [])

    outcome = APPLIED
    outcome_of = Stream.outcome_of


def arrived(work, at, number):
    return Arrival(work, Source("sub", f"m{number:03d}", b"{}"), at)


@given(st.lists(st.tuples(ALL, st.floats(0.0, 30.0), st.floats(0.0, 1.0)), max_size=20))
def test_the_order_of_arrival_changes_nothing(arrivals):
    """Each comes here between its publishing and the passing of that time: what else a watermark promises."""
    rules = Rules(5.0, 20.0, 1000.0)
    records = [(arrived(work, at, number), early) for number, (work, at, early) in enumerate(arrivals)]
    at_once = Engine(rules)
    for one, _ in records:
        at_once.deliver(one)
    at_once.pass_time(1e9)
    as_they_come = Engine(rules)
    for one, early in sorted(records, key=lambda record: record[0].at * record[1]):
        as_they_come.pass_time(one.at * early - 2 * TOGETHER)
        as_they_come.deliver(one)
    as_they_come.pass_time(1e9)
    assert as_they_come.sent == at_once.sent
    assert as_they_come.ends == at_once.ends
    assert sorted(at_once.ends) == [f"m{number:03d}" for number in range(len(records))]
    assert as_they_come.kept is at_once.kept is None
    assert as_they_come.wake is at_once.wake is None


@given(st.lists(st.tuples(ALL, st.floats(0.0, 4.8)), max_size=15))
def test_what_is_published_within_the_settling_time_leaves_in_the_order_of_records(arrivals):
    engine = Engine(Rules(5.0, 20.0, 1000.0))
    for number, (work, at) in enumerate(arrivals):
        engine.deliver(arrived(work, at, number))
    engine.pass_time(1e9)
    first_tries = [work for place, work in enumerate(engine.sent) if work.identity not in _ids(engine.sent[:place])]
    for key in {key for work in first_tries for key in work.keys()}:  # noqa: SIM118
        places = [work.order() for work in first_tries if key in work.keys()]  # noqa: SIM118
        assert places == sorted(places)
    assert End.SUPERSEDED not in engine.ends.values()


def _ids(works):
    return {work.identity for work in works}


def test_what_was_decided_is_sent_in_the_next_bundle():
    engine = Engine(Rules(5.0, 600.0, 8 * 86_400.0))
    engine.deliver(arrived(order(1), 100.0, 1))
    engine.fire()
    lane = KeyedProcessor(engine.rules, engine.kept)
    assert [one.work for one in lane.outbox] == [order(1)]
    assert (engine.sent, engine.wake) == ([], 105.0)
    engine.fire()
    assert engine.sent == [order(1)]


def test_something_older_comes_between_the_decision_and_the_sending():
    """As when the bundle that sends is lost, and tried again with more."""
    engine = Engine(Rules(5.0, 600.0, 8 * 86_400.0))
    engine.deliver(arrived(order(5), 100.0, 1))
    engine.fire()
    engine.deliver(arrived(order(4), 99.0, 2))
    engine.deliver(arrived(profile(4, attributes={"a": 4}), 99.0, 3))
    engine.fire()
    assert [(work.kind, work.event_us) for work in engine.sent] == [("orders", order(5).event_us)]
    assert engine.ends == {"m001": End.APPLIED, "m002": End.SUPERSEDED}
    engine.fire()
    assert engine.sent == [order(5), profile(4, attributes={"a": 4})]


def test_what_is_late_waits_for_nothing():
    rules = Rules(5.0, 600.0, 8 * 86_400.0)
    engine = Engine(rules)
    engine.deliver(arrived(event(9, "new"), 100.0, 1))
    engine.pass_time(110.0)
    assert rules.due(arrived(event(1, "old"), 200.0, 2), engine.newest) == 200.0
    assert rules.due(arrived(event(10, "newer"), 200.0, 2), engine.newest) == 205.0


def test_a_return_asks_and_gives_up_in_the_time_of_events():
    engine = Engine(Rules(5.0, 600.0, 8 * 86_400.0))
    engine.deliver(arrived(returned(1), 100.0, 1))
    engine.pass_time(690.0)
    assert engine.ends == {}
    assert len(engine.sent) > 10
    engine.pass_time(701.0)
    assert engine.ends == {"m001": TOO_EARLY.end}


def test_a_lane_is_forgotten_when_all_of_it_is_old():
    engine = Engine(Rules(5.0, 600.0, 1000.0))
    engine.deliver(arrived(order(1), 100.0, 1))
    engine.pass_time(500.0)
    assert engine.kept is not None
    assert engine.wake == 1105.0
    engine.deliver(arrived(order(1), 600.0, 2))
    engine.pass_time(700.0)
    assert engine.ends == {"m001": End.APPLIED, "m002": End.DUPLICATE}
    engine.pass_time(2000.0)
    assert (engine.kept, engine.wake, engine.bag) == (None, None, [])


def call(operation, **fields):
    given = {"call_id": "k", "operation": operation, "event_time": "2026-05-01T12:00:00Z", **fields}
    return build("calls", parse("calls", given).record, BuildOptions())


SAFE = event(1, "e")
UNSAFE = call("create_referral", body={"campaignId": 1, "advocateProfileIntegrationId": "c"})


@pytest.mark.parametrize(
    ("work", "age", "process", "careful"),
    [
        (SAFE, 1.0, BY[1], False),
        (SAFE, 1.0, b"another", False),
        (SAFE, 22.9 * HOUR, b"another", False),
        (SAFE, 23.1 * HOUR, BY[1], True),
        (UNSAFE, 1.0, BY[1], False),
        (UNSAFE, 1.0, b"another", True),
        (UNSAFE, 23.1 * HOUR, BY[1], True),
    ],
)
def test_what_may_have_been_sent_and_has_no_protection_counts_as_in_flight(work, age, process, careful):
    found = OutboxEntry(work, *BY).in_flight(BY[0] + age, process)
    assert set(found) == ({0} if careful else set())
    assert all(one.first_sent == BY[0] for one in found.values())
