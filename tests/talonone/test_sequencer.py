"""Records in any order of arrival: what leaves, in which order, and what does not."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.parse import parse
from beam_talonone.talonone.build import BuildOptions, build
from beam_talonone.talonone.outcome import End, Outcome
from beam_talonone.talonone.remembered import Store
from beam_talonone.talonone.sequencer import Send, Sequencer, Settled

APPLIED, REFUSED = Outcome(End.APPLIED), Outcome(End.DEAD, "refused")


def record(kind, second, **fields):
    given = {"event_time": f"2026-05-01T12:00:{second:02d}Z", "customer_id": "c", **fields}
    return build(kind, parse(kind, given).record, BuildOptions())


def order(second, order_id="o", version=0, **fields):
    return record("orders", second, order_id=order_id, status="open", version=version, **fields)


def event(second, event_id, **fields):
    return record("events", second, event_id=event_id, type="view", **fields)


def profile(second, version=0, **fields):
    return record("profiles", second, version=version, **fields)


@dataclass
class Stream:
    """Feeds a sequencer and ends what it sends; `sent` are works in the order they left."""

    settle: float = 5.0
    outcome: Outcome = APPLIED
    sent: list = field(default_factory=list)
    settled: dict = field(default_factory=dict)
    told: list = field(default_factory=list)

    def __post_init__(self):
        self.store = Store()
        self.sequencer = Sequencer(self.store, self.settle)

    def take(self, decisions, now):
        for decision in decisions:
            self.told.append(decision.token)
            if isinstance(decision, Send):
                self.sent.append(decision.work)
                self.settled[decision.token] = self.outcome.end
                self.take(self.sequencer.ended(decision.work, self.outcome, now), now)
            else:
                assert isinstance(decision, Settled)
                self.settled[decision.token] = decision.outcome.end

    def arrive(self, work, token, now):
        self.take(self.sequencer.due(now), now)
        self.take(self.sequencer.arrive(work, token, now), now)

    def end(self):
        while (due := self.sequencer.next_due()) is not None:
            self.take(self.sequencer.due(due), due)


def test_it_waits_for_earlier_ones_and_lets_them_go_first():
    stream = Stream()
    late, early = event(9, "late"), event(1, "early")
    stream.arrive(late, "late", 0.0)
    stream.arrive(early, "early", 4.9)
    assert stream.sent == []
    assert stream.sequencer.next_due() == 5.0
    stream.take(stream.sequencer.due(5.0), 5.0)
    assert stream.sent == [early, late]
    assert stream.sequencer.next_due() is None


def test_others_are_not_held_up():
    stream = Stream()
    stream.arrive(event(9, "e"), 1, 0.0)
    other = event(1, "f", customer_id="d")
    stream.arrive(other, 2, 3.0)
    stream.take(stream.sequencer.due(5.0), 5.0)
    assert [work.id for work in stream.sent] == ["e"]
    assert stream.sequencer.next_due() == 8.0


def test_an_older_order_is_superseded_at_once():
    stream = Stream()
    stream.arrive(order(5), 1, 0.0)
    stream.end()
    stream.arrive(order(4), 2, 100.0)
    assert stream.settled == {1: End.APPLIED, 2: End.SUPERSEDED}


def test_versions_break_ties_and_the_later_arrival_the_rest():
    stream = Stream()
    for token, version in enumerate((2, 1, 3)):
        stream.arrive(order(5, version=version), token, 0.0)
    stream.arrive(order(5, version=3, attributes={"a": 1}), 3, 0.0)
    stream.end()
    assert [(work.version, work.content == order(5).content) for work in stream.sent] == [
        (1, True), (2, True), (3, True), (3, False),
    ]  # fmt: skip


def test_of_an_older_profile_change_goes_what_no_newer_one_has_set():
    stream = Stream()
    stream.arrive(profile(5, attributes={"a": 5, "b": 5}, audiences={"add": [1]}), 1, 0.0)
    stream.end()
    stream.arrive(profile(4, attributes={"a": 4, "c": 4}, audiences={"add": [1, 2]}), 2, 50.0)
    stream.arrive(profile(3, attributes={"a": 3}), 3, 51.0)
    assert [entry["attributes"] for work in stream.sent for entry in bulk(work)] == [{"a": 5, "b": 5}, {"c": 4}]
    assert stream.settled[3] is End.SUPERSEDED


def bulk(work):
    return [entry for part in work.parts for entry in part.request.body_json().get("customerProfiles", ())]


def test_an_event_that_is_late_overwrites_nothing_and_goes_at_once():
    stream = Stream()
    stream.arrive(event(9, "new"), 1, 0.0)
    stream.end()
    stream.arrive(event(1, "old"), 2, 20.0)
    assert [work.id for work in stream.sent] == ["new", "old"]


def test_a_repeat_is_settled_with_the_first_and_not_before():
    """It may be the same message: acknowledged alone, it would be lost with the process that holds the first."""
    sequencer = Sequencer(Store(), 5.0)
    assert sequencer.arrive(event(1, "e"), "first", 0.0) == []
    assert sequencer.arrive(event(1, "e"), "again", 1.0) == []
    (sent,) = sequencer.due(5.0)
    assert sequencer.arrive(event(1, "e"), "and again", 6.0) == []
    ended = sequencer.ended(sent.work, APPLIED, 7.0)
    assert [(one.token, one.outcome.end) for one in ended] == [
        ("again", End.DUPLICATE), ("and again", End.DUPLICATE),
    ]  # fmt: skip
    (late,) = sequencer.arrive(event(1, "e"), "days later", 500_000.0)
    assert (late.token, late.outcome.end) == ("days later", End.DUPLICATE)


def test_a_record_that_was_refused_may_come_again():
    stream = Stream(outcome=REFUSED)
    stream.arrive(event(1, "e"), 1, 0.0)
    stream.end()
    stream.outcome = APPLIED
    stream.arrive(event(1, "e"), 2, 60.0)
    stream.end()
    assert stream.settled == {1: End.DEAD, 2: End.APPLIED}


@pytest.mark.parametrize("ended", [False, True])
def test_an_id_with_other_content_is_told(ended):
    stream = Stream()
    stream.arrive(event(1, "e"), 1, 0.0)
    if ended:
        stream.end()
    stream.arrive(event(2, "e"), 2, 60.0 if ended else 1.0)
    assert stream.settled[2] is End.DEAD


def test_what_waits_is_given_back_when_reading_stops():
    sequencer = Sequencer(Store(), 5.0)
    sequencer.arrive(event(1, "e"), "first", 0.0)
    sequencer.arrive(event(1, "e"), "again", 0.0)
    sequencer.arrive(event(1, "f"), "other", 0.0)
    assert sorted(sequencer.drain()) == ["again", "first", "other"]
    assert sequencer.held == 2


CUSTOMERS, ORDERS = ["c", "d"], ["o", "p"]
RECORDS = st.one_of(
    st.builds(
        lambda second, which, customer, version: order(second, which, version, customer_id=customer),
        st.integers(0, 9), st.sampled_from(ORDERS), st.sampled_from(CUSTOMERS), st.integers(0, 2),
    ),
    st.builds(
        lambda second, which, customer: event(second, which, customer_id=customer),
        st.integers(0, 9), st.sampled_from("efgh"), st.sampled_from(CUSTOMERS),
    ),
    st.builds(
        lambda second, names, who: profile(second, attributes=dict.fromkeys(names, second), customer_id=who),
        st.integers(0, 9), st.sets(st.sampled_from("ab"), min_size=1), st.sampled_from(CUSTOMERS),
    ),
)  # fmt: skip


@given(st.lists(st.tuples(RECORDS, st.floats(0.0, 4.9)), max_size=25))
def test_what_arrives_within_the_settling_time_leaves_in_the_order_of_records(arrivals):
    stream = Stream()
    for token, (work, now) in enumerate(sorted(arrivals, key=lambda arrival: arrival[1])):
        stream.arrive(work, token, now)
    stream.end()
    assert sorted(stream.told) == list(range(len(arrivals)))
    held = [(work, set(work.keys())) for work in stream.sent]
    for key in set().union(*(keys for _, keys in held)):
        places = [work.order() for work, keys in held if key in keys]
        assert places == sorted(places)
    first_of_each = {work.identity: work for work, _ in reversed(arrivals)}
    assert End.SUPERSEDED not in stream.settled.values()
    assert {work.identity for work in stream.sent} == set(first_of_each)


@given(st.lists(st.tuples(RECORDS, st.floats(0.0, 60.0)), max_size=25), st.booleans())
def test_whenever_it_arrives_each_has_one_end_and_nothing_old_goes_over_something_new(arrivals, refused):
    stream = Stream(outcome=REFUSED if refused else APPLIED)
    for token, (work, now) in enumerate(sorted(arrivals, key=lambda arrival: arrival[1])):
        stream.arrive(work, token, now)
    stream.end()
    assert sorted(stream.told) == list(range(len(arrivals)))
    assert stream.sequencer.held == 0
    newest: dict[str, tuple[int, int, int]] = {}
    for work in stream.sent:
        if work.kind == "orders":
            assert newest.get(work.id, work.order()) <= work.order()
            newest[work.id] = work.order()
    state: dict[tuple[str, str], tuple[int, int, int]] = {}
    for work in stream.sent:
        for entry in bulk(work) if work.kind == "profiles" else ():
            for name in entry["attributes"]:
                assert state.get((work.id, name), work.order()) <= work.order()
                state[work.id, name] = work.order()
