"""Dead letters of streams sent again: pulled from a subscription, and never over what their stream has sent since."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    PROFILES,
    SESSION,
    STOPPED,
    USAGE,
    Json,
    Simulator,
    assert_balanced,
    call,
    cli,
    dead_letters,
    event,
    order,
    profile,
    returned,
    simulator,
    start,
    wait_until,
    write,
)

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.transforms.outputs.sinks import say_whose
from streams.harness.emulator import Emulator
from streams.harness.pubsub import PubSub

KIND = {"order_id": "orders", "return_id": "returns", "event_id": "events", "call_id": "calls"}


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulator() as sim:
        yield sim


def kind_of(record: Json) -> str:
    if "return_id" in record:
        return "returns"
    return next((kind for field, kind in KIND.items() if field in record), "profiles")


def dead_letter(record: Any, **more: Any) -> Json:
    """A dead letter of a stream, of a definite refusal unless `more` overrides it."""
    made = {
        "kind": kind_of(record), "id": None, "record": record,
        "source": {"subscription": "projects/shop/subscriptions/in", "message_id": "1"}, "stage": "send",
        "reason": "unknown_attribute", "detail": "", "pointer": None, "operation": SESSION, "status": 400,
        "attempts": 1, "failed_at": "2026-05-02T00:00:00Z", "job": "gone",
    }  # fmt: skip
    return made | more


def work_of(record: Json) -> Work:
    kind = kind_of(record)
    return build(kind, parse(kind, record).record, BuildOptions())


def replay(sim: Simulator, source: object, output: Path, *more: object) -> list[object]:
    return ["replay", source, "--output", output, "--base-url", sim.url, "--rate", 3000, "--yes", *more]


def sessions(sim: Simulator) -> list[str]:
    return [row["session"] for row in sim.acted(SESSION)]


# From a subscription


def test_what_is_in_a_subscription_goes_again(
    sim: Simulator, emulator: Emulator, pubsub: PubSub, tmp_path: Path
) -> None:
    topic, subscription = pubsub.subscription("letters")
    whole = [dead_letter(order(f"o{number}", f"c{number}")) for number in range(120)]
    pretty = json.dumps(
        dead_letter(order("pretty", "p", attributes={"note": "ö\u2028"})), indent=2, ensure_ascii=False
    )
    pubsub.publish(topic, [*whole, pretty.encode(), b"no\nletter", b" ", b"\xff\xfe", b'{"kind": "orders"}'])
    ended = cli(*replay(sim, subscription, tmp_path / "out"), env=emulator.environment)
    assert ended.code == DEAD_LETTERS, ended.err
    assert "125 messages were pulled" in ended.err
    assert "no --state was given" in ended.err
    assert sorted(sessions(sim)) == sorted([*(f"o{number}" for number in range(120)), "pretty"])
    left = dead_letters(tmp_path / "out")
    assert sorted((str(one["record"]), one["reason"]) for one in left) == sorted(
        [("no\nletter", "not_json"), (" ", "not_json"), ("\ufffd\ufffd", "not_json"),
         ("{'kind': 'orders'}", "invalid_field")]
    )  # fmt: skip
    assert_balanced(tmp_path / "out")
    assert pubsub.waiting(subscription) == []
    # what was pulled is the job's input from now on
    requests_before = len(sim.rows("requests"))
    assert (
        cli(*replay(sim, subscription, tmp_path / "out", "--resume"), env=emulator.environment).code == DEAD_LETTERS
    )
    assert len(sim.rows("requests")) == requests_before
    cli(*replay(sim, subscription, tmp_path / "out"), env=emulator.environment).says(USAGE, "--resume")
    other = replay(sim, subscription + "-2", tmp_path / "out", "--resume")
    cli(*other, env=emulator.environment).says(USAGE, "DEAD_LETTERS_GLOB", subscription)


def test_nothing_in_a_subscription(sim: Simulator, emulator: Emulator, pubsub: PubSub, tmp_path: Path) -> None:
    _, subscription = pubsub.subscription("letters")
    ended = cli(*replay(sim, subscription, tmp_path / "out"), env=emulator.environment)
    assert ended.code == FINISHED, ended.err
    assert f"there are no dead letters in {subscription}" in ended.err
    assert_balanced(tmp_path / "out")


def test_a_subscription_that_cannot_be_read(
    sim: Simulator, emulator: Emulator, pubsub: PubSub, tmp_path: Path
) -> None:
    topic, subscription = pubsub.subscription("letters")
    for given, expected in (
        (subscription + "-not", f"there is no subscription {subscription}-not"),
        (topic, "is a topic"),
        ("projects/shop/subscriptions/x", "is not a subscription"),
    ):
        cli(*replay(sim, given, tmp_path / "out"), env=emulator.environment).says(USAGE, expected)
        assert not (tmp_path / "out").exists()
    (tmp_path / "used" / "input").mkdir(parents=True)
    cli(*replay(sim, subscription, tmp_path / "used"), env=emulator.environment).says(USAGE, "input exists already")


@pytest.mark.parametrize("moment", ["pulling", "sending"])
def test_killed_and_resumed(moment: str, sim: Simulator, emulator: Emulator, pubsub: PubSub, tmp_path: Path) -> None:
    count = 4000 if moment == "pulling" else 600
    topic, subscription = pubsub.subscription("letters")
    events = [event(f"e{number}", f"c{number}") for number in range(count)]
    pubsub.publish(topic, [dead_letter(one, operation="track_event_v2") for one in events])
    words = replay(sim, subscription, tmp_path / "out")
    words[words.index("--rate") + 1] = 2000 if moment == "pulling" else 100
    log, running = tmp_path / "out" / "input" / "pulled.jsonl", start(*words, env=emulator.environment)
    if moment == "pulling":
        wait_until(lambda: log.exists() and log.read_bytes().count(b"\n") > 500, "some are pulled", running)
    else:
        wait_until(lambda: len(sim.acted()) > 50, "some are sent", running)
    running.kill()
    assert (b"complete" in log.read_bytes()) is (moment == "sending")
    done = len(sim.acted())
    ended = cli(*words, "--resume", env=emulator.environment)
    assert ended.code == FINISHED, ended.err
    assert done < len(sim.acted()) == count
    assert sorted(row["profiles"][0] for row in sim.acted()) == sorted(f"c{number}" for number in range(count))
    counts = assert_balanced(tmp_path / "out")["kinds"]["events"]
    assert (counts["read"], counts["applied"], counts["duplicate"]) == (count, count, 0)
    pubsub.assert_empty(subscription)


def test_stopped_while_pulling(sim: Simulator, emulator: Emulator, pubsub: PubSub, tmp_path: Path) -> None:
    topic, subscription = pubsub.subscription("letters")
    pubsub.publish(topic, [dead_letter(order("o", "c"))])
    words, log = replay(sim, subscription, tmp_path / "out"), tmp_path / "out" / "input" / "pulled.jsonl"
    running = start(*words, env=emulator.environment)
    wait_until(lambda: log.exists() and b"acknowledged" in log.read_bytes(), "it is pulled", running)
    running.signal(15)
    running.end().says(STOPPED, "SIGTERM", "--resume")
    assert cli(*words, "--resume", env=emulator.environment).code == FINISHED
    assert sessions(sim) == ["o"]


# What their stream has sent since


class State:
    """The state folder of a stream, as that leaves it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "stream.json").write_text(json.dumps({"--base-url": url}))
        with self.store():
            pass

    def store(self) -> Any:
        return _Closing(Store(self.folder / "store.sqlite"))

    def applied(self, *records: Json) -> None:
        with self.store() as store:
            for record in records:
                store.sent(work_of(record), 1.0)
                store.ended(work_of(record), 1.0)

    def sent(self, *records: Json) -> None:
        """Sent, and refused."""
        with self.store() as store:
            for record in records:
                store.sent(work_of(record), 1.0)

    def knows(self, record: Json) -> bool:
        with self.store() as store:
            return store.content(work_of(record).identity) == work_of(record).content


