"""Which leases are kept, on a clock of the test's own."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from beam_talonone.transforms.pubsub.leases import Leases

LENGTH = 10.0
ROUND = 1.0
"""Seconds at most between two looks: `to_extend` is asked often enough."""


def test_a_lease_is_extended_when_half_of_it_has_passed():
    leases = Leases(LENGTH)
    leases.hold("a", 1, 100.0)
    assert leases.to_extend(104.9) == []
    assert leases.to_extend(105.0) == ["a"]
    assert leases.to_extend(105.0) == []
    assert leases.to_extend(109.9) == []
    assert leases.to_extend(110.0) == ["a"]


def test_a_first_lease_of_unknown_length_is_set_at_once():
    leases = Leases(LENGTH, first=0.0)
    leases.hold("a", 1, 100.0)
    assert leases.to_extend(100.0) == ["a"]
    assert leases.to_extend(104.9) == []
    assert leases.to_extend(105.0) == ["a"]


def test_what_has_ended_is_extended_no_more():
    leases = Leases(LENGTH)
    leases.hold("a", 1, 0.0)
    leases.hold("b", 1, 0.0)
    assert leases.end("a") is False
    assert leases.to_extend(5.0) == ["b"]


def test_an_end_tells_whether_it_was_held_and_ordered():
    leases = Leases(LENGTH)
    leases.hold("plain", 1, 0.0)
    leases.hold("ordered", 1, 0.0, ordered=True)
    assert [leases.end(ack_id) for ack_id in ("plain", "ordered", "plain", "never")] == [False, True, None, None]


def test_all_that_is_held_is_told_oldest_first():
    leases = Leases(LENGTH)
    for ack_id in "bca":
        leases.hold(ack_id, 1, 0.0)
    leases.end("c")
    assert leases.all() == ["b", "a"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=8))
def test_the_same_ack_id_held_again_counts_once(holds):
    leases = Leases(LENGTH)
    for ack_id, size in holds:
        leases.hold(ack_id, size, 0.0)
    assert leases.bytes == sum(dict(holds).values())
    assert sorted(leases.to_extend(LENGTH)) == sorted(dict(holds))


class Keeping(RuleBasedStateMachine):
    """Messages come and go in any order while time passes; each held one is extended before its lease is over."""

    def __init__(self):
        super().__init__()
        self.leases, self.now, self.looked, self.number = Leases(LENGTH), 1000.0, 1000.0, 0
        self.until: dict[str, float] = {}
        self.sizes: dict[str, int] = {}

    @rule(size=st.integers(0, 1000), ordered=st.booleans())
    def hold(self, size, ordered):
        self.number += 1
        name = str(self.number)
        self.leases.hold(name, size, self.now, ordered=ordered)
        self.until[name], self.sizes[name] = self.now + LENGTH, size

    @precondition(lambda self: self.until)
    @rule(data=st.data())
    def end(self, data):
        name = data.draw(st.sampled_from(sorted(self.until)))
        assert self.leases.end(name) is not None
        del self.until[name], self.sizes[name]

    @rule(seconds=st.floats(0.0, ROUND))
    def time_passes(self, seconds):
        self.now += seconds
        if self.now - self.looked > ROUND:
            self.look()

    @rule()
    def look(self):
        self.looked = self.now
        extended = self.leases.to_extend(self.now)
        assert len(set(extended)) == len(extended)
        for name in extended:
            assert name in self.until, "it is not held"
            assert self.now < self.until[name], "its lease had ended"
            assert self.now >= self.until[name] - LENGTH / 2, "it is asked for more often than needed"
            self.until[name] = self.now + LENGTH

    @invariant()
    def every_lease_lasts(self):
        assert all(self.now < until for until in self.until.values())

    @invariant()
    def the_counts_are_right(self):
        assert len(self.leases) == len(self.until)
        assert self.leases.bytes == sum(self.sizes.values())
        assert self.leases.all() == list(self.until)


TestKeeping = Keeping.TestCase
