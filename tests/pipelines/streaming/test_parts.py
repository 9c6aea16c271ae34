"""The parts of a stream: what is made of its options, and that nothing stays open when one of them cannot be made."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
from e2e.harness import KEY
from support.process.left_open import open_files
from support.pubsub_harness import FakePubSub, fake_pubsub

from beam_talonone.pipelines.backfill.options import parse_max_dead_letters
from beam_talonone.pipelines.streaming import parts
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.parts import StreamParts, file_room, open_parts, open_sinks
from beam_talonone.talonone.errors import ConfigurationError, KeyRefused, StopRun, TooManyDeadLetters, WrongAddress
from beam_talonone.talonone.state import append_log, state_folder
from beam_talonone.talonone.state.state_folder import StateFolder, open_state
from beam_talonone.transforms.notifications.file_reader import FILE_READERS
from beam_talonone.transforms.outputs import sinks, topic
from beam_talonone.transforms.outputs.sinks import FolderSink
from beam_talonone.transforms.pubsub.registry import SUBSCRIBERS, close_subscriber
from beam_talonone.transforms.runtime.process_registry import PROCESS, Scope

pytestmark = pytest.mark.usefixtures("no_engine_is_left")

SUBSCRIPTION = "projects/p/subscriptions/s"
URL = "http://127.0.0.1:1"


def stream_options(state: Path, **more: Any) -> StreamOptions:
    return StreamOptions({"orders": (SUBSCRIPTION,)}, URL, "job", state=state, **more)


class RateService:
    """A rate limit service that grants nothing, and counts how often it was closed."""

    name, limit, among = "--rate-service rates:8081", 10.0, 1

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def pubsub() -> Iterator[FakePubSub]:
    with fake_pubsub() as fake:
        yield fake


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    folder = open_state(tmp_path / "state", URL)
    yield folder
    folder.close()


@pytest.fixture
def scope() -> Iterator[Scope]:
    with PROCESS.scope() as opened:
        yield opened


def opened(options: StreamOptions, state: StateFolder, scope: Scope, notices: list[str] | None = None) -> StreamParts:
    notice: Callable[[str], None] = (lambda line: None) if notices is None else notices.append
    return open_parts(options, state, KEY, scope, notice, lambda why: None)


def close_all(made: StreamParts) -> None:
    close_subscriber((SUBSCRIPTION,))
    made.processor.engine.close()
    made.processor.close()


def test_all_parts_are_there(pubsub: FakePubSub, state: StateFolder, scope: Scope) -> None:
    pubsub.publish(SUBSCRIPTION, "a")
    made = opened(stream_options(state.root), state, scope)
    try:
        assert PROCESS.find(SUBSCRIBERS, (SUBSCRIPTION,)) is made.subscriber
        assert [message.message_id for message in made.subscriber.buffer.take(20.0)] == ["a"]
        assert open_files(state.root) >= {"lock", "store.sqlite", "log.jsonl"}
        assert (state.root / "running").exists(), "from now on the end must be an orderly one"
        assert (made.rates, made.health, made.failure()) == (None, None, None)
    finally:
        close_all(made)
    assert open_files(state.root) == {"lock"}


def assert_nothing_is_open(pubsub: FakePubSub, state: StateFolder) -> None:
    assert open_files(state.root) == {"lock"}
    assert PROCESS.find(SUBSCRIBERS, (SUBSCRIPTION,)) is None
    assert pubsub.closed


def test_a_damaged_log_leaves_nothing_open(pubsub: FakePubSub, state: StateFolder, scope: Scope) -> None:
    (state.root / "log.jsonl").write_text('["no line of a log"]\n["d", "00", "00", 1.0]\n')
    with pytest.raises(ConfigurationError, match=r"log\.jsonl is damaged in line 1"):
        opened(stream_options(state.root), state, scope)
    assert_nothing_is_open(pubsub, state)


def test_a_damaged_store_leaves_nothing_open(pubsub: FakePubSub, state: StateFolder, scope: Scope) -> None:
    (state.root / "store.sqlite").write_bytes(b"this is no database, and long enough for a header " * 20)
    with pytest.raises(ConfigurationError, match=r"store\.sqlite is damaged"):
        opened(stream_options(state.root), state, scope)
    assert_nothing_is_open(pubsub, state)


def test_a_damaged_count_of_dead_letters_leaves_nothing_open(
    pubsub: FakePubSub, state: StateFolder, scope: Scope
) -> None:
    (state.root / "ends.json").write_text("[")
    with pytest.raises(ConfigurationError, match=r"ends\.json is damaged"):
        opened(stream_options(state.root), state, scope)
    assert_nothing_is_open(pubsub, state)


def full(*arguments: object, **more: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("where", ["dead letters", "running", "log"])
def test_a_full_disk_leaves_nothing_open_and_names_the_setting(
    pubsub: FakePubSub, state: StateFolder, scope: Scope, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    match where:
        case "dead letters":
            monkeypatch.setattr(sinks, "say_whose", full)
        case "running":
            monkeypatch.setattr(state_folder, "write_whole_file", full)
        case "log":
            monkeypatch.setattr(append_log.MappedAppendLog, "sync", full)
    with pytest.raises(StopRun) as raised:
        opened(stream_options(state.root), state, scope)
    assert str(raised.value) == (
        f"--state {state.root} cannot be written: No space left on device; make room, and start the"
        " stream again: nothing is lost"
    )
    assert open_files(state.root) == {"lock"}
    assert PROCESS.find(SUBSCRIBERS, (SUBSCRIPTION,)) is None
    assert pubsub.closed == (where == "log"), "it reads only when its state can be written"


def test_a_full_disk_of_the_dead_letters_names_their_option(
    state: StateFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinks, "say_whose", full)
    options = stream_options(state.root, dead_letters=str(tmp_path / "letters"))
    with pytest.raises(StopRun, match=f"^--dead-letters {tmp_path}/letters cannot be written: No space"):
        open_sinks(options, state, lambda line: None)


def test_an_engine_that_cannot_be_made_leaves_nothing_open(
    pubsub: FakePubSub, state: StateFolder, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = RateService()
    monkeypatch.setattr(parts, "rate_service", lambda config: service)
    monkeypatch.setattr(parts, "Engine", lambda *given: (_ for _ in ()).throw(ConfigurationError("no way there")))
    with pytest.raises(ConfigurationError, match="no way there"):
        opened(stream_options(state.root), state, scope)
    assert service.closed == 1
    assert_nothing_is_open(pubsub, state)


def test_a_shared_rate_ends_with_its_engine(
    pubsub: FakePubSub, state: StateFolder, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = RateService()
    monkeypatch.setattr(parts, "rate_service", lambda config: service)
    made = opened(stream_options(state.root), state, scope)
    assert made.rates is not None
    assert (made.rates.name, service.closed) == (service.name, 0)
    close_all(made)
    assert service.closed == 1


class Publisher:
    """A sink of a topic without a cloud: it says whether it was closed."""

    failure: StopRun | None = None

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> int:
        self.closed += 1
        return 0


def test_dead_letters_are_closed_when_the_results_cannot_be_opened(
    pubsub: FakePubSub, state: StateFolder, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Publisher()
    monkeypatch.setattr(topic, "TopicSink", lambda *given: sink)
    options = stream_options(state.root, dead_letters="projects/p/topics/letters", results="gs://bucket/results")
    with pytest.raises(ConfigurationError, match="--results gs://bucket/results is neither a topic nor a folder"):
        opened(options, state, scope)
    assert sink.closed == 1
    assert pubsub.calls == {}, "nothing was read"
    assert not (state.root / "running").exists()


def test_sinks_are_closed_when_the_subscription_is_wrong(
    pubsub: FakePubSub, state: StateFolder, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Publisher()
    monkeypatch.setattr(topic, "TopicSink", lambda *given: sink)

    def missing(subscription: str) -> float:
        raise ConfigurationError(f"there is no subscription {subscription}")

    monkeypatch.setattr(pubsub, "ack_deadline", missing)
    with pytest.raises(ConfigurationError, match="there is no subscription"):
        opened(stream_options(state.root, dead_letters="projects/p/topics/letters"), state, scope)
    assert sink.closed == 1
    assert pubsub.closed
    assert not (state.root / "running").exists(), "nothing was read: the next stream need not wait"


def test_a_wrong_subscription_forgets_no_killed_stream(
    pubsub: FakePubSub, state: StateFolder, scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.begins()
    state.unclean = True

    def missing(subscription: str) -> float:
        raise ConfigurationError("there is no subscription")

    monkeypatch.setattr(pubsub, "ack_deadline", missing)
    with pytest.raises(ConfigurationError):
        opened(stream_options(state.root), state, scope)
    assert (state.root / "running").exists()


def test_nothing_leaves_before_the_leases_of_a_killed_stream_are_over(
    pubsub: FakePubSub, state: StateFolder, scope: Scope
) -> None:
    state.unclean = True
    notices: list[str] = []
    before = time.time()
    made = opened(stream_options(state.root), state, scope, notices)
    close_all(made)
    assert notices == ["the stream before this one was killed: waiting 10 s until its messages are delivered again"]
    assert before + 11.0 <= made.processor.sequencer.hold_until <= time.time() + 11.0


def test_a_stream_after_one_that_ended_in_order_does_not_wait(
    pubsub: FakePubSub, state: StateFolder, scope: Scope
) -> None:
    notices: list[str] = []
    made = opened(stream_options(state.root), state, scope, notices)
    close_all(made)
    assert (notices, made.processor.sequencer.hold_until) == ([], float("-inf"))


@pytest.mark.parametrize(
    ("exits", "why", "waits"),
    [
        (False, KeyRefused("401"), True),
        (True, KeyRefused("401"), False),
        (True, WrongAddress("404"), True),
    ],
    ids=["waits by default", "exits when asked", "waits for an address"],
)
def test_a_refused_key_ends_the_stream_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exits: bool, why: StopRun, waits: bool
) -> None:
    received: list[Any] = []
    monkeypatch.setattr(parts, "Engine", lambda *given: received.append(given))
    parts.make_engine(stream_options(tmp_path, exit_on_auth_error=exits), KEY)
    ((_, key, waits_for, *_),) = received
    assert (key, waits_for(why)) == (KEY, waits)


@pytest.mark.parametrize(
    ("rate", "settle", "messages"),
    [(1.0, 0.0, 5_000), (1_000.0, 5.0, 14_000), (100_000.0, 5.0, 50_000)],
)
def test_as_many_messages_are_held_as_the_rate_needs(
    pubsub: FakePubSub, tmp_path: Path, rate: float, settle: float, messages: int
) -> None:
    made = parts.make_subscriber(stream_options(tmp_path, rate=rate, settle=settle), lambda why: None)
    made.close()
    assert made.buffer._flow.messages == messages


def test_files_of_a_bucket_have_a_reader_that_the_graph_finds(
    pubsub: FakePubSub, state: StateFolder, scope: Scope
) -> None:
    options = replace(stream_options(state.root), subscriptions={"files": (SUBSCRIPTION,)})
    made = opened(options, state, scope)
    try:
        assert made.files is not None
        assert PROCESS.get(FILE_READERS, "job") is made.files
        assert made.failure() is None
        made.files.failure = StopRun("a thread ended")
        assert made.failure() is made.files.failure
        made.files.close()
    finally:
        close_all(made)


def test_a_message_is_held_as_long_as_its_file_takes(pubsub: FakePubSub, state: StateFolder, scope: Scope) -> None:
    """ReadFromPubSubAtLeastOnce by itself gives a message back after an hour."""
    made = opened(stream_options(state.root), state, scope)
    try:
        assert [subscription.leases.most for subscription in made.subscriber._subscriptions] == [inf]
    finally:
        close_all(made)


def test_files_have_room_for_what_the_rate_sends_in_time(state: StateFolder) -> None:
    def room(**more: Any) -> tuple[int, int]:
        found = file_room(stream_options(state.root, **more))
        return found.records, found.requests

    assert room(rate=100.0, settle=5.0, bulk_age=1.0) == (10_000, 700)
    assert room(rate=1.0, settle=0.0, bulk_age=0.0) == (10_000, 100)
    assert room(rate=5_000.0, settle=3.0, bulk_age=1.0) == (25_000, 25_000)
    assert room(rate=5_000.0, settle=600.0) == (50_000, 50_000)


def test_dead_letters_go_to_the_state_folder_where_no_option_says(state: StateFolder) -> None:
    sinks = open_sinks(stream_options(state.root), state, lambda line: None)
    sinks.dead_letters.write({"kind": "orders"}, {}, lambda: None)
    sinks.close()
    assert [path.name.split("-")[0:2] for path in state.dead_letters.glob("*.jsonl")] == [["dead", "letters"]]
    assert (state.dead_letters / "stream.json").exists()
    assert sinks.all() == [sinks.dead_letters]


def test_a_folder_says_which_messages_have_a_dead_letter_already(state: StateFolder, tmp_path: Path) -> None:
    where = tmp_path / "letters"
    where.mkdir()
    earlier = FolderSink(where, "dead-letters")
    earlier.write({"source": {"subscription": SUBSCRIPTION, "message_id": "m1"}}, {}, lambda: None)
    earlier.close()
    options = stream_options(state.root, dead_letters=str(where), results=str(tmp_path / "results"))
    sinks = open_sinks(options, state, lambda line: None)
    assert list(sinks.dead_lettered) == [(SUBSCRIPTION, "m1")]
    assert sinks.all() == [sinks.dead_letters, sinks.results]


def test_one_sink_that_cannot_be_closed_keeps_no_other_open() -> None:
    class Full(Publisher):
        def close(self) -> int:
            super().close()
            raise OSError(28, "No space left on device")

    dead_letters, results = Publisher(), Full()
    with pytest.raises(OSError, match="No space left"):
        parts.StreamSinks(dead_letters, results, {}).close()  # type: ignore[arg-type]
    assert (dead_letters.closed, results.closed) == (1, 1)


def test_half_of_the_records_may_be_dead_letters_where_no_option_says(tmp_path: Path) -> None:
    assert parts.dead_letter_limit(stream_options(tmp_path)) == parse_max_dead_letters("50%")
    limit = parse_max_dead_letters("3")
    assert parts.dead_letter_limit(stream_options(tmp_path, max_dead_letters=limit)) is limit


def test_too_many_dead_letters_are_reported(pubsub: FakePubSub, state: StateFolder, scope: Scope) -> None:
    reported: list[TooManyDeadLetters] = []
    options = stream_options(state.root, max_dead_letters=parse_max_dead_letters("0"))
    made = open_parts(options, state, KEY, scope, lambda line: None, reported.append)
    close_all(made)
    assert made.processor.output.on_excess == reported.append
    assert made.processor.output.ends.dead("orders"), "the first one is one too many"