class _Closing:
    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Store:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


@pytest.fixture
def state(sim: Simulator, tmp_path: Path) -> State:
    return State(tmp_path / "state", sim.url)


def outcomes(sim: Simulator, source: object, output: Path, *more: object) -> dict[str, Json]:
    """Replay; the counts by kind."""
    ended = cli(*replay(sim, source, output, *more))
    assert ended.code in (FINISHED, DEAD_LETTERS), ended.err
    assert "taken into account" not in ended.err
    kinds: dict[str, Json] = assert_balanced(output)["kinds"]
    return kinds


def test_nothing_goes_over_what_the_stream_sent(sim: Simulator, state: State, tmp_path: Path) -> None:
    bad = {"mended": True}
    refused = [
        order("passed", "a", "completed", 1, attributes=bad),
        order("last", "b", "completed", 1, attributes=bad),
        returned("done", "elsewhere", 3, customer_id="r"),
        event("reused", "c", 3),
        event("new", "c", 4),
        profile("pia", 1, {"a": 1, "b": 1}, audiences={"add": [1, 2]}),
        profile("quinn", 1, {"a": 1}),
        profile("gone", 1, {"a": 1}),
        order("of-gone", "gone", "completed", 1),
        call("old", "update_audience_v2", 1, path={"audienceId": 7}, body={"name": "old"}),
        call("old-session", "update_customer_session_v2", 1, path={"customerSessionId": "passed"},
             body={"customerSession": {"profileId": "a", "state": "open"}}),
    ]  # fmt: skip
    state.sent(*(record for record in refused if record.get("order_id") != "elsewhere"))
    state.applied(
        order("passed", "a", "completed", 2), refused[2], event("reused", "c", 3, attributes={"x": 1}),
        profile("pia", 2, {"a": 2}, audiences={"remove": [2]}), profile("quinn", 2, {"a": 2}),
        profile("gone", 2, erase=True),
        call("newer", "update_audience_v2", 2, path={"audienceId": 7}, body={"name": "new"}),
    )  # fmt: skip
    source = write(tmp_path / "kept" / "letters.jsonl", [dead_letter(record) for record in refused])
    kinds = outcomes(sim, source, tmp_path / "out", "--state", state.folder)
    ends = ("applied", "superseded", "duplicate", "dead_lettered")
    assert {kind: [counts[end] for end in ends] for kind, counts in kinds.items()} == {
        "orders": [1, 2, 0, 0], "returns": [0, 0, 1, 0], "events": [1, 0, 0, 1], "profiles": [1, 2, 0, 0],
        "calls": [0, 2, 0, 0],
    }  # fmt: skip
    assert sessions(sim) == ["last"]
    (changed,) = sim.acted(PROFILES)
    assert changed["body"] == {"customerProfiles": [{"integrationId": "pia", "attributes": {"b": 1}}]}
    assert sim.profiles()["pia"]["audiences"] == [1]
    (left,) = dead_letters(tmp_path / "out")
    assert (left["id"], left["reason"], left["source"]["subscription"][:13]) == (
        "reused", "id_reused", "projects/shop",
    )  # fmt: skip

    # the stream knows it now, and so does the next replay, also of other dead letters
    assert state.knows(refused[1])
    assert state.knows(refused[4])
    assert not state.knows(refused[0])
    with state.store() as store:
        assert store.last_order("last") == work_of(refused[1]).order()
    requests_before = len(sim.acted())
    kinds = outcomes(sim, source, tmp_path / "again", "--state", state.folder)
    assert (kinds["orders"]["superseded"], kinds["events"]["duplicate"]) == (3, 1)
    kinds = outcomes(sim, tmp_path / "out" / "dead-letters" / "*.jsonl", tmp_path / "third")
    assert kinds["events"]["dead_lettered"] == 1
    assert len(sim.acted()) == requests_before


