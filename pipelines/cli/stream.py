"""The command `stream` as it is typed. What carries it out is imported only then, as in pipelines.cli.commands."""

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.backfill.options import KINDS, parse_max_dead_letters, reading_of
from beam_talonone.pipelines.cli.commands import (
    AmbiguousOption,
    BaseUrl,
    BeamArgs,
    CaBundle,
    Client,
    ClientCert,
    Concurrency,
    EditClosed,
    EventsApi,
    Insecure,
    KeySecret,
    MaxFuture,
    Mode,
    Rate,
    RateService,
    RunnerConfig,
    UnknownApiFields,
    UnknownFieldsOption,
    Zone,
    given_globs,
    http_settings,
    sending_options,
)
from beam_talonone.pipelines.cli.numbers import seconds_of, whole
from beam_talonone.pipelines.runners.runner_config import runner_args
from beam_talonone.pipelines.sinks.sinks import is_subscription
from beam_talonone.schemas.decoding.settings import MAX_FUTURE
from beam_talonone.talonone.errors import ConfigurationError, Interrupted

Sub = Annotated[
    list[str] | None,
    typer.Option(metavar="SUB", help="projects/P/subscriptions/S with these records as JSON; repeatable."),
]
Where = Annotated[str | None, typer.Option(metavar="TOPIC|DIR", help="projects/P/topics/T, or a folder.")]
LOOPBACK = "127.0.0.1"
MONTH = 31 * 86_400.0


