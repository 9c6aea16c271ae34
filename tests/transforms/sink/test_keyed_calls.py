"""Calls in the keyed graph: ordered with the customer or the order that they concern, or with their like."""

import json

import pytest
from e2e.harness import KEY, call, event, order, profile, simulator
from support.keyed_harness import START, Message, config_of, ends, received, run_keyed
from support.prepared import prepare_message

from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.sink.keyed import ByKey
from beam_talonone.transforms.sink.write_steps import DEAD

TRACKED = {"type": "by call", "profileId": "c1"}
REMOVE = {"actions": [{"type": "REMOVE", "payload": {"sku": "s"}}]}
MESSAGES = [
    # of a customer: later than the event and the profile change that arrive after it
    Message("calls", call("k1", "track_event_v2", 3, body=TRACKED), 0),
    Message("events", event("e1", "c1", 1), 1),
    Message("events", event("e4", "c1", 4), 0),
    # of an order, whose customer the call does not name
    Message("calls", call("k2", "reopen_customer_session", 3, path={"customerSessionId": "o1"}), 0),
    Message("orders", order("o1", "c2", "completed", 2), 1),
    Message("events", event("e2", "c2", 4), 0),
    # of an order, ordered with somebody else besides: the order stays with its customer
    Message("calls", call("k3", "reopen_customer_session", 3, path={"customerSessionId": "o2"}, ordering_key="x"), 0),
    Message("orders", order("o2", "c3", "completed", 2), 1),
    Message("profiles", profile("c3", 1, {"n": 1}), 2),
    # of an order that nobody sends
    Message("calls", call("k4", "reopen_customer_session", 1, path={"customerSessionId": "theirs"}), 0),
    Message("events", event("e5", "c5", 2), 0),
    # of catalogs
    Message("calls", call("s2", "sync_catalog", 2, path={"catalogId": 1}, body=REMOVE), 0),
    Message("calls", call("s1", "sync_catalog", 1, path={"catalogId": 1}, body=REMOVE), 1),
    Message("calls", call("s3", "sync_catalog", 3, path={"catalogId": 2}, body=REMOVE), 0),
]


@pytest.fixture(autouse=True, scope="module")
def key():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALONONE_API_KEY", KEY)
        yield


@pytest.fixture(scope="module", params=[False, True], ids=["all at once", "as published"])
def ran(request, tmp_path_factory):
    with simulator(latency_ms=2) as sim:
        sim.put_session("theirs", profileId="c5", state="closed")
        yield sim, run_keyed(sim, MESSAGES, tmp_path_factory.mktemp("calls"), published=request.param)


def test_all_are_applied(ran):
    assert {tuple(outcomes) for outcomes in ends(ran[1]).values()} == {("applied",)}


def test_a_call_of_a_customer_keeps_the_order_of_the_customers_records(ran):
    acted = [row["body"]["type"] for row in ran[0].acted("track_event_v2", profile="c1")]
    assert acted == ["visit", "by call", "visit"]


@pytest.mark.parametrize("session", ["o1", "o2"])
def test_a_call_of_an_order_leaves_after_the_order(ran, session):
    acted = [row["operation"] for row in ran[0].acted(session=session)]
    assert acted == ["update_customer_session_v2", "reopen_customer_session"]


def test_what_comes_after_a_call_of_an_order_stays_after_it(ran):
    sim, _ = ran
    acted = [row["operation"] for row in sim.acted(profile="c2")]
    assert acted == ["update_customer_session_v2", "reopen_customer_session", "track_event_v2"]


def key_of(kind, record):
    message = received(0, Message(kind, record))
    prepared = prepare_message(message, kind, BuildOptions(events_api="v3"))
    [found] = ByKey(config_of("http://localhost:1"), "job").process((message, prepared), START)
    return (found.tag, found.value[0]) if hasattr(found, "tag") else found[0]


def test_a_message_without_a_kind_goes_to_the_dead_letters_with_its_record():
    message = received(0, Message("records", order("o1", "c1")))
    prepared = prepare_message(message, "records", BuildOptions())
    [found] = ByKey(config_of("http://localhost:1"), "job").process((message, prepared), START)
    assert found.tag == DEAD
    assert (found.value["kind"], found.value["reason"]) == ("records", "missing_field")
    assert found.value["record"] == json.loads(message.data)


def sync(catalog, **more):
    return call("k", "sync_catalog", path={"catalogId": catalog}, body=REMOVE, **more)


def test_calls_go_by_what_they_hold():
    assert key_of("calls", sync(1)) == "catalog/1" != key_of("calls", sync(2))
    assert key_of("calls", call("k", "track_event_v2", body=TRACKED)) == key_of("profiles", profile("c1"))
    assert key_of("calls", call("k", "reopen_customer_session", path={"customerSessionId": "o"})) == (
        "by_order",
        "o",
    )
    assert key_of("calls", call("k", "create_audience_v2", body={"name": "n"})) == "call/k"


def test_an_event_of_an_order_goes_by_the_order():
    assert key_of("events", event("e", "c", connected_session_id="o")) == ("by_order", "o")
    assert key_of("events", event("e", "c")) == "profile/c"