@pytest.mark.parametrize("place", ["in the state folder", "told beside them"])
def test_letters_know_their_stream(place: str, sim: Simulator, state: State, tmp_path: Path) -> None:
    folder = state.folder / "dead-letters" if place == "in the state folder" else tmp_path / "letters"
    state.applied(order("o", "c", "completed", 2))
    write(
        folder / "dead-letters-1.jsonl",
        [dead_letter(order("o", "c", "open", 1)), dead_letter(order("p", "c", "open", 1))],
    )
    if place == "told beside them":
        say_whose(folder, state.folder, "job")
    kinds = outcomes(sim, folder / "*.jsonl", tmp_path / "out")
    assert (kinds["orders"]["superseded"], kinds["orders"]["applied"]) == (1, 1)
    assert sessions(sim) == ["p"]


def test_what_only_the_log_of_the_stream_tells(sim: Simulator, state: State, tmp_path: Path) -> None:
    """A stream that was killed has not committed what it did last, and one that runs has not yet."""
    memory = PendingOverlay(Store())
    log = WriteAheadLog(state.folder / "log.jsonl", memory)
    newer, was = work_of(order("o", "c", "completed", 2)), work_of(event("e", "d", 1))
    for number, work in enumerate([newer, was]):
        memory.sent(work, 1.0)
        log.sent(number, work)
        log.on_start([(number, 0)], 0, 1.0)
    log.ended(was, Outcome(End.APPLIED), 1.0)
    log.close()
    with (state.folder / "log.jsonl").open("ab") as torn:
        torn.write(b'["v", [[1,')
    before = (state.folder / "log.jsonl").read_bytes()
    source = write(
        tmp_path / "letters.jsonl", [dead_letter(order("o", "c", "open", 1)), dead_letter(event("e", "d", 1))]
    )
    kinds = outcomes(sim, source, tmp_path / "out", "--state", state.folder)
    assert (kinds["orders"]["superseded"], kinds["events"]["duplicate"]) == (1, 1)
    assert sim.acted() == []
    assert (state.folder / "log.jsonl").read_bytes() == before, "it is the stream's"


