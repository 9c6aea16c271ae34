"""A file ends once, when its last record has ended, and its records hold room until then."""

import pytest

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.transforms.notifications.notification import Notification
from beam_talonone.transforms.notifications.progress import FileEnd, FileProgress, Room
from beam_talonone.transforms.pubsub.message import Received

SUBSCRIPTION = "projects/p/subscriptions/files"
MESSAGE = Received(SUBSCRIPTION, "17", b"{}", {}, "", 0.0, "ack")
FILE = "gs://b/in/a.csv#7"


def line(position=1, text=b"{}"):
    return Raw("orders", "gs://b/in/a.csv", position, "jsonl", text, None, None)


def work(kind, **fields):
    fields = {"event_time": "2026-05-01T12:00:00Z", "customer_id": "c", **fields}
    return build(kind, parse(kind, fields).record, BuildOptions())


@pytest.fixture
def ends():
    return []


@pytest.fixture
def progress(ends):
    notification = Notification("OBJECT_FINALIZE", "b", "in/a.csv", 7, {})
    return FileProgress(notification, MESSAGE, Room(), lambda _, end: ends.append(end))


def test_it_ends_with_the_last_record(progress, ends):
    first, second = (progress.record(line(position), None) for position in (1, 2))
    second.ack()
    progress.close(FileEnd.FINISHED)
    assert ends == []
    first.ack()
    assert ends == [FileEnd.FINISHED]


@pytest.mark.parametrize("read", [True, False], ids=["read before", "read after"])
def test_no_record_may_be_the_last_one(progress, ends, read):
    record = progress.record(line(), None)
    if read:
        record.ack()
    progress.close(FileEnd.FINISHED)
    if not read:
        record.ack()
    assert ends == [FileEnd.FINISHED]


def test_without_records_it_ends_at_once(progress, ends):
    progress.close(FileEnd.DUPLICATE)
    assert ends == [FileEnd.DUPLICATE]


def test_with_one_record_given_back_all_are(progress, ends):
    first, second = (progress.record(line(position), None) for position in (1, 2))
    first.give_back()
    assert progress.given_back
    progress.close(FileEnd.FINISHED)
    second.ack()
    assert ends == [FileEnd.GIVEN_BACK]


def test_the_source_is_the_message_and_the_place_in_the_file(progress):
    of = {"subscription": SUBSCRIPTION, "file": FILE}
    raw = Raw("events", "gs://b/in/a.csv", 4, "csv", None, {"a": "1"}, None, row={"a": "1"}, number=3)
    record = progress.record(raw, None)
    assert record.source() == {**of, "message_id": "17/4", "position": 4, "format": "csv", "row": 3}
    assert record.shown().record == {"a": "1"}
    mapped = progress.record(Raw("orders", "f", 2, "jsonl", b"{}", None, None, part="orders/0/1"), None)
    assert mapped.source() == {**of, "message_id": "17/2/orders/0/1", "position": 2, "part": "orders/0/1"}
    whole = progress.record(Raw("orders", "f", 0, "", None, None, "why"), None)
    assert (whole.source(), whole.shown().record) == ({**of, "message_id": "17"}, None)
    assert [each.comes_again for each in (record, mapped, whole)] == [False, False, True]
    assert [each.name for each in (record, mapped, whole)] == [(FILE, "4"), (FILE, "2/orders/0/1"), (FILE, "")]


def test_only_records_with_a_request_of_their_own_need_room_for_requests():
    room = Room(records=3, requests=1)
    progress = FileProgress(Notification("OBJECT_FINALIZE", "b", "o", 7, {}), MESSAGE, room, lambda *_: None)
    progress.record(line(), work("profiles", attributes={"a": 1}))
    assert room.is_left()
    order = progress.record(line(), work("orders", order_id="o", status="open"))
    assert not room.is_left()
    assert room.is_left(exempt=1), "a return that waits for its order needs none"
    order.ack()
    assert room.is_left()
    invalid = [progress.record(line(), None) for _ in range(2)]
    assert not room.is_left()
    invalid[0].give_back()
    assert room.is_left()


def test_large_records_need_room_for_their_bytes():
    room = Room(bytes=1_000)
    progress = FileProgress(Notification("OBJECT_FINALIZE", "b", "o", 7, {}), MESSAGE, room, lambda *_: None)
    large = progress.record(line(text=b"x" * 1_000), None)
    assert not room.is_left(exempt=100)
    large.ack()
    assert room.is_left()
    typed = Raw("profiles", "f", 1, "avro", None, {"a": 1}, None)
    progress.record(typed, work("profiles", attributes={"a": "x" * 1_000}))
    assert not room.is_left()
