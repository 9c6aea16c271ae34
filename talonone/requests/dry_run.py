"""What of a record cannot be tried without effect."""

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.requests.outcome import Outcome, skipped
from beam_talonone.talonone.requests.work import Part, Work


def not_dry(work: Work) -> dict[int, Outcome]:
    """The parts that would act in a dry run: they are skipped, and this is their outcome."""
    return {
        index: skipped(Skip.NOT_DRY, part.request.operation)
        for index, part in enumerate(work.parts)
        if not _can_be_dry(part)
    }


def _can_be_dry(part: Part) -> bool:
    row = OPERATIONS[part.request.operation]
    needed = row.needs.get("dry")  # a profile's update heeds it only where the rule engine runs
    return row.can_be_dry and (needed is None or part.request.query.get(needed) == "true")