def test_a_stream_of_another_deployment(sim: Simulator, state: State, tmp_path: Path) -> None:
    source = write(state.folder / "dead-letters" / "letters.jsonl", [dead_letter(order("o", "c", "open", 1))])
    state.applied(order("o", "c", "completed", 2))
    with simulator() as other:
        words = replay(other, source, tmp_path / "out")
        cli(*words, "--state", state.folder).says(USAGE, "--state", "belongs to a stream to", sim.url)
        cli(*words, "--state", tmp_path).says(USAGE, "--state", "there is no state of a stream")
        ended = cli(*words)
        assert ended.code == FINISHED
        assert "are not taken into account" in ended.err
        assert sessions(other) == ["o"]


def test_state_is_asked_anew_when_a_replay_is_resumed(sim: Simulator, state: State, tmp_path: Path) -> None:
    count = 400
    refused = [order(f"o{number}", f"c{number}", "completed", 1) for number in range(count)]
    changes = [profile(f"p{number}", 2, {"a": 1, "b": 1}) for number in range(count)]
    source = write(tmp_path / "letters.jsonl", [dead_letter(record) for record in (*refused, *changes)])
    words = replay(sim, source, tmp_path / "out", "--state", state.folder)
    words[words.index("--rate") + 1] = 50
    running = start(*words)
    wait_until(lambda: len(sessions(sim)) > 20, "some are sent", running)
    running.kill()
    gone = set(sessions(sim))
    cli(*words[: words.index("--state")], "--resume").says(USAGE, "--state")
    # the stream goes on meanwhile
    state.applied(*(order(f"o{number}", f"c{number}", "completed", 2) for number in range(count)))
    state.applied(*(profile(f"p{number}", 3, {"a": 2}) for number in range(count)))
    words[words.index("--rate") + 1] = 3000
    assert cli(*words, "--resume").code == FINISHED
    assert set(sessions(sim)) == gone
    assert len(sessions(sim)) == len(gone)
    assert {tuple(row["attributes"]) for row in sim.profiles().values() if row["id"][0] == "p"} == {("b",)}
    counts = assert_balanced(tmp_path / "out")["kinds"]
    assert counts["orders"]["applied"] + counts["orders"]["superseded"] == count
    assert counts["profiles"]["applied"] == count


