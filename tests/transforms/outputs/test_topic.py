"""A topic as a sink: nothing is lost while it cannot be written to, and nothing cut unsaid."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core.exceptions import NotFound

from beam_talonone.schemas.decoding.shown import digest
from beam_talonone.transforms.outputs import topic as sink_topic
from beam_talonone.transforms.outputs.topic import MOST_BYTES, TopicSink, fitting


def dead_letter(number: int, **more: Any) -> dict[str, Any]:
    return {"kind": "orders", "id": str(number), "record": {"n": number}, "detail": "no", **more}


def nothing() -> None:
    pass


class Topic:
    """Accepts published messages, or raises `failing`."""

    def __init__(self) -> None:
        self.requests: list[list[Any]] = []
        self.failing: Exception | None = None
        self.tries = 0

    def __call__(self, messages: list[Any]) -> None:
        self.tries += 1
        if self.failing is not None:
            raise self.failing
        self.requests.append(messages)

    @property
    def ids(self) -> list[str]:
        return [json.loads(message.data)["id"] for messages in self.requests for message in messages]


def topic_sink(topic: Topic, notice: Callable[[str], None] = print) -> TopicSink:
    return TopicSink("projects/shop-1/topics/letters", "dead letters", notice, topic)


def wait_until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def test_lines_are_gathered_into_requests() -> None:
    topic, written = Topic(), []
    sink = topic_sink(topic)
    for number in range(2500):
        sink.write(
            dead_letter(number), {"kind": "orders", "reason": "refused"}, lambda number=number: written.append(number)
        )
    assert sink.close() == 0
    assert written == list(range(2500))
    assert topic.ids == [str(number) for number in range(2500)]
    assert max(len(messages) for messages in topic.requests) <= sink_topic.MOST_LINES
    assert len(topic.requests) < 300
    assert dict(topic.requests[0][0].attributes) == {"kind": "orders", "reason": "refused"}
    with pytest.raises(RuntimeError, match="closed"):
        sink.write(dead_letter(1), {}, nothing)


def test_requests_are_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    topic, sink = Topic(), None
    monkeypatch.setattr(sink_topic, "GATHER", 1.0)
    monkeypatch.setattr(sink_topic, "MOST_BYTES", 5_000)
    sink = topic_sink(topic)
    for number in range(10):
        sink.write(dead_letter(number, record="x" * 1500), {"long": "ö" * 2000}, nothing)
    assert sink.close() == 0
    assert len(topic.ids) == 10
    assert all(sum(len(message.data) for message in messages) <= 5_000 for messages in topic.requests)
    cut = topic.requests[0][0].attributes["long"]
    assert (cut, len(cut.encode())) == ("ö" * 512, sink_topic.LONGEST_ATTRIBUTE)


def test_what_cannot_be_published_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_topic, "FIRST_WAIT", 0.01)
    topic, notices, written = Topic(), [], []
    topic.failing = NotFound("Topic not found\nmore")
    sink = topic_sink(topic, notices.append)
    for number in range(3):
        sink.write(dead_letter(number), {}, lambda number=number: written.append(number))
    assert (sink.waiting, written) == (3, []), "nobody is held up until it is published"
    wait_until(lambda: topic.tries >= 4, "it is tried again")
    assert sink.waiting == 3
    assert written == []
    (line,) = notices
    assert line.startswith(
        "cannot publish dead letters to projects/shop-1/topics/letters: NotFound: Topic not found; "
    )
    topic.failing = None
    wait_until(lambda: sink.waiting == 0, "all are published")
    assert sorted(written) == [0, 1, 2]
    assert sorted(topic.ids) == ["0", "1", "2"]
    assert notices[1:] == ["dead letters go to projects/shop-1/topics/letters again"]
    assert sink.close() == 0


def test_a_line_that_is_refused_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_topic, "FIRST_WAIT", 0.01)
    taken: list[str] = []

    def publish(messages: list[Any]) -> None:
        ids = [json.loads(message.data)["id"] for message in messages]
        if "0" in ids:
            raise ValueError("bad")
        taken.extend(ids)

    monkeypatch.setattr(sink_topic, "CLOSE_WITHIN", 0.1)
    sink = TopicSink("projects/shop-1/topics/letters", "results", print, publish)
    for number in range(5):
        sink.write(dead_letter(number), {}, nothing)
    wait_until(lambda: sorted(taken) == ["1", "2", "3", "4"], "the others are published")
    assert sink.close() == 1


def test_closing_gives_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_topic, "CLOSE_WITHIN", 0.3)
    topic = Topic()
    topic.failing = NotFound("Topic not found")
    sink = topic_sink(topic)
    sink.write(dead_letter(1), {}, lambda: pytest.fail("it was not written"))
    wait_until(lambda: topic.tries > 0, "it is tried")
    assert sink.close() == 1
    before = threading.active_count()
    topic.failing = None
    time.sleep(0.1)
    assert topic.ids == []
    assert threading.active_count() <= before


@pytest.mark.parametrize(
    ("line", "cut"),
    [
        (dead_letter(1, record={"note": 'a"\\\u0001ö\U0001f600' * 100}), "record"),
        (dead_letter(1, record="ö" * 900), "record"),
        (dead_letter(1, record={"a": 1}, response=["x"] * 500), "response"),
        ({"kind": "orders", "effects": ["x"] * 500}, "effects"),
    ],
)
def test_a_long_line_is_cut_and_says_so(line: dict[str, Any], cut: str) -> None:
    data = fitting(line, 800)
    assert 780 <= len(data) <= 800
    found = json.loads(data)
    assert isinstance(found[cut], str)
    whole = (
        line[cut] if isinstance(line[cut], str) else json.dumps(line[cut], separators=(",", ":"), ensure_ascii=False)
    )
    assert whole.startswith(found[cut].rstrip("\ufffd"))
    assert f"`{cut}` is cut" in found["detail"]
    marks = {name: found.pop(name) for name in ("altered", "record_sha256") if name in found}
    record = json.dumps(found[cut], ensure_ascii=False).encode()
    assert marks == ({"altered": True, "record_sha256": digest(record)} if cut == "record" else {})
    assert {name: value for name, value in found.items() if name not in (cut, "detail")} == {
        name: value for name, value in line.items() if name not in (cut, "detail")
    }


def test_bytes_of_a_record_are_left_out_of_a_line_that_is_too_long_with_them() -> None:
    line = dead_letter(1, record="m\ufffdller", altered=True, record_sha256="0" * 64, record_base64="A" * 2000)
    found = json.loads(fitting(line, 800))
    assert "`record_base64` is left out" in found.pop("detail")
    assert found == {name: value for name, value in line.items() if name not in ("record_base64", "detail")}


def test_a_line_that_fits_is_as_it_was() -> None:
    line = dead_letter(1)
    assert json.loads(fitting(line, len(fitting(line, MOST_BYTES)))) == line
