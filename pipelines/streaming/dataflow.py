"""The graph of a stream on Dataflow: Dataflow's own source and sinks, and keyed state between them."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.utils.subprocess_server import SubprocessServer

from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.schemas.kinds import KINDS, RECORDS
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.output_columns import DEAD_LETTER_COLUMNS, RESULT_COLUMNS, Column
from beam_talonone.talonone.streaming.keyed_processor import Rules
from beam_talonone.talonone.streaming.message_source import FILES
from beam_talonone.transforms.outputs.sinks import is_topic
from beam_talonone.transforms.outputs.table import Table, write_rows
from beam_talonone.transforms.outputs.table_name import FORMS, table_name
from beam_talonone.transforms.outputs.topic import MOST_BYTES, fitting
from beam_talonone.transforms.pubsub.message import Received
from beam_talonone.transforms.sink.keyed import SendInOrder
from beam_talonone.transforms.sources.messages import PrepareMessages


def check_on_dataflow(options: StreamOptions) -> None:
    """Raise ConfigurationError for --files and --max-dead-letters, which only a stream on this machine has."""
    if FILES in options.subscriptions:
        raise ConfigurationError(
            "--files reads files only in a stream on this machine. On Dataflow, start a job of the backfill template"
            " for the files, or run the stream of the files in Kubernetes: see docs/files-in-a-stream.md"
        )
    if options.max_dead_letters is not None:
        raise ConfigurationError(
            "--max-dead-letters stops only streams on this machine. On Dataflow, watch the counters dead_lettered of"
            " the job instead, and drain the job when there are too many"
        )


def dataflow_graph(pipeline: beam.Pipeline, options: StreamOptions) -> None:
    """Add the steps of a stream: subscriptions -> records -> per-key processors -> topics or tables.

    The names of the steps never change, so a running job can be updated. Each worker process sends with an engine of
    its own, at `options.rate`, which is the worker's share of the job's rate. Raises ConfigurationError if dead
    letters or results do not go to a topic or a table, for names that Beam refuses, for --max-dead-letters, and for
    --files. Raises it too for a table where the job is started without Java.
    """
    check_on_dataflow(options)
    dead_letters = _target("--dead-letters", options.dead_letters, DEAD_LETTER_COLUMNS)
    results = None if options.results is None else _target("--results", options.results, RESULT_COLUMNS)
    config = options.engine_config()
    received = [
        _read(pipeline, kind, name, kind if number == 0 else f"{kind} from {_short(name)}")
        for kind in (*KINDS, RECORDS)
        for number, name in enumerate(options.subscriptions.get(kind, ()))
    ]
    written = (
        received
        | "All messages" >> beam.Flatten()
        | "Prepare" >> beam.ParDo(PrepareMessages(options.message_options()))
        | "Send in order" >> SendInOrder(config, options.send_options(), _rules(options), options.job)
    )
    with SubprocessServer.cache_subprocesses():  # one start of Java for two tables
        _write(written.dead_letters, "dead letters", dead_letters, options.job)
        if results is not None:
            _write(written.applied, "results", results, options.job)


def _short(subscription: str) -> str:
    """projects/P/subscriptions/S as `S in P`, for the name of a step: Beam takes a slash for a step within a step."""
    _, project, _, name = subscription.split("/")
    return f"{name} in {project}"


def _read(pipeline: beam.Pipeline, kind: str, subscription: str, label: str) -> Any:
    """The messages of a subscription. `label` ends the names of its steps.

    The label of the first subscription of a kind is the kind, because older jobs had one subscription for each kind.
    Another subscription has a label of its own name, so its steps keep their names when you add or remove a third.
    """
    try:
        source = beam.io.ReadFromPubSub(subscription=subscription, with_attributes=True)
    except ValueError as error:
        raise ConfigurationError(f"--{kind} {subscription}: {error}") from None
    return pipeline | f"Read {label}" >> source | f"Receive {label}" >> beam.ParDo(Receive(subscription))


def _rules(options: StreamOptions) -> Rules:
    looks = max(0.1, options.rate / 10)
    return Rules(options.settle, options.wait_for_order, options.remember, looks)


def _target(option: str, where: str | None, columns: tuple[Column, ...]) -> beam.PTransform | Table:
    """Beam's sink for the topic `where`, the value of `option`, or the table of that name, with `columns`.

    Raises ConfigurationError if it is neither.
    """
    if where is None:
        raise ConfigurationError(
            f"{option} projects/P/topics/T is required on Dataflow, or a table, {FORMS}: files end with their workers"
        )
    table = table_name(where)
    if table is not None:
        return Table(option, table, columns)
    if not is_topic(where):
        raise ConfigurationError(
            f"{option} {where}: on Dataflow it must be a topic, projects/P/topics/T, or a table, {FORMS}: files end"
            " with their workers"
        )
    try:
        return beam.io.WriteToPubSub(where, with_attributes=True)
    except ValueError as error:
        raise ConfigurationError(f"{option} {where}: {error}") from None


def _write(lines: Any, label: str, target: beam.PTransform | Table, job: str) -> None:
    if isinstance(target, Table):
        write_rows(lines, label, target, job)
        return
    as_messages = beam.Map(as_message, job).with_output_types(PubsubMessage)
    messages = lines | f"{label.capitalize()} as messages" >> as_messages
    _ = messages | f"Write {label}" >> target


class Receive(beam.DoFn):  # type: ignore[misc]
    """Beam's PubsubMessage -> Received."""

    def __init__(self, subscription: str) -> None:
        self._subscription = subscription

    def process(self, message: PubsubMessage, at: Any = beam.DoFn.TimestampParam) -> Iterator[Received]:
        """Yield the message without an ack id: Dataflow acknowledges it."""
        yield Received(
            self._subscription, message.message_id or "", message.data or b"", dict(message.attributes or {}),
            message.ordering_key or "", float(at), "",
        )  # fmt: skip


def as_message(line: dict[str, Any], job: str) -> PubsubMessage:
    """A dead letter or a result for a topic. A line that is too long for Pub/Sub is cut, and marked as cut."""
    attributes = {"kind": line["kind"], "reason": line.get("reason"), "job": job}
    return PubsubMessage(fitting(line, MOST_BYTES), {name: str(value) for name, value in attributes.items() if value})
