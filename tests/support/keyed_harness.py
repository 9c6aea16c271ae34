"""Runs records through the keyed graph on an engine on this machine, each published at its own time."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.window import TimestampedValue
from e2e.harness import Json, Simulator, lines

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.kinds import KINDS
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.streaming.keyed_processor import Rules
from beam_talonone.transforms.messages.options import MessageOptions
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.runtime.engines import EngineConfig, close_engine
from beam_talonone.transforms.sink.keyed import SendInOrder
from beam_talonone.transforms.sink.written import Written
from beam_talonone.transforms.sources.messages import PrepareMessages

START = 1_780_000_000.0
"""When the first message is published, in seconds since 1970."""

RULES = Rules(reorder_delay=5.0, wait_for_order=600.0, remember=8 * 86_400.0)
OUTPUTS = ("applied", "dead_letters", "others")


@dataclass(frozen=True)
class Message:
    """`at` is in seconds after START; `record` is a record, or the bytes of a message."""

    kind: str
    record: Json | bytes
    at: float = 0.0


def config_of(url: str) -> EngineConfig:
    return EngineConfig(EngineSettings(url, 5000.0, 64, None))


@contextlib.contextmanager
def engine_closed(config: EngineConfig) -> Iterator[EngineConfig]:
    """The engine of this process for `config` is closed in the end."""
    try:
        yield config
    finally:
        close_engine(config)


def received(number: int, message: Message) -> Received:
    data = message.record if isinstance(message.record, bytes) else json.dumps(message.record).encode()
    return Received(message.kind, f"m{number}", data, {}, "", START + message.at, "")


def run_keyed(
    simulator: Simulator, messages: Sequence[Message], folder: Path, *, published: bool = False, rules: Rules = RULES
) -> dict[str, list[Json]]:
    """Lines of each output. All messages come at once, before any timer fires; with `published` they come as they are
    published, and time goes on in between."""
    folder.mkdir(parents=True, exist_ok=True)
    arrived = [received(number, message) for number, message in enumerate(messages)]
    stamped = [TimestampedValue(message, message.publish_time) for message in arrived]
    with (
        engine_closed(config_of(simulator.url)) as config,
        _pipeline(published) as pipeline,
    ):
        source = _stream(stamped) if published else beam.Create(stamped, reshuffle=False)
        written = (
            pipeline
            | source
            | "Any" >> beam.Map(_same)  # so that no coder of Received's fields is looked for
            | beam.ParDo(PrepareMessages(MessageOptions({kind: kind for kind in KINDS}, BuildOptions())))
            | SendInOrder(config, SendOptions(look_first=True), rules, "the-job")
        )
        note_lines(written, folder)
    return read_notes(folder)


def note_lines(written: Written, folder: Path) -> None:
    """Adds steps that append the lines of each output to a file of its name."""
    noted = [getattr(written, name) | name >> beam.Map(_note, str(folder / name)) for name in OUTPUTS]
    _ = noted | beam.Flatten()


def read_notes(folder: Path) -> dict[str, list[Json]]:
    return {name: lines(folder, name) for name in OUTPUTS}


def _pipeline(published: bool) -> beam.Pipeline:
    if not published:
        return beam.Pipeline(runner=FnApiRunner())
    # Prism has a source for tests, too, but takes bundles with slow timers apart and does some of them twice
    # (apache/beam#35771)
    return beam.Pipeline(runner=BundleBasedDirectRunner(), options=PipelineOptions(["--streaming"]))


def _stream(stamped: Sequence[Any]) -> TestStream:
    """A source whose watermark is two seconds behind. It goes on in small steps, at first: this engine does not hold
    it back for timers upstream, as others do."""
    stream = TestStream()
    passed = START - 3.0
    for value in sorted(stamped, key=lambda one: one.timestamp):
        behind = float(value.timestamp) - 2.0
        for tenth in range(1, 80):
            if passed + 0.1 * tenth < behind:
                stream.advance_watermark_to(passed + 0.1 * tenth)
        if behind > passed:
            stream.advance_watermark_to(behind)
            passed = behind
        stream.add_elements([value])
    stream.advance_watermark_to_infinity()
    return stream


def _same(value: Any) -> Any:
    return value


def _note(line: Json, path: str) -> Json:
    with open(path, "ab") as file:
        file.write(jsonio.dumps(line) + b"\n")
    return line


def ends(found: dict[str, list[Json]]) -> dict[tuple[str, str], list[str]]:
    """(kind, id) -> how its messages ended: outcomes, and reasons of dead letters."""
    outcomes: dict[tuple[str, str], list[str]] = {}
    for line in (line for name in OUTPUTS for line in found[name]):
        outcomes.setdefault((line["kind"], line["id"]), []).append(line.get("outcome") or line["reason"])
    return outcomes
