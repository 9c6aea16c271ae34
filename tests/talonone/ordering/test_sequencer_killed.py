"""The sequencer when outcomes come late and in any order, and when its process is killed on the way."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.talonone.ordering.decisions import Send
from beam_talonone.talonone.ordering.sequencer import Sequencer
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.store import Store
from tests.talonone.ordering.test_sequencer import APPLIED, RECORDS, TOO_EARLY, WITH_RETURNS

SETTLE = 5.0
LEASE = 10.0


@dataclass
class Sending:
    """A sequencer whose records are in flight until `end` is called. `ended_tokens` follow their order."""

    store: Store
    quiet_until: float = float("-inf")
    now: float = 0.0
    flying: list[Work] = field(default_factory=list)
    sent: list[Work] = field(default_factory=list)
    ended_tokens: list[int] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)

    def __post_init__(self):
        self.sequencer = Sequencer(self.store, SETTLE, hold_until=self.quiet_until)

    def take(self, decisions):
        for decision in decisions:
            if isinstance(decision, Send):
                assert decision.work.identity not in {work.identity for work in self.flying}, "it is in flight"
                self.flying.append(decision.work)
                self.sent.append(decision.work)
            else:
                self.ended_tokens.append(decision.token)

    def arrive(self, work, token):
        self.take(self.sequencer.arrive(work, token, self.now))

    def pass_time(self, seconds):
        self.now += seconds
        self.take(self.sequencer.due(self.now))

    def end(self, which):
        if self.flying:
            work = self.flying.pop(which % len(self.flying))
            self.take(self.sequencer.ended(work, self.outcome_of(work), self.now))

    def outcome_of(self, work):
        if work.kind == "returns" and work.sessions[0] not in self.closed:
            return TOO_EARLY
        if work.kind == "returns" and not work.profiles:
            return Outcome(End.DEAD, "order_not_closed", premature=True, customer="c")
        if work.status == "completed":
            self.closed.add(work.id)
        return APPLIED

    def finish(self):
        while self.flying or (due := self.sequencer.next_due()) is not None:
            self.end(0) if self.flying else self.pass_time(max(0.0, due - self.now))


STEPS = st.lists(
    st.one_of(
        WITH_RETURNS,
        st.integers(0, 20).map(lambda which: ("end", which)),
        st.floats(0.0, 10.0).map(lambda seconds: ("pass", seconds)),
    ),
    max_size=40,
)


def play(sending, steps, first=0):
    """The works that arrived, by token."""
    arrived = {}
    for step in steps:
        if isinstance(step, Work):
            token = first + len(arrived)
            arrived[token] = step
            sending.arrive(step, token)
        elif step[0] == "end":
            sending.end(step[1])
        else:
            sending.pass_time(step[1])
    return arrived


@given(STEPS)
def test_however_late_outcomes_come_each_record_ends_once(steps):
    sending = Sending(Store())
    arrived = play(sending, steps)
    left = {token for token, _ in sending.sequencer.drain()}
    assert left == set(arrived) - set(sending.ended_tokens), "what has not ended is what would be given back"
    sending.finish()
    assert sorted(sending.ended_tokens) == sorted(arrived)
    assert list(sending.sequencer.drain()) == []
    assert (sending.sequencer.held, sending.sequencer.waiting_for_order, sending.sequencer.next_due()) == (0, 0, None)


@given(
    STEPS.map(lambda steps: [step for step in steps if not isinstance(step, Work) or step.kind != "returns"]),
    st.data(),
)
def test_what_a_killed_process_held_leaves_in_order_whatever_comes_back_first(steps, data):
    """It is known as sent, and may not have left: that must make nothing late."""
    store = Store()
    killed = Sending(store)
    arrived = play(killed, steps)
    left = [(token, work) for token, work in arrived.items() if token not in killed.ended_tokens]
    again = Sending(store, quiet_until=killed.now + LEASE, now=killed.now)
    new = data.draw(st.lists(RECORDS, max_size=5))
    for token, work in data.draw(st.permutations([*left, *enumerate(new, 1000)])):
        again.pass_time(data.draw(st.floats(0.0, LEASE / 50)))
        again.arrive(work, token)
    again.finish()
    assert sorted(again.ended_tokens) == sorted([*(token for token, _ in left), *range(1000, 1000 + len(new))])
    held = [(work, set(work.keys())) for work in again.sent]
    for key in set().union(*(keys for _, keys in held)):
        places = [work.order() for work, keys in held if key in keys]
        assert places == sorted(places)
