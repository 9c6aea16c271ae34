"""Of a call of several requests, which of them the API has taken: told in its dead letter, and asked by a replay.

A request is known by the entries of its list: a dead letter may be corrected by hand before it is replayed.
"""

from collections import Counter
from collections.abc import Iterable

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason, Stage
from beam_talonone.talonone.engine.deduplication import is_unsafe
from beam_talonone.talonone.requests.identity import digest
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Part, Work


def applied_parts(work: Work, outcome: Outcome) -> list[str]:
    """What a dead letter of `work` says of the requests that were applied."""
    return [_known_by(work.parts[index]) for index in outcome.parts_done or () if work.kind == "calls"]


def union(one: Iterable[str], other: Iterable[str]) -> list[str]:
    """What both say together: of requests with the same entries as many as the one that knows of more."""
    counts = Counter(one)
    for known_by, number in Counter(other).items():
        counts[known_by] = max(counts[known_by], number)
    return sorted(counts.elements())


def done_before(work: Work, applied: tuple[str, ...]) -> dict[int, Outcome]:
    """The outcomes that parts of `work` have already, when its dead letter told that `applied` were.

    Where what would act twice no longer has the requests that were applied, nothing of it is sent.
    """
    left = Counter(applied)
    found = {}
    for index, part in enumerate(work.parts):
        known_by = _known_by(part)
        if left[known_by]:
            left[known_by] -= 1
            found[index] = Outcome(End.ALREADY_APPLIED, operation=part.request.operation, status=200)
    return _changed(work) if left.total() and is_unsafe(work) else found


def _changed(work: Work) -> dict[int, Outcome]:
    detail = (
        "some of it was applied before, and its list has been changed since: send what is missing as a new call,"
        " under a `call_id` of its own"
    )
    outcome = Outcome(End.DEAD, Reason.INVALID_CALL.value, detail, stage=Stage.VALIDATE)
    return dict.fromkeys(range(len(work.parts)), outcome)


def _known_by(part: Part) -> str:
    bulk = OPERATIONS[part.request.operation].bulk
    body = part.request.body_json()
    return digest(body.get(bulk.field) if bulk is not None and isinstance(body, dict) else body).hex()
