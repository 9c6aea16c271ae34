"""Bundles that are lost: the engine takes back what the state was, and tries again, perhaps elsewhere and later."""

import copy
import json
from collections import Counter
from types import SimpleNamespace

import pytest
from e2e.harness import KEY, SESSION, call, event, order, profile, returned, simulator
from support.keyed_harness import RULES, START, config_of, engine_closed

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.deduplication import DeduplicationCache
from beam_talonone.talonone.errors import KeyRefused
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.streaming.keyed_processor import Arrival, Source
from beam_talonone.transforms.sink import keyed_send
from beam_talonone.transforms.sink.keyed_send import SendLane, instant

HOUR = 3600.0


class Cell:
    """A state of one value, or of a bag of them."""

    def __init__(self, bag=False):
        self._bag, self._value = bag, [] if bag else None

    def read(self):
        return list(self._value) if self._bag else self._value

    def write(self, value):
        assert isinstance(value, bytes)
        self._value = value

    def add(self, value):
        self._value.append(value)

    def clear(self):
        self._value = [] if self._bag else None


class Timer:
    at = None

    def set(self, at):
        self.at = at


class Key:
    """One key of the step on an engine: its states and its timer, which a lost bundle leaves as they were."""

    def __init__(self, config):
        self._step = SendLane(config, SendOptions(look_first=True), RULES, "the-job")
        self._states = {"note": Cell(), "arrived": Cell(bag=True), "kept": Cell(), "wake": Timer()}
        self._number = 0
        self.ends = Counter()

    def arrive(self, kind, record, at):
        self._number += 1
        work = build(kind, parse(kind, record).record, BuildOptions())
        source = Source(kind, f"m{self._number}", json.dumps(record).encode())
        states = {name: state for name, state in self._states.items() if name != "kept"}
        self._step.process(("customer", Arrival(work, source, START + at).to_bytes()), **states)

    def fire(self, *, lost=False):
        states = copy.deepcopy(self._states)
        outputs = list(self._step.at_wake(now=states["wake"].at, **states))
        if lost:
            return
        self._states = states
        for output in outputs:
            line = getattr(output, "value", output)
            self.ends[line["kind"], line["id"], line.get("outcome") or line["reason"]] += 1

    def pass_time(self, until):
        while self._states["wake"].at is not None and self._states["wake"].at <= instant(START + until):
            self.fire()


@pytest.fixture
def sim():
    with simulator() as made:
        yield made


@pytest.fixture
def customer(sim, monkeypatch):
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    with engine_closed(config_of(sim.url)) as config:
        yield Key(config)


def elsewhere(monkeypatch):
    """From here on it is another process that works."""
    monkeypatch.setattr(keyed_send, "process_name", lambda: b"another process")
    once = DeduplicationCache()
    monkeypatch.setattr(keyed_send, "deduplication_cache_for", lambda url: once)


def test_a_lost_bundle_sends_the_same_again_and_what_came_meanwhile_after_it(customer, sim):
    customer.arrive("orders", order("o", "c", "open", 5, attributes={"v": 5}), 0)
    customer.arrive("profiles", profile("c", 5, {"a": 5, "b": 5}), 0)
    customer.fire()
    customer.fire(lost=True)
    assert len(sim.acted()) == 2, "the bundle was lost after it had sent"
    # published before those, and too late for the watermark
    customer.arrive("orders", order("o", "c", "open", 4, attributes={"v": 4}), -1)
    customer.arrive("profiles", profile("c", 4, {"a": 4, "c": 4}), -1)
    customer.pass_time(60)
    assert [row["body"]["customerSession"]["attributes"] for row in sim.acted(SESSION)] == [{"v": 5}]
    assert sim.profiles()["c"]["attributes"] == {"a": 5, "b": 5, "c": 4}
    assert customer.ends == {
        ("orders", "o", "applied"): 1, ("profiles", "c", "applied"): 2, ("orders", "o", "superseded"): 1,
    }  # fmt: skip
    keys = Counter(row["key"] for row in sim.rows("requests") if row["operation"] == SESSION)
    assert list(keys.values()) == [2]


def test_a_bundle_that_is_lost_before_it_decided_sends_nothing(customer, sim):
    customer.arrive("events", event("e", "c"), 0)
    customer.fire(lost=True)
    customer.fire(lost=True)
    assert sim.rows("requests") == []
    customer.pass_time(60)
    assert len(sim.acted()) == 1
    assert customer.ends == {("events", "e", "applied"): 1}


