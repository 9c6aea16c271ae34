"""A message of several records is acknowledged once, when the last of them has ended."""

import pickle

import pytest

from beam_talonone.transforms.pubsub import holding
from beam_talonone.transforms.pubsub.message import Received, copies_of, parts_of

SUBSCRIPTION = "projects/p/subscriptions/s"
PARTS = [("17/1", b"1"), ("17/2", b"2"), ("17/3", b"3")]
MESSAGE = Received(SUBSCRIPTION, "17", b"[1,2,3]", {"a": "b"}, "key", 5.0, "ack-1")


@pytest.fixture
def released(monkeypatch):
    calls = []
    monkeypatch.setattr(holding, "release", lambda subscription, ack_id, *, done: calls.append((ack_id, done)))
    return calls


def test_the_last_record_acknowledges(released):
    first, second, third = parts_of(MESSAGE, PARTS)
    third.ack()
    first.ack()
    assert released == []
    second.ack()
    assert released == [("ack-1", True)]


@pytest.mark.parametrize("back", [0, 1, 2])
def test_one_that_is_given_back_gives_back_the_message(released, back):
    for number, part in enumerate(parts_of(MESSAGE, PARTS)):
        part.give_back() if number == back else part.ack()
    assert released == [("ack-1", False)]


def test_parts_have_names_of_their_own():
    parts = parts_of(MESSAGE, PARTS[:2])
    assert [(part.message_id, part.data) for part in parts] == [("17/1", b"1"), ("17/2", b"2")]
    assert {(part.subscription, part.publish_time, part.ordering_key) for part in parts} == {
        (SUBSCRIPTION, 5.0, "key")
    }


def test_an_only_record_keeps_the_name_and_acknowledges_itself(released):
    [only] = parts_of(MESSAGE, [("17", b"1")])
    assert (only.message_id, only.data) == ("17", b"1")
    only.ack()
    assert released == [("ack-1", True)]


def test_copies_have_the_names_of_parts():
    assert [(copy.message_id, copy.data, type(copy)) for copy in copies_of(MESSAGE, PARTS[:2])] == [
        ("17/1", b"1", Received),
        ("17/2", b"2", Received),
    ]
    assert copies_of(MESSAGE, [("17", b"1")])[0].message_id == "17"


def test_a_part_that_was_pickled_acknowledges_nothing(released):
    parts = parts_of(MESSAGE, PARTS[:2])
    for part in pickle.loads(pickle.dumps(parts)):
        part.ack()
    assert released == []
    for part in parts:
        part.ack()
    assert released == [("ack-1", True)]
