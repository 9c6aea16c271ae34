"""A run of a stream in this process: how it starts, each way in which it ends, and what it leaves behind."""

import json
import os
import signal
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e.harness import KEY, Simulator, order, wait_until
from support.process.left_open import open_files
from support.process.stream_run import SUBSCRIPTION, InProcess, marked_unclean, stop
from support.servers.ports import free_port

from beam_talonone.pipelines.backfill.options import parse_max_dead_letters
from beam_talonone.pipelines.cli.main import run as run_command
from beam_talonone.pipelines.runners.runner import beam_options
from beam_talonone.pipelines.streaming import orderly_stop
from beam_talonone.pipelines.streaming import run as stream_run
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.orderly_stop import OrderlyStop
from beam_talonone.pipelines.streaming.parts import open_parts
from beam_talonone.pipelines.streaming.run import StreamRun
from beam_talonone.talonone.errors import ConfigurationError, Interrupted, KeyRefused, StopRun, TooManyDeadLetters
from beam_talonone.talonone.state.append_log import AppendLog
from beam_talonone.talonone.state.store import Store
from beam_talonone.transforms.outputs.sinks import FolderSink
from beam_talonone.transforms.pubsub.registry import SUBSCRIBERS
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.sink.apply import STREAMS

pytestmark = pytest.mark.usefixtures("no_engine_is_left")

RESTART = "nothing is lost: start the stream again"


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> InProcess:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # the run replaces it
    return InProcess(monkeypatch)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def run_of(api: Simulator, state: Path, stream: InProcess, **more: Any) -> Callable[[], None]:
    settings = {"settle": 0.05, "bulk_age": 0.05, "rate": 1_000.0, **more}
    options = StreamOptions({"orders": (SUBSCRIPTION,)}, api.url, "job-1", state=state, **settings)
    return StreamRun(options, beam_options(()), stream.notices.append).run


def acknowledged(stream: InProcess, *ack_ids: str) -> Callable[[], None]:
    return lambda: wait_until(lambda: sorted(stream.pubsub.done) == sorted(ack_ids), f"{ack_ids} are acknowledged")


def assert_closed(stream: InProcess, state: Path) -> None:
    """Nothing of the run is left in this process."""
    assert stream.pubsub.closed
    assert open_files(state) == set()
    assert PROCESS.find(SUBSCRIBERS, (SUBSCRIPTION,)) is None
    assert PROCESS.find(STREAMS, "job-1") is None
    assert stream.prism.stops >= 1


def test_a_signal_ends_a_stream_in_order(api: Simulator, state: Path, stream: InProcess) -> None:
    first, second = stream.publish("m1", order("o-1", "c-1")), stream.publish("m2", order("o-2", "c-2"))
    stream.meanwhile(run_of(api, state, stream), acknowledged(stream, first, second), stop)
    assert set(api.sessions()) == {"o-1", "o-2"}
    assert stream.pubsub.back == []
    assert_closed(stream, state)
    assert not marked_unclean(state), "the next stream need not wait"
    left = {path.name for path in state.iterdir()}
    assert left == {"stream.json", "store.sqlite", "log.jsonl", "ends.json", "lock", "dead-letters"}
    store = Store(state / "store.sqlite")
    assert store.any_ended(), "a repeat is a duplicate after a restart"
    store.close()
    assert stream.notices == [
        f"reading {SUBSCRIPTION}",
        "SIGTERM: finishing what is in flight, giving back the rest",
        "orders: read 2, applied 2",
    ]


def test_a_message_that_has_not_left_is_given_back(api: Simulator, state: Path, stream: InProcess) -> None:
    waiting = stream.publish("m1", order("o-1", "c-1"))
    stream.meanwhile(
        run_of(api, state, stream, settle=600.0),
        stream.at_work("job-1", lambda processor: processor.sequencer.held == 1, "it waits for earlier ones"),
        stop,
    )
    assert (stream.pubsub.done, stream.pubsub.back) == ([], [waiting])
    assert api.sessions() == {}
    assert_closed(stream, state)
    assert not marked_unclean(state)


def test_a_request_in_flight_is_finished(api: Simulator, state: Path, stream: InProcess) -> None:
    api.faults("latency:ms=700")
    in_flight = stream.publish("m1", order("o-1", "c-1"))
    stream.meanwhile(
        run_of(api, state, stream),
        stream.at_work("job-1", lambda processor: processor.engine.in_flight == 1, "it is under way"),
        stop,
    )
    assert (stream.pubsub.done, stream.pubsub.back) == ([in_flight], [])
    assert set(api.sessions()) == {"o-1"}