def stream(
    orders: Sub = None,
    returns: Sub = None,
    profiles: Sub = None,
    events: Sub = None,
    calls: Sub = None,
    dead_letters: Where = None,
    results: Where = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="What must survive a crash. Needed, but on Dataflow."),
    ] = None,
    settle: Annotated[
        float,
        typer.Option(
            "--settle",
            metavar="S",
            parser=seconds_of("--settle"),
            help="Seconds that a record waits for earlier ones.",
        ),
    ] = 5.0,
    wait_for_order: Annotated[
        float,
        typer.Option(
            "--wait-for-order",
            metavar="S",
            parser=seconds_of("--wait-for-order"),
            help="Seconds that a return waits for its order.",
        ),
    ] = 600.0,
    bulk_age: Annotated[
        float,
        typer.Option(
            "--bulk-age",
            metavar="S",
            parser=seconds_of("--bulk-age"),
            help="Seconds that a profile change waits for others.",
        ),
    ] = 1.0,
    remember: Annotated[
        float,
        typer.Option(
            "--remember",
            metavar="S",
            parser=seconds_of("--remember"),
            help="Seconds for which a record is known again.",
        ),
    ] = 8 * 86_400.0,
    exit_on_auth_error: Annotated[
        bool, typer.Option("--exit-on-auth-error", help="End with 1 when the key is refused, instead of waiting.")
    ] = False,
    max_dead_letters: Annotated[
        str | None,
        typer.Option(
            "--max-dead-letters",
            metavar="N|P%",
            help="More dead letters than this among the last 1,000 records of a kind stop the reading. Default: 50%.",
        ),
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option(
            "--health-port",
            metavar="N",
            parser=whole("--health-port", 0, 65535),
            help="Serve /healthz and /metrics here.",
        ),
    ] = None,
    health_host: Annotated[
        str | None,
        typer.Option(
            "--health-host",
            metavar="HOST",
            help="Address of --health-port. Default: 127.0.0.1, this machine alone.",
        ),
    ] = None,
    prism_location: Annotated[
        str | None, typer.Option("--prism-location", metavar="FILE", help="The Prism program.")
    ] = None,
    profile_mode: Mode = "bulk",
    events_api: EventsApi = "v2",
    allow_unknown_api_fields: UnknownApiFields = False,
    edit_closed: EditClosed = None,
    assume_timezone: Zone = None,
    ambiguous_time: AmbiguousOption = None,
    max_future: MaxFuture = MAX_FUTURE,
    unknown_fields: UnknownFieldsOption = None,
    base_url: BaseUrl = None,
    api_key_secret: KeySecret = None,
    rate: Rate = 100.0,
    rate_service: RateService = None,
    concurrency: Concurrency = 64,
    http_client: Client = "auto",
    client_cert: ClientCert = None,
    ca_bundle: CaBundle = None,
    insecure: Insecure = False,
    runner_config: RunnerConfig = None,
    beam_args: BeamArgs = None,
) -> int:
    """Apply what arrives on Pub/Sub within seconds, until stopped. SIGTERM or Ctrl-C drains and ends with 0."""
    reading_of(assume_timezone, ambiguous_time, max_future, unknown_fields)
    subscriptions = given_subscriptions(
        {"orders": orders, "returns": returns, "profiles": profiles, "events": events, "calls": calls}
    )
    sending = sending_options(
        base_url, rate, concurrency, 300.0, "50%", edit_closed, api_key_secret, rate_service,
        http_settings(http_client, client_cert, ca_bundle, insecure),
    )  # fmt: skip
    if health_host is not None and health_port is None:
        raise ConfigurationError("--health-host goes with --health-port")
    allowed = None if max_dead_letters is None else parse_max_dead_letters(max_dead_letters)
    from beam_talonone.pipelines.streaming.options import StreamOptions

    options = StreamOptions(
        subscriptions,
        sending.base_url,
        f"stream-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:6]}",
        api_key_secret=sending.api_key_secret,
        rate=sending.rate,
        rate_service=sending.rate_service,
        http=sending.http,
        concurrency=sending.concurrency,
        dead_letters=dead_letters,
        results=results,
        state=state,
        settle=seconds("--settle", settle, 3600.0),
        wait_for_order=seconds("--wait-for-order", wait_for_order, MONTH),
        bulk_age=seconds("--bulk-age", bulk_age, 3600.0),
        remember=seconds("--remember", remember, 12 * MONTH),
        exit_on_auth_error=exit_on_auth_error,
        max_dead_letters=allowed,
        health_port=health_port,
        health_host=health_host or LOOPBACK,
        profile_mode=profile_mode,
        events_api=events_api,
        allow_unknown_api_fields=allow_unknown_api_fields,
        edit_closed=edit_closed,
        assume_timezone=assume_timezone,
        ambiguous_time=ambiguous_time,
        max_future=max_future,
        unknown_fields=unknown_fields,
        prism_location=prism_location,
        beam_args=runner_args(runner_config, beam_args),
    )
    try:
        from beam_talonone.pipelines.streaming.run import run_stream

        return run_stream(options)
    except (Interrupted, KeyboardInterrupt):
        return 0  # stopped before anything was read


def given_subscriptions(given: Mapping[str, list[str] | None]) -> dict[str, tuple[str, ...]]:
    """The subscriptions of each kind, in the order in which they were given.

    Raises ConfigurationError for none at all, for a name that is no subscription, and for one that is given twice.
    """
    given_globs(**given)
    kinds: dict[str, str] = {}
    for kind in KINDS:
        for name in given[kind] or ():
            if not is_subscription(name):
                raise ConfigurationError(f"--{kind} takes projects/P/subscriptions/S, not {name!r}")
            if kinds.get(name) == kind:
                raise ConfigurationError(f"--{kind} {name} was given twice: give each subscription once")
            if name in kinds:
                raise ConfigurationError(
                    f"--{kinds[name]} and --{kind} are the same subscription: each kind has its own"
                )
            kinds[name] = kind
    return {kind: tuple(given[kind] or ()) for kind in KINDS if given[kind]}


def seconds(name: str, value: float, most: float) -> float:
    """`value`, if it is 0 or more and at most `most`. Raises ConfigurationError that names the option."""
    if not 0.0 <= value <= most:
        raise ConfigurationError(f"{name} takes seconds from 0 to {most:g}, not {value:g}")
    return value
