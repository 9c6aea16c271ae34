"""A stream in this process on the real simulator, with messages that count what is done to them."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.harness import KEY, Simulator, wait_until

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.schemas.decoding.shown import Shown, of_bytes
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.errors import Interrupted
from beam_talonone.talonone.http.api_key import KeySource
from beam_talonone.talonone.ordering.sequencer import Sequencer
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog
from beam_talonone.talonone.streaming.dead_letter_window import LastEnds
from beam_talonone.talonone.streaming.message_source import source_of
from beam_talonone.talonone.streaming.processor import StreamProcessor
from beam_talonone.talonone.streaming.stream_output import StreamOutput

SUBSCRIPTION = "projects/p/subscriptions/s"


@dataclass(eq=False)
class Message:
    """A message as Pub/Sub delivers it; `acked` and `given_back` count."""

    message_id: str
    data: bytes
    subscription: str = SUBSCRIPTION
    acked: int = 0
    given_back: int = 0
    comes_again: bool = True

    @property
    def name(self) -> tuple[str, str]:
        return self.subscription, self.message_id

    def shown(self) -> Shown:
        return of_bytes(self.data)

    def source(self) -> dict[str, Any]:
        return source_of(self.subscription, self.message_id)

    def ack(self) -> None:
        self.acked += 1

    def give_back(self) -> None:
        self.given_back += 1


@dataclass
class Lines:
    """Where dead letters or results go. `held`: what is written is so only when `let_go` is called. `broken`: no."""

    held: bool = False
    broken: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)
    attributes: list[dict[str, str]] = field(default_factory=list)
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def write(self, line: dict[str, Any], attributes: dict[str, str], then: Callable[[], None]) -> None:
        if self.broken:
            raise OSError(28, "no space left on device")
        self.lines.append(line)
        self.attributes.append(attributes)
        if self.held:
            self.waiting.append(then)
        else:
            then()

    def let_go(self) -> None:
        self.held = False
        while self.waiting:
            self.waiting.pop(0)()


@dataclass
class Stream:
    """One process of a stream. `folder` is its state."""

    streaming: StreamProcessor
    folder: Path
    dead_letters: Lines
    results: Lines | None
    build_options: BuildOptions
    messages: list[Message] = field(default_factory=list)
    is_dead: bool = False

    def feed(self, kind: str, record: dict[str, Any], message_id: str | None = None) -> Message:
        """A record arrives, as another message unless its id is given."""
        message = Message(message_id or f"m{len(self.messages)}", jsonio.dumps(record))
        self.deliver(kind, message)
        return message

    def deliver(self, kind: str, message: Message) -> None:
        self.messages.append(message)
        self.streaming.arrived(
            build(kind, parse(kind, jsonio.loads(message.data)).record, self.build_options), message
        )

    def poison(self, data: bytes, message_id: str = "poison", kind: str = "orders") -> Message:
        """Let a message arrive that is not a valid record."""
        message = Message(message_id, data)
        self.messages.append(message)
        self.streaming.invalid(kind, None, Outcome(End.DEAD, "not_json", "it is not JSON"), message)
        return message

    def settled(self, *messages: Message, timeout: float = 20.0) -> None:
        """Wait until these, or all, are acknowledged; each is, once."""
        wanted = messages or tuple(self.messages)
        wait_until(
            lambda: all(message.acked for message in wanted), f"{len(wanted)} are acknowledged", timeout=timeout
        )
        assert [message.acked for message in wanted] == [1] * len(wanted)
        assert not any(message.given_back for message in wanted)

    def counts(self, kind: str) -> dict[str, int]:
        return {name: count for name, count in self.streaming.counters.kinds[kind].items() if count}

    def kill(self) -> None:
        """As `kill -9` leaves things: nothing more is sent, noted or acknowledged."""
        self.is_dead = True
        self.streaming.engine.close()

    def end(self) -> None:
        """In order: what is in flight is finished, the rest given back."""
        if not self.is_dead:
            self.is_dead = True
            self.streaming.drain(Interrupted("stopped"), 5.0)
            self.streaming.engine.close()
            self.streaming.close()

    @property
    def unfinished(self) -> list[Message]:
        return [message for message in self.messages if not message.acked]


@contextmanager
def stream(
    simulator: Simulator,
    folder: Path,
    *,
    after: Stream | None = None,
    settle: float = 0.2,
    quiet: float = 0.0,
    bulk_age: float = 0.1,
    wait_for_order: float = 20.0,
    hold_on: Any = None,
    dead_letters: Lines | None = None,
    results: Lines | None = None,
    rate: float = 2000.0,
    concurrency: int = 64,
    key_source: KeySource | None = None,
    ends: LastEnds | None = None,
) -> Iterator[Stream]:
    """A stream with its state in `folder`; with that of one that was killed, when `after` names it. `quiet`: seconds
    for which nothing leaves. `key_source`: where it reads its key once more when that is refused.
    `ends` counts the dead letters among the last ends."""
    if after is not None:
        shutil.copytree(after.folder, folder)
    folder.mkdir(exist_ok=True)
    engine = Engine(
        EngineSettings(simulator.url, rate=rate, concurrency=concurrency, give_up_after=None), KEY, hold_on,
        key_source,
    )  # fmt: skip
    store = Store(folder / "store.sqlite")
    memory = PendingOverlay(store)
    sequencer: Sequencer[Any] = Sequencer(
        memory, settle, wait_for_order, hold_until=time.time() + quiet if quiet else float("-inf")
    )
    sink = dead_letters or Lines()
    options = SendOptions(look_first=True, effects=results is not None)
    log = WriteAheadLog(folder / "log.jsonl", memory)
    output = StreamOutput(engine, store, log, sink, results, "job-1")
    output.ends = ends or output.ends
    streaming = StreamProcessor(engine, sequencer, store, log, options, output, bulk_age)
    made = Stream(streaming, folder, sink, results, BuildOptions(effects=results is not None))
    streaming.start()
    try:
        yield made
    finally:
        made.end()