def test_a_dead_letter_is_written_before_its_message_is_acknowledged(
    api: Simulator, state: Path, stream: InProcess
) -> None:
    bad = stream.publish("m1", {"order_id": "o-1"})
    stream.meanwhile(run_of(api, state, stream), acknowledged(stream, bad), stop)
    (path,) = (state / "dead-letters").glob("*.jsonl")
    (dead_letter,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (dead_letter["job"], dead_letter["source"]["message_id"], dead_letter["stage"]) == (
        "job-1",
        "m1",
        "validate",
    )
    assert open_files(state) == set()


def test_a_signal_before_anything_is_read_ends_the_start(api: Simulator, state: Path, stream: InProcess) -> None:
    stream.publish("m1", order("o-1", "c-1"))
    stream.on_start = stop
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        run_of(api, state, stream)()
    assert stream.pubsub.calls == {}
    assert stream.prism.stops == 1
    assert open_files(state) == set()
    assert not marked_unclean(state)


def test_a_signal_during_the_start_of_the_parts_gives_back_what_was_read(
    api: Simulator, state: Path, stream: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = stream.publish("m1", order("o-1", "c-1"))

    def signalled(*given: Any) -> Any:
        made = open_parts(*given)
        wait_until(lambda: made.subscriber.buffer.held == 1, "it is pulled")
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(lambda: bool(handled), "the signal is handled")
        return made

    handled: list[str] = []
    plain = OrderlyStop.on_signal

    def on_signal(stopping: OrderlyStop, name: str) -> None:
        plain(stopping, name)
        handled.append(name)

    monkeypatch.setattr(OrderlyStop, "on_signal", on_signal)
    monkeypatch.setattr(stream_run, "open_parts", signalled)
    with pytest.raises(Interrupted, match="stopped by SIGTERM"):
        run_of(api, state, stream)()
    assert (stream.pubsub.done, stream.pubsub.back) == ([], [message])
    assert_closed(stream, state)
    assert not marked_unclean(state)


def failing(ends: str, stream: InProcess) -> None:
    match ends:
        case "graph":
            stream.failure = RuntimeError("a step failed [while running 'Prepare']")
        case "end":
            stream.ends = True
        case "prism":
            stream.prism.exit_code = 7
        case "subscriber":
            stream.subscriber.buffer.fail(StopRun("the thread pubsub-pull ended by a defect (E: e)"))


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        ("graph", f"the pipeline failed: a step failed [while running 'Prepare']; {RESTART}"),
        ("end", f"the pipeline ended by itself; {RESTART}"),
        ("prism", f"Prism ended (7); {RESTART}"),
    ],
)
def test_a_graph_that_ends_stops_the_stream(
    api: Simulator, state: Path, stream: InProcess, ends: str, why: str
) -> None:
    done = stream.publish("m1", order("o-1", "c-1"))
    with pytest.raises(StopRun) as raised:
        stream.meanwhile(run_of(api, state, stream), acknowledged(stream, done), lambda: failing(ends, stream))
    assert str(raised.value) == why
    assert_closed(stream, state)
    assert not marked_unclean(state), "it ended in order"
    assert stream.notices[-1] == "orders: read 1, applied 1"


def test_a_thread_that_reads_no_longer_stops_the_stream(api: Simulator, state: Path, stream: InProcess) -> None:
    done = stream.publish("m1", order("o-1", "c-1"))
    with pytest.raises(StopRun, match="the thread pubsub-pull ended by a defect"):
        stream.meanwhile(
            run_of(api, state, stream), acknowledged(stream, done), lambda: failing("subscriber", stream)
        )
    assert_closed(stream, state)


def test_a_graph_that_does_not_end_is_stopped_with_prism(
    api: Simulator, state: Path, stream: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orderly_stop, "GRACE", 0.1)
    stream.stuck = True
    stream.meanwhile(run_of(api, state, stream), lambda: wait_until(lambda: bool(stream.notices), "it reads"), stop)
    assert stream.prism.exit_code == -9
    assert_closed(stream, state)


def test_a_refused_key_ends_the_stream_when_requested(api: Simulator, state: Path, stream: InProcess) -> None:
    api.faults("unauthorized")
    refused = stream.publish("m1", order("o-1", "c-1"))
    with pytest.raises(KeyRefused, match="401"):
        stream.meanwhile(run_of(api, state, stream, exit_on_auth_error=True))
    assert (stream.pubsub.done, stream.pubsub.back) == ([], [refused])
    assert_closed(stream, state)
    assert list((state / "dead-letters").glob("*.jsonl")) == []


