"""The parts of a record that the API cannot try without effect."""

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.requests.outcome import Outcome, skipped
from beam_talonone.talonone.requests.work import Part, Work


def not_dry(work: Work) -> dict[int, Outcome]:
    """Return the outcomes, by part index, of the parts that a dry run skips because they would act."""
    return {
        index: skipped(Skip.NOT_DRY, part.request.operation)
        for index, part in enumerate(work.parts)
        if not _can_be_dry(part)
    }


def _can_be_dry(part: Part) -> bool:
    row = OPERATIONS[part.request.operation]
    needed = row.needs.get("dry")  # a profile update honours it only with the rule engine
    return row.can_be_dry and (needed is None or part.request.query.get(needed) == "true")
