"""`beam-talonone verify`: what the API has, compared with what a backfill leads to."""

from pathlib import Path

from beam_talonone.pipelines.cli.parameters.api import ApiParameters, LimitParameters
from beam_talonone.pipelines.cli.parameters.files import JobParameters, ReadableInputs, SelectionParameters
from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.program import BeamParameters
from beam_talonone.pipelines.cli.parameters.progress import ProgressParameters
from beam_talonone.pipelines.cli.parameters.records import AttributeParameters, ReadingParameters, RequestParameters
from beam_talonone.talonone.errors import ConfigurationError


@with_groups
def verify(
    *,
    job: JobParameters,
    inputs: ReadableInputs,
    selection: SelectionParameters,
    reading: ReadingParameters,
    attributes: AttributeParameters,
    api: ApiParameters,
    limits: LimitParameters,
    shown: ProgressParameters,
    beam: BeamParameters,
) -> int:
    """Read back the results of a backfill of these files, and report each difference. Nothing is changed."""
    if not any(vars(inputs).values()):
        raise ConfigurationError("no input: give at least one of --orders, --returns, --profiles")
    from beam_talonone.pipelines.backfill.options import BackfillOptions
    from beam_talonone.pipelines.cli.settings import beam_arguments, globs_of, input_options, sending_options

    globs = globs_of(**vars(inputs))
    options = BackfillOptions(
        input_options(globs, selection, reading, RequestParameters(), attributes),
        sending_options(api, limits),
        Path(job.output),
        job.resume,
        beam_args=beam_arguments(beam),
        command="verify",
    )
    from beam_talonone.pipelines.verify.job import run_verify

    return run_verify(options, shown.progress)
