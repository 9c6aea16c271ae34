"""`beam-talonone check`: what a backfill would send, without the network."""

from beam_talonone.pipelines.cli.numbers import positive
from beam_talonone.pipelines.cli.parameters.api import RateParameters
from beam_talonone.pipelines.cli.parameters.bounded import CheckParameters
from beam_talonone.pipelines.cli.parameters.files import InputParameters, SelectionParameters
from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.program import BeamParameters
from beam_talonone.pipelines.cli.parameters.records import AttributeParameters, ReadingParameters, RequestParameters


@with_groups
def check(
    *,
    shown: CheckParameters,
    inputs: InputParameters,
    selection: SelectionParameters,
    reading: ReadingParameters,
    attributes: AttributeParameters,
    requests: RequestParameters,
    rate: RateParameters,
    beam: BeamParameters,
) -> int:
    """Decode, map and validate everything, and show what a backfill would send. No network."""
    from beam_talonone.pipelines.cli.settings import beam_arguments, globs_of, input_options

    globs = globs_of(**vars(inputs))
    options = input_options(globs, selection, reading, requests, attributes, dry=shown.dry, results=shown.results)
    from beam_talonone.pipelines.check.check import run_check

    return run_check(options, positive("--rate", rate.rate), shown.show, beam_arguments(beam), report=shown.report)
