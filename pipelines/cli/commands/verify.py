"""`beam-talonone verify`: what the API has, compared with what a backfill leads to."""

from beam_talonone.pipelines.cli.parameters import (
    ApiParameters,
    BeamParameters,
    Format,
    Glob,
    LimitParameters,
    Output,
    ReadingParameters,
    RequestParameters,
    Resume,
    Since,
    Until,
    with_groups,
)
from beam_talonone.talonone.errors import ConfigurationError


@with_groups
def verify(
    *,
    output: Output,
    orders: Glob = None,
    returns: Glob = None,
    profiles: Glob = None,
    resume: Resume = False,
    since: Since = None,
    until: Until = None,
    format: Format = None,
    reading: ReadingParameters,
    api: ApiParameters,
    limits: LimitParameters,
    beam: BeamParameters,
) -> int:
    """Read back what a backfill of these files leads to, and tell each difference. Nothing is changed."""
    if not (orders or returns or profiles):
        raise ConfigurationError("no input: give at least one of --orders, --returns, --profiles")
    from beam_talonone.pipelines.backfill.options import BackfillOptions
    from beam_talonone.pipelines.cli.settings import beam_arguments, given_globs, input_options, sending_options

    globs = given_globs(orders=orders, returns=returns, profiles=profiles)
    options = BackfillOptions(
        input_options(globs, format, reading, RequestParameters(), since, until),
        sending_options(api, limits),
        output,
        resume,
        beam_args=beam_arguments(beam),
        command="verify",
    )
    from beam_talonone.pipelines.verify.job import run_verify

    return run_verify(options)
