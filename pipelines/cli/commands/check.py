"""`beam-talonone check`: what a backfill would send, without the network."""

from typing import Annotated

import typer

from beam_talonone.pipelines.cli.numbers import positive, whole
from beam_talonone.pipelines.cli.parameters import (
    BeamParameters,
    Format,
    InputParameters,
    Rate,
    ReadingParameters,
    RequestParameters,
    Since,
    Until,
    with_groups,
)


@with_groups
def check(
    *,
    inputs: InputParameters,
    show: Annotated[
        int, typer.Option("--show", metavar="N", parser=whole("--show", 0), help="Print the first N requests.")
    ] = 0,
    since: Since = None,
    until: Until = None,
    requests: RequestParameters,
    dry: Annotated[bool, typer.Option("--dry", help="As the requests of a dry run.")] = False,
    results: Annotated[bool, typer.Option("--results", help="As the requests of a run with --results.")] = False,
    format: Format = None,
    reading: ReadingParameters,
    rate: Rate = 100.0,
    beam: BeamParameters,
) -> int:
    """Decode, map and validate everything, and tell what a backfill would send. No network."""
    from beam_talonone.pipelines.cli.settings import beam_arguments, given_globs, input_options

    globs = given_globs(**vars(inputs))
    options = input_options(globs, format, reading, requests, since, until, dry=dry, results=results)
    from beam_talonone.pipelines.backfill.check import run_check

    return run_check(options, positive("--rate", rate), show, beam_arguments(beam))
