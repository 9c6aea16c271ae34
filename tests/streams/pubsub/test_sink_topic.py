"""A topic as a sink, on the emulator: what is published, what is too large, and a topic that is not there yet."""

import json
from typing import Any

import pytest
from e2e.harness import wait_until

from beam_talonone.transforms.outputs import topic as sink_topic
from beam_talonone.transforms.outputs.sinks import sink_for
from beam_talonone.transforms.outputs.topic import TopicSink
from streams.harness.emulator import Emulator
from streams.harness.pubsub import PubSub


@pytest.fixture(autouse=True)
def _on_emulator(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.host)


def dead_letter(number: int, **more: Any) -> dict[str, Any]:
    return {"kind": "orders", "id": str(number), "record": {"n": number}, "detail": "no", **more}


def test_lines_become_messages(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("letters")
    sink = sink_for(topic, "dead-letters", pytest.fail)
    assert isinstance(sink, TopicSink)
    written: list[int] = []
    for number in range(1500):
        attributes = {"kind": "orders", "reason": "refused", "job": "j"}
        sink.write(dead_letter(number), attributes, lambda number=number: written.append(number))
    assert sink.close() == 0
    assert written == list(range(1500))
    found = pubsub.pull_all(subscription, least=1500)
    assert sorted(message.json()["id"] for message in found) == sorted(map(str, range(1500)))
    assert all(dict(message.attributes) == {"kind": "orders", "reason": "refused", "job": "j"} for message in found)


def test_a_line_that_is_too_large_for_a_message(pubsub: PubSub) -> None:
    topic, subscription = pubsub.subscription("letters")
    sink = sink_for(topic, "dead-letters", pytest.fail)
    written: list[str] = []
    sink.write(dead_letter(1, record={"text": "x" * 10_500_000}), {"kind": "orders"}, lambda: written.append("large"))
    sink.write(dead_letter(2), {"kind": "orders"}, lambda: written.append("small"))
    assert sink.close() == 0
    assert written == ["large", "small"]
    first, second = sorted(
        (message.json() for message in pubsub.pull_all(subscription, least=2)), key=lambda m: m["id"]
    )
    assert second == dead_letter(2)
    assert first["record"].startswith('{"text":"xxx')
    assert "`record` is cut: it has 10500011 bytes" in first["detail"]
    assert 9_000_000 < len(json.dumps(first)) < 10_000_000


def test_a_topic_that_is_made_later(pubsub: PubSub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_topic, "FIRST_WAIT", 0.05)
    topic, _ = pubsub.subscription("letters")
    later = topic + "-later"
    notices: list[str] = []
    sink = sink_for(later, "dead-letters", notices.append)
    written: list[int] = []
    sink.write(dead_letter(1), {}, lambda: written.append(1))
    wait_until(lambda: bool(notices), "it is said")
    assert notices[0] == f"cannot publish dead letters to {later}: NotFound: Topic not found; 1 waiting"
    assert written == []
    pubsub._publisher.create_topic(name=later)
    assert sink.close() == 0
    assert written == [1]
