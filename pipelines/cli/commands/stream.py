"""`beam-talonone stream`: what arrives on Pub/Sub, until stopped."""

import time
import uuid
from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.cli.numbers import seconds_of, whole, within
from beam_talonone.pipelines.cli.parameters import (
    ApiParameters,
    BeamParameters,
    EditClosed,
    ReadingParameters,
    RequestParameters,
    with_groups,
)
from beam_talonone.talonone.errors import ConfigurationError, Interrupted

Sub = Annotated[
    list[str] | None,
    typer.Option(metavar="SUB", help="projects/P/subscriptions/S with these records as JSON; repeatable."),
]
Where = Annotated[str | None, typer.Option(metavar="TOPIC|DIR", help="projects/P/topics/T, or a folder.")]
LOOPBACK = "127.0.0.1"
MONTH = 31 * 86_400.0


@with_groups
def stream(
    *,
    orders: Sub = None,
    returns: Sub = None,
    profiles: Sub = None,
    events: Sub = None,
    calls: Sub = None,
    dead_letters: Where = None,
    results: Where = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="DIR", help="Folder for the state that survives a crash. Required, except on Dataflow."
        ),
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
    requests: RequestParameters,
    edit_closed: EditClosed = None,
    reading: ReadingParameters,
    api: ApiParameters,
    beam: BeamParameters,
) -> int:
    """Apply what arrives on Pub/Sub within seconds, until stopped. SIGTERM or Ctrl-C drains and ends with 0."""
    from beam_talonone.pipelines.backfill.options import parse_max_dead_letters, reading_of
    from beam_talonone.pipelines.cli.settings import beam_arguments, given_subscriptions, sending_options

    reading_of(reading.assume_timezone, reading.ambiguous_time, reading.max_future, reading.unknown_fields)
    subscriptions = given_subscriptions(
        {"orders": orders, "returns": returns, "profiles": profiles, "events": events, "calls": calls}
    )
    sending = sending_options(api, edit_closed=edit_closed)
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
        settle=within("--settle", settle, 3600.0),
        wait_for_order=within("--wait-for-order", wait_for_order, MONTH),
        bulk_age=within("--bulk-age", bulk_age, 3600.0),
        remember=within("--remember", remember, 12 * MONTH),
        exit_on_auth_error=exit_on_auth_error,
        max_dead_letters=allowed,
        health_port=health_port,
        health_host=health_host or LOOPBACK,
        edit_closed=edit_closed,
        **vars(requests),
        **vars(reading),
        prism_location=prism_location,
        beam_args=beam_arguments(beam),
    )
    try:
        from beam_talonone.pipelines.streaming.run import run_stream

        return run_stream(options)
    except (Interrupted, KeyboardInterrupt):
        return 0  # stopped before anything was read
