"""Records in any order of arrival: what leaves, in which order, and what does not."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.ordering.decisions import Send, Settled
from beam_talonone.talonone.ordering.sequencer import LONGEST_PAUSE, Sequencer
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state.store import Store

APPLIED, REFUSED = Outcome(End.APPLIED), Outcome(End.DEAD, "refused")
TOO_EARLY = Outcome(End.DEAD, "order_not_closed", premature=True)


def record(kind, second, **fields):
    given = {"event_time": f"2026-05-01T12:00:{second:02d}Z", "customer_id": "c", **fields}
    return build(kind, parse(kind, given).record, BuildOptions())


def order(second, order_id="o", version=0, **fields):
    given = {"order_id": order_id, "status": "open", "version": version, "items": [], **fields}
    return record("orders", second, **given)


def event(second, event_id, **fields):
    return record("events", second, event_id=event_id, type="view", **fields)


def returned(second, return_id="r", order_id="o", **fields):
    items = [{"sku": "s", "quantity": 1}]
    return record("returns", second, return_id=return_id, order_id=order_id, items=items, **fields)


def profile(second, version=0, **fields):
    return record("profiles", second, version=version, **fields)


@dataclass
class Stream:
    """Feeds a sequencer and ends what it sends; `sent` are works in the order they left."""

    settle: float = 5.0
    outcome: Outcome = APPLIED
    sent: list = field(default_factory=list)
    settled: dict = field(default_factory=dict)
    ended_tokens: list = field(default_factory=list)
    closed: dict = field(default_factory=dict)

    def __post_init__(self):
        self.store = Store()
        self.sequencer = Sequencer(self.store, self.settle)

    def take(self, decisions, now):
        for decision in decisions:
            if isinstance(decision, Send):
                self.sent.append(decision.work)
                self.take(self.sequencer.ended(decision.work, self.outcome_of(decision.work), now), now)
            else:
                assert isinstance(decision, Settled)
                self.ended_tokens.append(decision.token)
                self.settled[decision.token] = decision.outcome.end

    def outcome_of(self, work):
        if work.kind == "orders" and work.status == "completed" and self.outcome is APPLIED:
            self.closed[work.id] = work.profiles[0]
        if work.kind != "returns":
            return self.outcome
        if work.sessions[0] not in self.closed:
            return TOO_EARLY
        if not work.profiles:
            return Outcome(End.DEAD, "order_not_closed", premature=True, customer=self.closed[work.sessions[0]])
        return self.outcome

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
        ("first", End.APPLIED), ("again", End.DUPLICATE), ("and again", End.DUPLICATE),
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


def test_a_return_waits_for_its_order_and_leaves_right_after_it():
    stream = Stream()
    stream.arrive(returned(30), "r", 0.0)
    stream.arrive(event(40, "e"), "e", 1.0)
    stream.take(stream.sequencer.due(6.0), 6.0)
    assert stream.settled == {"e": End.APPLIED}, "it holds nothing up"
    assert stream.sequencer.waiting_for_order == 1
    stream.arrive(order(10, status="open"), "open", 6.5)
    stream.arrive(order(20, status="completed"), "closed", 6.5)
    stream.take(stream.sequencer.due(12.0), 12.0)
    assert [work.kind for work in stream.sent] == ["returns", "events", "orders", "orders", "returns"]
    assert stream.settled["r"] is End.APPLIED
    assert stream.sequencer.waiting_for_order == 0
    assert stream.sequencer.next_due() is None


def test_a_return_asks_ever_more_rarely_and_is_a_dead_letter_in_the_end():
    stream = Stream(settle=0.0)
    stream.arrive(returned(30), "r", 100.0)
    stream.arrive(returned(30), "again", 110.0)
    due_times = []
    while (due := stream.sequencer.next_due()) is not None:
        assert stream.settled == {}
        due_times.append(due)
        stream.take(stream.sequencer.due(due), due)
    gaps = [later - earlier for earlier, later in pairwise(due_times[:-1])]
    assert gaps == sorted(gaps)
    assert due_times[-1] == 700.0
    assert max(gaps) == 60.0
    assert stream.settled == {"r": End.DEAD, "again": End.DEAD}
    assert list(stream.sequencer.drain()) == []


def test_a_return_whose_order_was_closed_by_somebody_else_is_found_by_looking():
    stream = Stream(settle=0.0)
    stream.arrive(returned(30), "r", 0.0)
    stream.closed["o"] = "c"
    due = stream.sequencer.next_due()
    stream.take(stream.sequencer.due(due), due)
    assert stream.settled == {"r": End.APPLIED}


def test_a_return_without_a_customer_goes_with_that_of_its_order():
    stream = Stream(settle=0.0)
    stream.closed["o"] = "whose"
    stream.arrive(returned(30, customer_id=None), "r", 0.0)
    assert [work.profiles for work in stream.sent] == [(), ("whose",)]
    assert stream.settled == {"r": End.APPLIED}


def test_many_returns_that_wait_ask_no_more_often_than_allowed():
    sequencer = Sequencer(Store(), 0.0, polls_per_second=2.0)
    for number in range(200):
        (sent,) = sequencer.arrive(returned(30, f"r{number}", f"o{number}"), number, 0.0)
        assert sequencer.ended(sent.work, TOO_EARLY, 0.0) == []
    assert sequencer.waiting_for_order == 200
    looks, now = 0, 0.0
    while now < 300.0:
        for sent in sequencer.due(now):
            looks += 1
            sequencer.ended(sent.work, TOO_EARLY, now)
        now += 0.5
    assert 0 < looks <= 2.0 * 300 + 200
    assert sorted(token for token, _ in sequencer.drain()) == list(range(200))


def test_after_an_unclean_end_all_wait_for_what_the_dead_process_held():
    sequencer = Sequencer(Store(), 5.0, hold_until=10.0)
    sequencer.arrive(event(9, "new"), 1, 0.0)
    assert sequencer.next_due() == 15.0
    sequencer.arrive(event(1, "old"), 2, 9.9)
    assert [sent.work.id for sent in sequencer.due(15.0)] == ["old", "new"]
    sequencer.arrive(event(10, "later"), 3, 20.0)
    assert sequencer.next_due() == 25.0


def test_what_waits_is_given_back_when_reading_stops():
    sequencer = Sequencer(Store(), 5.0)
    sequencer.arrive(event(1, "e"), "first", 0.0)
    sequencer.arrive(event(1, "e"), "again", 0.0)
    sequencer.arrive(event(1, "f"), "other", 0.0)
    assert sorted((token, work.id) for token, work in sequencer.drain()) == [
        ("again", "e"), ("first", "e"), ("other", "f"),
    ]  # fmt: skip
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
    assert sorted(stream.ended_tokens) == list(range(len(arrivals)))
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
    assert sorted(stream.ended_tokens) == list(range(len(arrivals)))
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


def completed(second, which, version=0):
    return order(second, which, version, status="completed", customer_id="c")


WITH_RETURNS = st.one_of(
    RECORDS,
    st.builds(completed, st.integers(0, 9), st.sampled_from(ORDERS)),
    st.builds(
        lambda second, number, which, who: returned(second, f"{which}{number}", which, customer_id=who),
        st.integers(0, 9), st.integers(0, 2), st.sampled_from(ORDERS), st.sampled_from(["c", None]),
    ),
)  # fmt: skip


@given(st.lists(st.tuples(WITH_RETURNS, st.floats(0.0, 800.0)), max_size=25))
@example([(returned(0, customer_id=None), 0.0), (completed(2, "o"), 5.0), (event(1, "e"), 600.0)])
def test_a_return_ends_once_and_is_given_up_only_when_it_has_waited(arrivals):
    stream, since = Stream(), {}
    inner = stream.take

    def take(decisions, now):
        for decision in decisions:
            if isinstance(decision, Settled) and decision.outcome.premature:
                assert now >= since[decision.work.identity] + stream.sequencer.wait_for_order
                assert decision.work.sessions[0] not in stream.closed
        inner(decisions, now)

    stream.take = take
    for token, (work, now) in enumerate(sorted(arrivals, key=lambda arrival: arrival[1])):
        stream.take(stream.sequencer.due(now), now)
        if work.identity not in {one.identity for _, one in stream.sequencer.drain()}:
            since[work.identity] = now
        stream.arrive(work, token, now)
    stream.end()
    assert sorted(stream.ended_tokens) == list(range(len(arrivals)))
    assert (stream.sequencer.held, stream.sequencer.waiting_for_order, list(stream.sequencer.drain())) == (0, 0, [])


def test_thousands_that_wait_for_one_customer_are_not_compared_with_each_other():
    """By the number of comparisons: looking through all of them for each would take eight million."""
    sequencer = Sequencer(Store(), 5.0)
    compared = 0

    class Place(tuple):
        def __lt__(self, other):
            nonlocal compared
            compared += 1
            return tuple.__lt__(self, other)

    count = 2_000
    for number in range(count):
        sequencer.arrive(event(number % 60, f"e{number}"), number, number / count)
    sequencer._by_key = {key: [Place(place) for place in heap] for key, heap in sequencer._by_key.items()}
    sent = sequencer.due(10.0)
    assert len(sent) == count
    assert [one.work.order() for one in sent] == sorted(one.work.order() for one in sent)
    assert 0 < compared < 60 * count


def test_a_return_may_look_for_its_order_thousands_of_times():
    """Days of --wait-for-order: the pause doubles until it is at its longest, and never overflows."""
    lane, now = Sequencer(Store(), 0.0, 1e9), 0.0
    (sent,) = lane.arrive(returned(0), "m", now)
    for _ in range(3000):
        assert lane.ended(sent.work, TOO_EARLY, now) == []
        due = lane.next_due()
        assert 0.0 < due - now <= LONGEST_PAUSE
        now = due
        (sent,) = lane.due(now)