def test_beside_a_stream_that_writes_all_the_time(sim: Simulator, state: State, tmp_path: Path) -> None:
    """It holds its store for all but an instant, as one under load does."""
    over, commits, refused = threading.Event(), [0], [order(f"o{number}", "c") for number in range(1000)]

    def write_on() -> None:
        connection = sqlite3.connect(state.folder / "store.sqlite", 60.0)
        while not over.is_set():
            connection.execute("INSERT OR REPLACE INTO ended VALUES (x'00', x'00', 1.0)")
            time.sleep(0.2)
            connection.commit()
            commits[0] += 1
        connection.close()

    stream = threading.Thread(target=write_on)
    stream.start()
    try:
        source = write(tmp_path / "letters.jsonl", [dead_letter(record) for record in refused])
        kinds = outcomes(sim, source, tmp_path / "out", "--state", state.folder)
    finally:
        over.set()
        stream.join()
    assert kinds["orders"]["applied"] == 1000
    assert all(state.knows(record) for record in refused)
    assert commits[0] > 0


# With a stream that runs


def test_letters_of_a_stream_that_goes_on(emulator: Emulator, pubsub: PubSub, prism: Path, tmp_path: Path) -> None:
    orders, incoming = pubsub.subscription("orders")
    dead, letters_of_it = pubsub.subscription("letters")
    mended, corrected = pubsub.subscription("mended")
    bad, state = {"unheard": 1}, tmp_path / "state"
    with simulator(unknown_attributes=("unheard",)) as sim:
        words = ["stream", "--orders", incoming, "--dead-letters", dead, "--state", state, "--base-url", sim.url]
        words += ["--settle", 0.5, "--prism-location", prism]
        stream = start(*words, env=emulator.environment, installed=True)
        try:
            refused = [order("passed", "a", "open", 1, attributes=bad), order("last", "b", "open", 1, attributes=bad)]
            pubsub.publish(orders, refused)
            taken = [message.json() for message in pubsub.pull_all(letters_of_it, least=2, seconds=60)]
            assert sorted(one["id"] for one in taken) == ["last", "passed"], stream.err
            pubsub.publish(orders, [order("passed", "a", "open", 2)])
            wait_until(lambda: sessions(sim) == ["passed"], "the newer one is applied", stream)
            # somebody corrects the dead letters and replays them
            pubsub.publish(mended, [{**one, "record": {**one["record"], "attributes": {}}} for one in taken])
            ended = cli(*replay(sim, corrected, tmp_path / "out"), "--state", state, env=emulator.environment)
            assert ended.code == FINISHED, ended.err
            assert sessions(sim) == ["passed", "last"]
            counts = assert_balanced(tmp_path / "out")["kinds"]["orders"]
            assert (counts["applied"], counts["superseded"]) == (1, 1)
            # what was replayed is known to the stream, which goes on
            pubsub.publish(orders, [{**refused[1], "attributes": {}}, order("last", "b", "completed", 3)])
            wait_until(lambda: len(sessions(sim)) == 3, "the newest is applied", stream)
            stream.signal(15)
            assert stream.end().code == FINISHED
        finally:
            if stream.process.poll() is None:
                stream.kill()
        assert sessions(sim) == ["passed", "last", "last"]
        assert "duplicate 1" in stream.err
    pubsub.assert_empty(incoming)