def healthz(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, "it does not listen yet"


def test_a_refused_key_pauses_the_reading(api: Simulator, state: Path, stream: InProcess) -> None:
    api.faults("unauthorized")
    port, seen = free_port(), []
    message = stream.publish("m1", order("o-1", "c-1"))

    def look() -> None:
        wait_until(lambda: any("reading has stopped" in line for line in stream.notices), "it is noticed")
        seen.append(healthz(port))
        api.faults()

    stream.meanwhile(
        run_of(api, state, stream, health_port=port),
        look, acknowledged(stream, message),
        lambda: wait_until(lambda: healthz(port) == (200, "ok\n"), "it is well"), stop,
    )  # fmt: skip
    ((status, why),) = seen
    assert status == 503
    assert "reading has stopped until the API accepts a request" in why
    assert "the stream continues" in stream.notices


def test_too_many_dead_letters_stop_the_reading(api: Simulator, state: Path, stream: InProcess) -> None:
    port = free_port()
    bad, later = stream.publish("m1", {"order_id": "o-1"}), f"{SUBSCRIPTION}:m2"

    def look() -> None:
        wait_until(lambda: healthz(port)[0] == 503, "the reading has stopped")
        wait_until(lambda: stream.pubsub.closed, "the subscriber is closed")
        stream.publish("m2", order("o-2", "c-2"))
        assert "That is more than --max-dead-letters 0: reading has stopped" in healthz(port)[1]

    with pytest.raises(TooManyDeadLetters) as raised:
        stream.meanwhile(
            run_of(api, state, stream, max_dead_letters=parse_max_dead_letters("0"), health_port=port), look, stop
        )
    assert str(raised.value) == (
        "1 of the last 1 orders read are dead letters; the last: missing_field. That is more than --max-dead-letters"
        " 0: reading has stopped, and nothing more is acknowledged. See dead-letters in --state. Fix the records and"
        " start the stream again, or start it with a higher --max-dead-letters"
    )
    assert (stream.pubsub.done, stream.pubsub.back) == ([], [bad]), "nothing more is acknowledged, nor read"
    assert later not in stream.pubsub.back
    assert list((state / "dead-letters").glob("*.jsonl")) == []
    assert api.sessions() == {}
    assert json.loads((state / "ends.json").read_text()) == {"orders": "1"}
    assert_closed(stream, state)


@pytest.mark.parametrize(
    ("owner", "method", "error"),
    [
        (Store, "commit", sqlite3.OperationalError("database or disk is full")),
        (FolderSink, "close", OSError(28, "No space left on device")),
    ],
    ids=["state", "dead letters"],
)
def test_a_full_disk_at_the_end_closes_the_rest_and_says_so(
    api: Simulator, state: Path, stream: InProcess, monkeypatch: pytest.MonkeyPatch, owner: type, method: str,
    error: Exception,
) -> None:  # fmt: skip
    def full(*given: Any) -> None:
        raise error

    done = stream.publish("m1", order("o-1", "c-1"))
    with pytest.raises(StopRun, match=r"cannot be written: .*(full|No space left).*; make room, and start"):
        stream.meanwhile(
            run_of(api, state, stream), acknowledged(stream, done),
            lambda: monkeypatch.setattr(owner, method, full), stop,
        )  # fmt: skip
    assert_closed(stream, state)


@pytest.mark.parametrize("option", ["dead_letters", "results"])
def test_a_full_disk_of_a_sink_names_its_option(
    api: Simulator, state: Path, stream: InProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str
) -> None:
    def full(log: AppendLog, data: bytes, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    where = tmp_path / option
    record: Any = {"order_id": "o-1"} if option == "dead_letters" else order("o-1", "c-1")
    message = stream.publish("m1", record)
    monkeypatch.setattr(AppendLog, "append", full)
    with pytest.raises(StopRun) as raised:
        stream.meanwhile(run_of(api, state, stream, **{option: str(where)}))
    assert str(raised.value) == (
        f"--{option.replace('_', '-')} {where} cannot be written: No space left on device; make room, and start"
        " the stream again: nothing is lost"
    )
    assert (stream.pubsub.done, stream.pubsub.back) == ([], [message])
    assert_closed(stream, state)


def test_a_port_that_is_taken_leaves_nothing_open(api: Simulator, state: Path, stream: InProcess) -> None:
    taken = int(api.url.rsplit(":", 1)[1])
    with pytest.raises(ConfigurationError, match=f"--health-port {taken} on 127.0.0.1: Address already in use"):
        run_of(api, state, stream, health_port=taken)()
    assert_closed(stream, state)
    assert not marked_unclean(state)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        ([], 0, f"reading {SUBSCRIPTION}"),
        (["--", "--runner=FlinkRunner"], 2, "a stream runs on PrismRunner (the default) or DataflowRunner"),
        (["--health-port", "{taken}"], 2, "Address already in use"),
    ],
    ids=["signal", "another runner", "a port that is taken"],
)
def test_exit_codes(
    api: Simulator, state: Path, stream: InProcess, capsys: pytest.CaptureFixture[str], words: list[str], code: int,
    expected: str,
) -> None:  # fmt: skip
    taken = api.url.rsplit(":", 1)[1]
    command = ["stream", "--orders", SUBSCRIPTION, "--state", str(state), "--base-url", api.url, "--settle", "0"]
    command += [word.format(taken=taken) for word in words]
    message = stream.publish("m1", order("o-1", "c-1"))
    steps = [acknowledged(stream, message), stop] if code == 0 else []
    assert stream.meanwhile(lambda: run_command(command), *steps) == code
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("failure", [RuntimeError("a step failed"), None], ids=["failure", "end"])
def test_exit_code_of_a_graph_that_ends(
    api: Simulator, state: Path, stream: InProcess, capsys: pytest.CaptureFixture[str], failure: Exception | None
) -> None:
    stream.failure, stream.ends = failure, failure is None
    command = ["stream", "--orders", SUBSCRIPTION, "--state", str(state), "--base-url", api.url]
    assert run_command(command) == 1
    assert RESTART in capsys.readouterr().err
    assert not marked_unclean(state)


