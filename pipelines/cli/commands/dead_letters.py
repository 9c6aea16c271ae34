"""`beam-talonone dead-letters`: dead letters counted, narrowed down, and exported."""

from beam_talonone.pipelines.cli.parameters.dead_letters import DeadLettersParameters, NarrowingParameters
from beam_talonone.pipelines.cli.parameters.groups import with_groups


@with_groups
def dead_letters(*, source: DeadLettersParameters, narrowing: NarrowingParameters) -> int:
    """Count dead letters by kind, stage, reason, field and file, with examples, or export them."""
    from beam_talonone.pipelines.cli.settings import listed_kinds, listed_reasons
    from beam_talonone.pipelines.dead_letters.work import DeadLettersOptions, run_dead_letters

    reasons, kinds = listed_reasons("--reason", narrowing.reason), listed_kinds("--kind", narrowing.kind)
    places = tuple(source.places)
    return run_dead_letters(DeadLettersOptions(places, reasons, kinds, source.show, source.export, source.output))
