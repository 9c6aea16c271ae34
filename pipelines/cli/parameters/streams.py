"""The options that only `stream` has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.cli.numbers import seconds_of, whole
from beam_talonone.pipelines.cli.parameters.groups import Group, TemplateParameter
from beam_talonone.pipelines.cli.parameters.patterns import BUCKET, SECONDS, SUBSCRIPTIONS, TABLE, TOPIC


def _subscription(name: str, label: str, content: str, kind: str) -> TemplateParameter:
    return TemplateParameter(
        label=label,
        help=f"Subscription whose messages hold {content}, as JSON or Avro: "
        f"projects/your-project/subscriptions/{name}. Separate several subscriptions by commas. "
        f"The job needs at least one of orders, returns, profiles, events, calls and records. {kind}",
        pattern=SUBSCRIPTIONS,
        several=True,
    )


def _of_one_kind(name: str, label: str) -> TemplateParameter:
    return _subscription(name, label, label.lower(), "Each subscription has one kind of record.")


_SUBSCRIPTION = typer.Option(metavar="SUB", help="projects/P/subscriptions/S with these records. Repeatable.")


@dataclass(frozen=True, kw_only=True)
class SubscriptionParameters(Group):
    """The subscriptions of each kind, and those of records of several kinds."""

    TITLE = "Input"

    orders: Annotated[list[str] | None, _SUBSCRIPTION, _of_one_kind("orders", "Orders")] = None
    returns: Annotated[list[str] | None, _SUBSCRIPTION, _of_one_kind("returns", "Returns")] = None
    profiles: Annotated[list[str] | None, _SUBSCRIPTION, _of_one_kind("profiles", "Profile changes")] = None
    events: Annotated[list[str] | None, _SUBSCRIPTION, _of_one_kind("events", "Events")] = None
    calls: Annotated[list[str] | None, _SUBSCRIPTION, _of_one_kind("calls", "Calls")] = None
    records: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SUB",
            help="projects/P/subscriptions/S with records of several kinds: the attribute kind of each message is "
            "orders, returns, profiles, events or calls. With --mapping, the mapping decides. Repeatable.",
        ),
        _subscription(
            "records",
            "Records of several kinds",
            "records of several kinds",
            "The attribute kind of each message is orders, returns, profiles, events or calls. With a mapping, the "
            "mapping decides.",
        ),
    ] = None
    files: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SUB",
            help="projects/P/subscriptions/S with notifications of a bucket: its new files are read. The custom "
            "attribute kind of the notifications is orders, returns, profiles, events or calls. With --mapping, the "
            "mapping decides. Repeatable. Not on Dataflow.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class MessageParameters(Group):
    """How messages are taken apart."""

    TITLE = "Reading"

    avro_schema: Annotated[
        str | None,
        typer.Option(
            "--avro-schema",
            metavar="FILE",
            help="Avro schema of messages that carry none: bare Avro, or Confluent framing. Local or gs://.",
        ),
        TemplateParameter(
            label="Avro schema",
            help="File with the Avro schema of messages that carry none: gs://your-bucket/order.avsc.",
            pattern=BUCKET + r"/[^\n\r*?\[\]]+",
            kind="GCS_READ_FILE",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SinkParameters(Group):
    """Where a stream writes, and keeps its state."""

    TITLE = "Output"

    dead_letters: Annotated[
        str | None,
        typer.Option(
            metavar="TOPIC|DIR|TABLE",
            help="Where dead letters go: projects/P/topics/T, or a folder. On Dataflow: a topic, or a BigQuery table,"
            " PROJECT:DATASET.TABLE.",
        ),
        TemplateParameter(
            label="Topic or table of dead letters",
            help="Topic or BigQuery table for records that cannot be applied, each with its reason: "
            "projects/your-project/topics/talonone-dead-letters, or your-project:your_dataset.dead_letters.",
            pattern=f"({TOPIC}|{TABLE})",
            required=True,
        ),
    ] = None
    results: Annotated[
        str | None,
        typer.Option(
            metavar="TOPIC|DIR|TABLE",
            help="Where the effects of records go: projects/P/topics/T, or a folder. On Dataflow: a topic, or a"
            " BigQuery table, PROJECT:DATASET.TABLE.",
        ),
        TemplateParameter(
            label="Topic or table of results",
            help="Topic or BigQuery table for applied records, each with its effects: "
            "projects/your-project/topics/talonone-results, or your-project:your_dataset.results. "
            "Without it, effects are not requested.",
            pattern=f"({TOPIC}|{TABLE})",
        ),
    ] = None
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="DIR", help="Folder for the state that survives a crash. Required, except on Dataflow."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class WaitingParameters(Group):
    """How long a stream waits for records, and knows them again, in seconds."""

    TITLE = "Waiting"

    settle: Annotated[
        float,
        typer.Option(
            "--settle",
            metavar="S",
            parser=seconds_of("--settle"),
            help="Seconds that a record waits for earlier ones.",
        ),
        TemplateParameter(
            label="Settling time",
            help="Seconds that a record waits for earlier records of its customer.",
            pattern=SECONDS,
            kind="NUMBER",
        ),
    ] = 5.0
    wait_for_order: Annotated[
        float,
        typer.Option(
            "--wait-for-order",
            metavar="S",
            parser=seconds_of("--wait-for-order"),
            help="Seconds that a return waits for its order.",
        ),
        TemplateParameter(
            label="Wait for the order",
            help="Seconds that a return waits until its order has arrived and is closed.",
            pattern=SECONDS,
            kind="NUMBER",
        ),
    ] = 600.0
    bulk_age: Annotated[
        float,
        typer.Option(
            "--bulk-age",
            metavar="S",
            parser=seconds_of("--bulk-age"),
            help="Seconds that a profile change waits for others.",
        ),
    ] = 1.0
    remember: Annotated[
        float,
        typer.Option(
            "--remember",
            metavar="S",
            parser=seconds_of("--remember"),
            help="Seconds for which a repeated record is recognized.",
        ),
        TemplateParameter(
            label="Remember",
            help="Seconds for which a repeated record is recognized. Use more than the subscriptions keep messages.",
            pattern=SECONDS,
            kind="NUMBER",
        ),
    ] = 8 * 86_400.0


@dataclass(frozen=True, kw_only=True)
class StreamLimitParameters(Group):
    """When a stream ends or stops reading."""

    TITLE = "Limits"

    exit_on_auth_error: Annotated[
        bool,
        typer.Option("--exit-on-auth-error", help="If the key is refused, exit with 1 instead of waiting."),
    ] = False
    max_dead_letters: Annotated[
        str | None,
        typer.Option(
            "--max-dead-letters",
            metavar="N|P%",
            help="More dead letters than this among the last 1,000 records of a kind stop the reading. Default: 50%.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class HealthParameters(Group):
    """Where health and metrics are served."""

    TITLE = "Health"

    health_port: Annotated[
        int | None,
        typer.Option(
            "--health-port",
            metavar="N",
            parser=whole("--health-port", 0, 65535),
            help="Serve /healthz and /metrics on this port.",
        ),
    ] = None
    health_host: Annotated[
        str | None,
        typer.Option(
            "--health-host",
            metavar="HOST",
            help="Address of --health-port. Default: 127.0.0.1, this machine alone.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class PrismParameters(Group):
    """Which Prism runs the stream."""

    TITLE = "Runner"

    prism_location: Annotated[
        str | None, typer.Option("--prism-location", metavar="FILE", help="The Prism program.")
    ] = None
