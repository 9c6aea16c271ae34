"""Whether a replay would send anything of a dead letter, and what it needs for that. Nothing is sent or validated."""

from typing import Any, NamedTuple

from beam_talonone.pipelines.dead_letters.problems import kind_missing
from beam_talonone.pipelines.replay.dead_letters import open_record
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import RECORDS
from beam_talonone.schemas.operation import SafeToRepeat, values_at
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.transforms.sources.prepare import Prepared

_OPTIONS = BuildOptions()

_LOST = (Reason.UNREADABLE_FILE, Reason.READ_OPERATION)

UNPROTECTED = "nothing protects a repeat of the request, which may have acted: look it up in Talon.One"


class Replayability(NamedTuple):
    """`problem` is why a replay sends nothing of a dead letter as it is; None if it sends it. `needs_mapping` is
    True if it does so only with the mapping of the job, `refuses_mapping` if it does so only without one. `lost` is
    True if no correction of the dead letter makes a replay send it."""

    problem: str | None
    needs_mapping: bool = False
    refuses_mapping: bool = False
    lost: bool = False


def replayability(raw: Raw) -> Replayability:
    """That of the dead letter in a line. A valid record may still be refused by the API, or be superseded."""
    opened = open_record(raw, _OPTIONS)
    if isinstance(opened, Prepared):
        problem = opened.problem
        if problem is None:
            return Replayability("it has no record")
        return Replayability(problem.detail, lost=problem.reason in _LOST)
    if not opened.origin.definite and opened.origin.unknown and _acts_again(opened.operation, opened.raw):
        return Replayability(UNPROTECTED)
    if opened.raw.kind == RECORDS and not opened.is_mapped:
        return Replayability(kind_missing().detail)
    return Replayability(None, opened.is_mapped, opened.is_not_mapped)


def _acts_again(operation: str | None, raw: Raw) -> bool:
    """Whether a repeat of the request of a call acts again."""
    row = OPERATIONS.get(operation or "")
    if row is None or row.repeat is SafeToRepeat.NO:
        return row is not None
    if row.named_by is None or raw.line is None:
        return False
    try:
        record = jsonio.loads(raw.line)
    except ValueError:
        return False
    return isinstance(record, dict) and not values_at((row.named_by,), _object(record, "path"), record.get("body"))


def _object(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}
