"""`beam-talonone backfill`: in this process, or as a job of another runner."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.cli.parameters import (
    OUTPUT,
    ApiParameters,
    BeamParameters,
    EditClosed,
    Format,
    InputParameters,
    LimitParameters,
    ReadingParameters,
    RequestParameters,
    Results,
    Resume,
    Since,
    Until,
    Yes,
    with_groups,
)
from beam_talonone.talonone.errors import ConfigurationError

if TYPE_CHECKING:
    from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions

A_SHARD = 1000.0
"""Requests a second that one process sends without trouble."""


@with_groups
def backfill(
    *,
    output: Annotated[str, OUTPUT],
    inputs: InputParameters,
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
    profiles_first: Annotated[
        bool, typer.Option("--profiles-first", help="Send all profiles before everything else.")
    ] = False,
    requests: RequestParameters,
    edit_closed: EditClosed = None,
    results: Results = False,
    dry: Annotated[bool, typer.Option("--dry", help="Send with dry=true: nothing changes.")] = False,
    yes: Yes = False,
    format: Format = None,
    reading: ReadingParameters,
    api: ApiParameters,
    limits: LimitParameters,
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
    beam: BeamParameters,
) -> int:
    """Send orders, returns, profiles, events and calls from files: once, in order, resumable."""
    from beam_talonone.pipelines.cli.settings import beam_arguments, given_globs, input_options, sending_options
    from beam_talonone.pipelines.terminal.confirm import confirm

    given = input_options(
        given_globs(**vars(inputs)), format, reading, requests, since, until, profiles_first=profiles_first, dry=dry,
        results=results,
    )  # fmt: skip
    sending = sending_options(api, limits, edit_closed)
    args = beam_arguments(beam)
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
    from beam_talonone.pipelines.backfill.job import JobRun
    from beam_talonone.pipelines.backfill.options import BackfillOptions
    from beam_talonone.pipelines.terminal.console import run_with_progress

    options = BackfillOptions(given, sending, Path(output), resume, limit, args)
    return run_with_progress(JobRun, options, replayable=not dry)


def _remote(
    given: "InputOptions", sending: "SendingOptions", output: str, shards: int | None, args: tuple[str, ...], *,
    resume: bool, wait: bool,
) -> int:  # fmt: skip
    from beam_talonone.pipelines.distributed.shard import GraphOptions
    from beam_talonone.pipelines.distributed.submit import run_remote
    from beam_talonone.pipelines.terminal.console import notices

    needed = shards or math.ceil(sending.rate / A_SHARD)
    return run_remote(GraphOptions(given, sending, output, needed, resume, wait, args), notices())
