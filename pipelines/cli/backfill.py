"""The command `backfill` as it is typed: in this process, or as a job of another runner."""

import math
from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions, SendingOptions
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
    Format,
    GiveUp,
    Glob,
    Insecure,
    KeySecret,
    MaxDead,
    MaxFuture,
    Mode,
    ProfilesFirst,
    Rate,
    RateService,
    Resume,
    RunnerConfig,
    Since,
    UnknownApiFields,
    UnknownFieldsOption,
    Until,
    Yes,
    Zone,
    confirm,
    given_globs,
    http_settings,
    input_options,
    sending_options,
)
from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.runners.runner_config import runner_args
from beam_talonone.schemas.decoding.settings import MAX_FUTURE
from beam_talonone.talonone.errors import ConfigurationError

A_SHARD = 1000.0
"""Requests a second that one process sends without trouble."""


def backfill(
    output: Annotated[
        str, typer.Option("--output", metavar="DIR", help="Folder for the report, dead letters and state.")
    ],
    orders: Glob = None,
    returns: Glob = None,
    profiles: Glob = None,
    events: Glob = None,
    calls: Glob = None,
    resume: Resume = False,
    since: Since = None,
    until: Until = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            parser=whole("--limit"),
            help="Send the first N of each kind; look, then --resume.",
        ),
    ] = None,
    profiles_first: ProfilesFirst = False,
    profile_mode: Mode = "bulk",
    events_api: EventsApi = "v2",
    allow_unknown_api_fields: UnknownApiFields = False,
    edit_closed: EditClosed = None,
    results: Annotated[
        bool, typer.Option("--results", help="Write results/ with the effects of each record.")
    ] = False,
    dry: Annotated[bool, typer.Option("--dry", help="Send with dry=true: nothing changes.")] = False,
    yes: Yes = False,
    format: Format = None,
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
    give_up_after: GiveUp = 300.0,
    max_dead_letters: MaxDead = "50%",
    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            parser=whole("--shards", 1, 1000),
            help="On another runner: how many send, each with its share.",
        ),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="On another runner: start the job, and do not wait for its end.")
    ] = False,
    runner_config: RunnerConfig = None,
    beam_args: BeamArgs = None,
) -> int:
    """Send orders, returns, profiles, events and calls from files: once, in order, resumable."""
    globs = given_globs(orders=orders, returns=returns, profiles=profiles, events=events, calls=calls)
    given = input_options(
        globs, format, assume_timezone, since, until, profiles_first=profiles_first, profile_mode=profile_mode,
        dry=dry, results=results, events_api=events_api, allow_unknown_api_fields=allow_unknown_api_fields,
        ambiguous_time=ambiguous_time, max_future=max_future, unknown_fields=unknown_fields,
    )  # fmt: skip
    sending = sending_options(
        base_url, rate, concurrency, give_up_after, max_dead_letters, edit_closed, api_key_secret, rate_service,
        http_settings(http_client, client_cert, ca_bundle, insecure),
    )  # fmt: skip
    args = runner_args(runner_config, beam_args)
    if not str(output).strip():
        raise ConfigurationError("--output is empty: name a folder")
    if not dry:
        confirm(yes, f"Closed sessions trigger live campaigns at {sending.base_url}. Go on?")
    from beam_talonone.pipelines.runners.runner import beam_options, is_in_process

    if not is_in_process(beam_options(args)):
        if limit is not None:
            raise ConfigurationError("--limit is for backfills in this process: try a part with --since and --until")
        return _remote(given, sending, output, shards, args, resume=resume, wait=not no_wait)
    if shards is not None or no_wait:
        raise ConfigurationError("--shards and --no-wait are for another runner, such as DataflowRunner")
    from beam_talonone.pipelines.backfill.job import Backfill
    from beam_talonone.pipelines.terminal.console import run_with_progress

    options = BackfillOptions(given, sending, Path(output), resume, limit, args)
    return run_with_progress(Backfill, options, replayable=not dry)


def _remote(
    given: InputOptions, sending: SendingOptions, output: str, shards: int | None, args: tuple[str, ...], *,
    resume: bool, wait: bool,
) -> int:  # fmt: skip
    from beam_talonone.pipelines.distributed.shard import GraphOptions
    from beam_talonone.pipelines.distributed.submit import run_remote
    from beam_talonone.pipelines.terminal.console import notices

    needed = shards or math.ceil(sending.rate / A_SHARD)
    return run_remote(GraphOptions(given, sending, output, needed, resume, wait, args), notices())
