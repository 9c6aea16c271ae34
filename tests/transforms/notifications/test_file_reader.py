"""Files are read once, piece by piece, and their notifications are acknowledged when all records have ended."""

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from e2e.harness import wait_until

from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.streaming.counters import StreamCounters
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.notifications import file_reader
from beam_talonone.transforms.notifications.file_reader import FILE_READERS, FileReader
from beam_talonone.transforms.notifications.hand_over import HandOverFiles
from beam_talonone.transforms.notifications.progress import Room
from beam_talonone.transforms.pubsub import holding
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.process_registry import PROCESS

SUBSCRIPTION = "projects/p/subscriptions/files"


class Streaming:
    """Takes records as a stream does, and ends none by itself."""

    def __init__(self):
        self.store, self.counters = Store(), StreamCounters()
        self.sequencer = SimpleNamespace(waiting_for_order=0)
        self.records = []
        """(kind, id or reason, message)."""
        self._engine = threading.RLock()

    def then(self, action):
        with self._engine:
            action()

    def arrived(self, work, message):
        self.records.append((work.kind, work.id, message))

    def invalid(self, kind, record_id, outcome, message):
        self.records.append((kind, outcome.reason, message))

    def end(self, *, done=True):
        """End all records that are held."""
        with self._engine:
            records, self.records = self.records, []
            for _, _, message in records:
                message.ack() if done else message.give_back()
        return [(kind, name) for kind, name, _ in records]


class Bucket:
    """Files of a bucket: name -> lines. `failures` are raised, one by one, in front of line `after` of a file."""

    def __init__(self):
        self.files, self.failures, self.after, self.opened = {}, [], 0, []

    def read(self, shard):
        self.opened.append(f"{shard.file}#{shard.generation}")
        for position, text in enumerate(self.files[shard.file.removeprefix("gs://b/")], 1):
            if position > self.after and self.failures:
                raise self.failures.pop(0)
            yield Raw(shard.kind, shard.file, position, "jsonl", text, None, None)


def event(number):
    return b'{"event_id": "%d", "type": "t", "customer_id": "c", "event_time": "2026-05-01T00:00:00Z"}' % number


@pytest.fixture
def released(monkeypatch):
    calls = []
    monkeypatch.setattr(holding, "release", lambda subscription, ack_id, *, done: calls.append((ack_id, done)))
    return calls


@pytest.fixture
def bucket(monkeypatch):
    bucket = Bucket()
    monkeypatch.setattr(file_reader, "read_shard", bucket.read)
    monkeypatch.setattr(file_reader, "FIRST_WAIT", 0.01)
    return bucket


@pytest.fixture
def streaming(released, bucket):
    return Streaming()


@contextmanager
def reading(streaming, room=None, trouble=None, mapping=None):
    options = MessageOptions({}, BuildOptions(), mapping=mapping)
    reader = FileReader(streaming, options, room or Room(), ([] if trouble is None else trouble).append)
    try:
        yield reader
    finally:
        reader.close()
        # what a thread gives back late would be counted in the next test
        for thread in threading.enumerate():
            if thread.name == "file-reader":
                thread.join()


def announced(name, ack_id="ack", generation=7, **attributes):
    standard = {
        "eventType": "OBJECT_FINALIZE", "bucketId": "b", "objectId": name, "objectGeneration": str(generation),
        "kind": "events",
    }  # fmt: skip
    present = {key: value for key, value in {**standard, **attributes}.items() if value is not None}
    return Received(SUBSCRIPTION, f"m-{ack_id}", b"{}", present, "", 0.0, ack_id)


def arrived(streaming, count):
    wait_until(lambda: len(streaming.records) >= count, f"{count} records have arrived")


def test_its_records_arrive_and_the_last_one_acknowledges(streaming, bucket, released):
    bucket.files["a.jsonl"] = [event(1), b"no json", event(2)]
    with reading(streaming) as reader:
        reader.submit(announced("a.jsonl"))
        arrived(streaming, 3)
        assert released == []
        assert streaming.end() == [("events", "1"), ("events", "not_json"), ("events", "2")]
        wait_until(lambda: released, "it is acknowledged")
    assert (released, bucket.opened) == ([("ack", True)], ["gs://b/a.jsonl#7"])
    assert streaming.counters.files == {"read": 1, "finished": 1}


def test_a_second_message_about_a_file_waits_for_its_end_and_a_third_is_known(streaming, bucket, released):
    bucket.files["a.jsonl"] = [event(1)]
    with reading(streaming) as reader:
        reader.submit(announced("a.jsonl", "one"))
        arrived(streaming, 1)
        reader.submit(announced("a.jsonl", "two"))
        assert released == []
        streaming.end()
        wait_until(lambda: len(released) == 2, "both are acknowledged")
        reader.submit(announced("a.jsonl", "three"))
        wait_until(lambda: len(released) == 3, "it is acknowledged")
        reader.submit(announced("a.jsonl", "four", generation=8))
        arrived(streaming, 1)
        streaming.end()
        wait_until(lambda: len(released) == 4, "other content is read")
    assert released == [(name, True) for name in ("one", "two", "three", "four")]
    assert bucket.opened == ["gs://b/a.jsonl#7", "gs://b/a.jsonl#8"]
    assert dict(streaming.counters.files) == {"read": 2, "finished": 2, "duplicate": 2}