@pytest.mark.parametrize("moved", [False, True], ids=["same process", "another process"])
def test_an_erasure_of_a_lost_bundle_erases_no_later_change(customer, sim, monkeypatch, moved):
    """An erasure has no key, so it acts again. The change after it has one, and does not."""
    customer.arrive("profiles", profile("c", 1, erase=True), 0)
    customer.arrive("profiles", profile("c", 2, {"new": 1}), 0)
    for _ in range(4):
        customer.fire(lost=True)
        if moved:
            elsewhere(monkeypatch)
        customer.fire()
    customer.pass_time(60)
    assert sim.profiles()["c"]["attributes"] == {"new": 1}
    assert customer.ends.total() == 2


def test_a_cancellation_of_a_lost_bundle_cancels_no_later_version(customer, sim):
    """The first try skips it. The next one finds the session of the later version, and must not cancel that."""
    customer.arrive("orders", order("o", "c", "cancelled", 1), 0)
    customer.arrive("orders", order("o", "c", "completed", 2), 0)
    for _ in range(4):
        customer.fire(lost=True)
        customer.fire()
    customer.pass_time(60)
    assert sim.sessions()["o"]["state"] == "closed"
    assert customer.ends == {("orders", "o", "skipped"): 1, ("orders", "o", "applied"): 1}


def test_every_bundle_is_lost_once(customer, sim):
    customer.arrive("returns", returned("r", "o", 3, customer_id="c"), 0)
    for version, status in enumerate(("open", "open", "completed")):
        customer.arrive("orders", order("o", "c", status, version, attributes={"v": version}), 7 * version)
    for number in range(5):
        customer.arrive("events", event(f"e{number}", "c", number), number)
    for _ in range(40):
        customer.fire(lost=True)
        customer.fire()
    assert set(customer.ends.values()) == {1, 3}
    assert customer.ends["orders", "o", "applied"] == 3
    assert customer.ends["returns", "r", "applied"] == 1
    assert sim.sessions()["o"]["state"] == "partially_returned"
    states = [row["body"]["customerSession"]["attributes"]["v"] for row in sim.acted(SESSION)]
    assert states == [0, 1, 2]
    assert Counter(row["operation"] for row in sim.acted()) == {
        SESSION: 3,
        "return_cart_items": 1,
        "track_event_v2": 5,
    }


@pytest.mark.parametrize("another", [False, True])
def test_what_nothing_protects_is_never_sent_blindly_again(customer, sim, monkeypatch, another):
    body = {"campaignId": 1, "advocateProfileIntegrationId": "friend"}
    customer.arrive("calls", call("ref", "create_referral", body=body), 0)
    customer.fire()
    customer.fire(lost=True)
    if another:
        elsewhere(monkeypatch)
    customer.pass_time(60)
    assert len(sim.acted("create_referral")) == 1
    assert customer.ends == {("calls", "ref", "outcome_unknown" if another else "applied"): 1}


def test_an_event_is_not_sent_again_when_its_key_may_have_been_forgotten(customer, sim, monkeypatch):
    now = [1_790_000_000.0]
    monkeypatch.setattr(keyed_send, "time", SimpleNamespace(time=lambda: now[0]))
    customer.arrive("events", event("e", "c"), 0)
    customer.arrive("orders", order("o", "c", "completed"), 0)
    customer.fire()
    customer.fire(lost=True)
    now[0] += 24 * HOUR
    sim.forget_keys()
    customer.pass_time(60)
    assert Counter(row["operation"] for row in sim.acted()) == {SESSION: 1, "track_event_v2": 1}
    assert customer.ends == {("events", "e", "outcome_unknown"): 1, ("orders", "o", "already_applied"): 1}


def test_many_leave_in_portions(customer, sim, monkeypatch):
    monkeypatch.setattr(keyed_send, "AT_ONCE", 10)
    for number in range(25):
        customer.arrive("events", event(f"e{number}", "c", number), 0.01 + 0.001 * number)
    customer.fire()
    for sent in (10, 20, 25):
        customer.fire()
        assert len(sim.acted()) == sent
    assert [row["body"]["profileId"] for row in sim.acted()] == ["c"] * 25
    assert sum(customer.ends.values()) == 25


def test_a_refused_key_fails_the_bundle_and_dead_letters_nothing(customer, monkeypatch):
    monkeypatch.setenv("TALONONE_API_KEY", "not-this-one")
    customer.arrive("events", event("e", "c"), 0)
    customer.fire()
    for _ in range(2):
        with pytest.raises(KeyRefused) as raised:
            customer.fire()
        assert "not-this-one" not in str(raised.value)
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    customer.pass_time(60)
    assert customer.ends == {("events", "e", "applied"): 1}


@pytest.mark.parametrize(
    ("seconds", "ms"),
    [(0.0, 0), (100.0, 100_000), (100.0004, 100_001), (1_780_000_000.0625, 1_780_000_000_063)],
)
def test_a_timer_never_fires_too_early(seconds, ms):
    assert instant(seconds).micros == ms * 1000
    assert float(instant(seconds)) >= seconds
