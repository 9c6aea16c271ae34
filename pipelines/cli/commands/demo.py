"""`beam-talonone demo`: the connector at work, without an account."""

from beam_talonone.pipelines.cli.numbers import positive
from beam_talonone.pipelines.cli.parameters.api import RateParameters
from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.local import DemoParameters
from beam_talonone.talonone.errors import ConfigurationError


@with_groups
def demo(*, rate: RateParameters, options: DemoParameters) -> int:
    """Simulator, sample data with every kind of trouble, a backfill with faults on, and its report."""
    if options.stream and options.open:
        raise ConfigurationError("--open shows the page of a backfill, which --stream does not have: leave out one")
    if options.stream:
        from beam_talonone.pipelines.demo.stream import run_demo_stream

        return run_demo_stream(positive("--rate", rate.rate), options.output)
    from beam_talonone.pipelines.demo.backfill import run_demo

    return run_demo(positive("--rate", rate.rate), options.output, browser=options.open)
