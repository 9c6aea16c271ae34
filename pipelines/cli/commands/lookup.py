"""`beam-talonone lookup`: reads from a file of ids."""

from pathlib import Path

from beam_talonone.pipelines.cli.parameters.api import ApiParameters, LimitParameters
from beam_talonone.pipelines.cli.parameters.bounded import LookupParameters
from beam_talonone.pipelines.cli.parameters.files import JobParameters, SelectionParameters
from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.program import BeamParameters
from beam_talonone.pipelines.cli.parameters.progress import ProgressParameters
from beam_talonone.pipelines.cli.parameters.records import (
    ReadingParameters,
    RequestParameters,
    UnknownApiFieldParameters,
    UnknownFieldParameters,
)


@with_groups
def lookup(
    *,
    source: LookupParameters,
    job: JobParameters,
    fields: UnknownFieldParameters,
    names: UnknownApiFieldParameters,
    api: ApiParameters,
    limits: LimitParameters,
    shown: ProgressParameters,
    beam: BeamParameters,
) -> int:
    """Read from the API for each line of a file of ids: all pages, at the rate, resumable."""
    from beam_talonone.pipelines.backfill.options import BackfillOptions
    from beam_talonone.pipelines.cli.settings import beam_arguments, input_options, one_or_several, sending_options
    from beam_talonone.schemas.kinds import LOOKUPS
    from beam_talonone.transforms.reads.prepare import read_operation

    row = read_operation(source.operation)
    reading = ReadingParameters(**vars(fields))
    requests = RequestParameters(**vars(names))
    selection = SelectionParameters(format=source.format)
    globs = {LOOKUPS: one_or_several(source.input)}
    options = BackfillOptions(
        input_options(globs, selection, reading, requests, operation=row.name),
        sending_options(api, limits),
        Path(job.output),
        job.resume,
        source.limit,
        beam_arguments(beam),
        command="lookup",
    )
    from beam_talonone.pipelines.lookup.job import lookup_job
    from beam_talonone.pipelines.terminal.console import run_with_progress

    return run_with_progress(lookup_job, options, progress=shown.progress)
