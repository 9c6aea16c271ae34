"""The API key changes while an engine, or a stream, is at work: on the simulator, with a fake of Secret Manager."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from e2e.harness import KEY, event, order, profile, wait_until
from support.servers.secretmanager import SECRET, secret_manager
from support.stream_harness import stream

from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.delivery import key_gate
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import KeyRefused
from beam_talonone.talonone.http import api_key
from beam_talonone.transforms.runtime import secrets
from beam_talonone.transforms.runtime.engines import key_source, read_key

NEW = "rotated-key-31d8c6"
EVENT = "track_event_v2"
SOURCE = key_source("NOT_SET", SECRET)


@pytest.fixture
def fake(monkeypatch):
    with secret_manager(KEY) as made:
        monkeypatch.setenv(secrets.EMULATOR, made.host)
        yield made


def rotate(api, fake):
    fake.add(NEW)
    api.accept(NEW)


def refused(api):
    return [row for row in api.rows("requests") if row["status"] == 401]


def test_an_engine_goes_on_with_the_new_key(api, fake):
    api.faults("latency:ms=100")
    engine = Engine(EngineSettings(api.url, rate=2000.0), read_key("NOT_SET", SECRET), key_source=SOURCE)
    try:
        requests = [get_customer_session(f"s{number}") for number in range(64)]
        assert {answer.status for answer in engine.answers(requests)} == {404}
        fake.reads.clear()
        rotate(api, fake)
        assert {answer.status for answer in engine.answers(requests)} == {404}
        assert len(fake.reads) == 1, "of 64 that were refused together, one reads"
        assert 1 <= len(refused(api)) <= 64
        before = len(refused(api))
        engine.answers(requests)
        assert (len(fake.reads), len(refused(api))) == (1, before)
    finally:
        engine.close()


def test_the_engine_is_not_held_up_by_a_secret_that_takes_its_time(api, fake):
    engine = Engine(EngineSettings(api.url), read_key("NOT_SET", SECRET), key_source=SOURCE)
    alive = threading.Event()
    try:
        rotate(api, fake)
        fake.answers.clear()
        fake.reads.clear()
        asking = ThreadPoolExecutor(1).submit(engine.answers, [get_customer_session("s")])
        wait_until(lambda: len(fake.reads) == 1, "it is being read")
        engine.post(alive.set)
        assert alive.wait(5.0), "its thread waits for the secret"
        assert not asking.done()
        fake.answers.set()
        assert [answer.status for answer in asking.result(20)] == [404]
    finally:
        fake.answers.set()
        engine.close()


def test_an_engine_stops_when_the_secret_holds_the_same_key(api, fake):
    engine = Engine(EngineSettings(api.url), read_key("NOT_SET", SECRET), key_source=SOURCE)
    try:
        api.accept(NEW)
        fake.reads.clear()
        with pytest.raises(KeyRefused) as raised:
            engine.answers([get_customer_session(str(number)) for number in range(30)])
        assert f"--api-key-secret {SECRET}, which was read once more and is still the same" in str(raised.value)
        assert len(fake.reads) == 1
    finally:
        engine.close()


def test_a_stream_goes_on_with_the_new_key_and_nobody_notices(api, fake, tmp_path):
    reasons = []
    source = {"key_source": SOURCE, "hold_on": lambda why: not reasons.append(why)}
    with stream(api, tmp_path / "state", settle=0.0, rate=400.0, **source) as one:
        for number in range(300):
            one.feed("events", event(f"e{number}", f"c{number % 40}", number))
            if number == 100:
                wait_until(lambda: api.summary()["acted"] > 20, "some have acted")
                rotate(api, fake)
        one.feed("orders", order("o", "c1", "completed", 900))
        one.feed("profiles", profile("c2", 901, {"a": 1}))
        one.settled()
        assert one.counts("events") == {"read": 300, "applied": 300}
        assert one.dead_letters.lines == []
        assert one.streaming.engine.refusal is None
    assert reasons == [], "it never had to wait for anybody"
    assert len(fake.reads) == 1
    assert 1 <= len(refused(api)) <= 64
    assert set(Counter(row["key"] for row in api.acted(EVENT)).values()) == {1}
    assert len(api.acted(EVENT)) == 300


def test_a_stream_waits_for_the_secret_to_get_the_key_and_then_goes_on(api, fake, tmp_path, monkeypatch):
    monkeypatch.setattr(key_gate, "REFUSED_FIRST_WAIT", 0.05)
    monkeypatch.setattr(key_gate, "REFUSED_LONGEST_WAIT", 0.2)
    monkeypatch.setattr(api_key, "READ_EVERY", 0.5)
    api.accept(NEW)
    with stream(api, tmp_path / "state", settle=0.0, hold_on=lambda why: True, key_source=SOURCE) as one:
        for number in range(20):
            one.feed("events", event(f"e{number}", f"c{number % 5}", number))
        wait_until(lambda: one.streaming.engine.refusal is not None, "it is refused")
        assert SECRET in str(one.streaming.engine.refusal)
        began, read = time.monotonic(), len(fake.reads)
        fake.denied.add(SECRET)
        wait_until(lambda: "secretAccessor" in str(one.streaming.engine.refusal), "it says why it cannot be read")
        fake.denied.clear()
        wait_until(lambda: len(fake.reads) >= read + 3, "it is read again and again")
        assert time.monotonic() - began >= 2 * 0.5
        fake.add(NEW)
        one.settled()
        assert one.streaming.engine.refusal is None
        assert one.dead_letters.lines == []
        for key in (KEY, NEW):
            assert [path for path in one.folder.rglob("*") if key.encode() in path.read_bytes()] == []
    assert len(api.acted(EVENT)) == 20