def test_no_more_is_read_than_there_is_room(streaming, bucket, released):
    bucket.files["a.jsonl"] = [event(number) for number in range(50)]
    with reading(streaming, Room(requests=20)) as reader:
        reader.submit(announced("a.jsonl"))
        arrived(streaming, 20)
        streaming.sequencer.waiting_for_order = 5
        arrived(streaming, 25)
        assert len(streaming.records) == 25
        ended = 0
        while ended < 50:
            arrived(streaming, 1)
            ended += len(streaming.end())
        wait_until(lambda: released, "it is acknowledged")


def test_a_bucket_that_fails_is_asked_again_behind_what_was_read(streaming, bucket, released):
    bucket.files["a.jsonl"] = [event(number) for number in range(5)]
    bucket.after, bucket.failures = 3, [CannotReadNow("gs://b/a.jsonl cannot be read: no"), CannotReadNow("again")]
    trouble = []
    with reading(streaming, trouble=trouble) as reader:
        reader.submit(announced("a.jsonl"))
        arrived(streaming, 5)
        assert streaming.end() == [("events", str(number)) for number in range(5)], "each once"
        wait_until(lambda: released, "it is acknowledged")
    assert trouble == ["gs://b/a.jsonl cannot be read: no; trying again", "again; trying again"]


def test_a_file_that_cannot_be_read_holds_up_no_other(streaming, bucket, released):
    bucket.files["a.jsonl"] = bucket.files["b.jsonl"] = [event(1)]
    bucket.failures = [CannotReadNow("no")] * 3
    with reading(streaming) as reader:
        reader.submit(announced("a.jsonl", "a"))
        reader.submit(announced("b.jsonl", "b"))
        arrived(streaming, 2)
        streaming.end()
        wait_until(lambda: len(released) == 2, "both are acknowledged")


def test_a_record_that_is_given_back_gives_back_the_file_and_stops_reading(streaming, bucket, released):
    bucket.files["a.jsonl"] = [event(number) for number in range(50)]
    with reading(streaming, Room(requests=10)) as reader:
        reader.submit(announced("a.jsonl", "one"))
        reader.submit(announced("a.jsonl", "two"))
        arrived(streaming, 10)
        streaming.end(done=False)
        wait_until(lambda: len(released) == 2 or streaming.end(done=False) is None, "both are given back")
        assert released == [("one", False), ("two", False)]
        assert not streaming.store.has_file("gs://b/a.jsonl#7")
        reader.submit(announced("a.jsonl", "again"))
        arrived(streaming, 10)
        assert streaming.end()[0] == ("events", "0"), "from its beginning"


def test_closed_it_reads_no_further(streaming, bucket, released):
    bucket.files["a.jsonl"] = [event(number) for number in range(50)]
    with reading(streaming, Room(requests=10)) as reader:
        reader.submit(announced("a.jsonl"))
        arrived(streaming, 10)
    streaming.end()
    wait_until(lambda: released, "it is given back")
    assert (released, streaming.records) == ([("ack", False)], [])
    assert streaming.counters.files == {"read": 1, "given_back": 1}


@pytest.mark.parametrize(
    ("attributes", "rule"), [({"eventType": "OBJECT_DELETE"}, "OBJECT_DELETE"), ({"objectId": "in/"}, "folder")]
)
def test_other_events_are_filtered(streaming, released, attributes, rule):
    with reading(streaming) as reader:
        reader.submit(announced("a.jsonl", **attributes))
    assert released == [("ack", True)]
    assert streaming.counters.lines() == [f"files: filtered 1 ({rule} 1)"]


@pytest.mark.parametrize(
    ("attributes", "kind", "reason"),
    [
        ({"kind": None}, "records", "missing_field"),
        ({"kind": "event"}, "records", "invalid_field"),
        ({"objectId": "a.txt"}, "events", "unreadable_file"),
        ({"objectId": "a.csv", "kind": "orders"}, "orders", "unreadable_file"),
    ],
)
def test_a_file_that_cannot_be_a_file_of_records_is_one_dead_letter(streaming, released, attributes, kind, reason):
    with reading(streaming) as reader:
        reader.submit(announced("a.jsonl", **attributes))
        arrived(streaming, 1)
        ((_, _, message),) = streaming.records
        name = attributes.get("objectId", "a.jsonl")
        assert message.source() == {
            "subscription": SUBSCRIPTION, "message_id": "m-ack", "file": f"gs://b/{name}#7",
        }  # fmt: skip
        assert streaming.end() == [(kind, reason)]
        wait_until(lambda: released, "it is acknowledged")
    assert streaming.counters.files == {"read": 1, "dead_lettered": 1}
    assert not streaming.store.has_file(f"gs://b/{name}#7"), "another notification may tell its kind"


def test_a_message_that_is_no_notification_is_a_dead_letter(streaming):
    with reading(streaming) as reader:
        reader.submit(Received(SUBSCRIPTION, "17", event(1), {}, "", 0.0, "ack"))
    ((kind, reason, message),) = streaming.records
    assert (kind, reason, message.source()["message_id"]) == ("records", "invalid_field", "17")


def test_the_step_hands_over_notifications_and_nothing_else(streaming, bucket, released):
    bucket.files["a.jsonl"] = [event(1)]
    other = Received("projects/p/subscriptions/orders", "1", b"{}", {}, "", 0.0, "other")
    step = HandOverFiles("a stream", (SUBSCRIPTION,))
    assert list(step.process([other])) == [[other]], "needs no reader"
    with reading(streaming) as reader, PROCESS.scope() as scope:
        scope.enter(FILE_READERS, "a stream", reader)
        assert list(step.process([announced("a.jsonl"), other])) == [[other]]
        arrived(streaming, 1)
        streaming.end()
