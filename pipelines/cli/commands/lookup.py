"""`beam-talonone lookup`: reads from a file of ids."""

from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.cli.parameters import (
    AllowUnknownApiFields,
    ApiParameters,
    BeamParameters,
    LimitParameters,
    Output,
    ReadingParameters,
    RequestParameters,
    Resume,
    UnknownFieldsOption,
    with_groups,
)


@with_groups
def lookup(
    *,
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION", help="What to read, for example get_loyalty_balances.")
    ],
    input: Annotated[
        list[str],
        typer.Option(
            "--input", metavar="GLOB", help="JSONL or CSV files of what the operation needs, quoted; repeatable."
        ),
    ],
    output: Output,
    resume: Resume = False,
    format: Annotated[
        Literal["jsonl", "csv"] | None, typer.Option("--format", help="Format of all files, instead of their names'.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", parser=whole("--limit"), help="Read N, then stop; look, then --resume."),
    ] = None,
    allow_unknown_api_fields: AllowUnknownApiFields = False,
    unknown_fields: UnknownFieldsOption = None,
    api: ApiParameters,
    limits: LimitParameters,
    beam: BeamParameters,
) -> int:
    """Read from the API for each line of a file of ids: all pages, at the rate, resumable."""
    from beam_talonone.pipelines.backfill.options import BackfillOptions
    from beam_talonone.pipelines.cli.settings import beam_arguments, input_options, one_or_several, sending_options
    from beam_talonone.schemas.records import LOOKUPS
    from beam_talonone.transforms.reads.prepare import read_operation

    row = read_operation(operation)
    reading = ReadingParameters(unknown_fields=unknown_fields)
    requests = RequestParameters(allow_unknown_api_fields=allow_unknown_api_fields)
    options = BackfillOptions(
        input_options({LOOKUPS: one_or_several(input)}, format, reading, requests, operation=row.name),
        sending_options(api, limits),
        output,
        resume,
        limit,
        beam_arguments(beam),
        command="lookup",
    )
    from beam_talonone.pipelines.lookup.job import lookup_job
    from beam_talonone.pipelines.terminal.console import run_with_progress

    return run_with_progress(lookup_job, options)