def test_a_stream_needs_a_state_folder(api: Simulator, stream: InProcess) -> None:
    options = StreamOptions({"orders": (SUBSCRIPTION,)}, api.url, "job-1")
    with pytest.raises(ConfigurationError, match="--state DIR is missing: name a folder"):
        StreamRun(options, beam_options(()), stream.notices.append).run()
    assert stream.pubsub.calls == {}


def test_a_table_is_refused_before_anything_is_started(api: Simulator, state: Path, stream: InProcess) -> None:
    with pytest.raises(ConfigurationError, match="is a table, which only `stream` on Dataflow"):
        run_of(api, state, stream, results="some-project:shop.results")()
    assert not state.exists()


def test_a_stream_needs_a_key(
    api: Simulator, state: Path, stream: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TALONONE_API_KEY")
    with pytest.raises(ConfigurationError, match=r"no API key: set .*TALONONE_API_KEY"):
        run_of(api, state, stream)()
    assert not state.exists(), "nothing was begun"


def test_two_streams_do_not_share_a_state_folder(api: Simulator, state: Path, stream: InProcess) -> None:
    def second() -> None:
        wait_until(lambda: bool(stream.notices), "the first one reads")
        with pytest.raises(ConfigurationError, match="another stream uses this folder"):
            run_of(api, state, stream)()

    stream.meanwhile(run_of(api, state, stream), second, stop)


def test_a_stream_that_was_killed_is_waited_for(
    api: Simulator, state: Path, stream: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.mkdir()
    (state / "running").write_text("1\n")
    message = stream.publish("m1", order("o-1", "c-1"))
    stream.meanwhile(
        run_of(api, state, stream),
        stream.at_work("job-1", lambda processor: processor.sequencer.held == 1, "it waits for the lease"), stop,
    )  # fmt: skip
    assert stream.notices[0] == (
        "the stream before this one was killed: waiting 10 s until its messages are delivered again"
    )
    assert (stream.pubsub.done, stream.pubsub.back) == ([], [message])
    assert marked_unclean(state), "what the killed stream held may still be out"


def test_a_notice_of_the_counters_stands_at_the_end(api: Simulator, state: Path, stream: InProcess) -> None:
    stream.publish("m1", order("o-1", "c-1"))
    stream.publish("m1-again", order("o-1", "c-1"))
    acked = acknowledged(stream, f"{SUBSCRIPTION}:m1", f"{SUBSCRIPTION}:m1-again")
    stream.meanwhile(run_of(api, state, stream), acked, stop)
    assert stream.notices[-1] == "orders: read 2, applied 1, duplicate 1"
