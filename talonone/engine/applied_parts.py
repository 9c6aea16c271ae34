"""The requests of a call that the API has applied: its dead letter names them, so that a replay leaves them out.

A request is identified by the entries of its list, as a dead letter may be edited before it is replayed.
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
    """Return the digests of the applied requests of the call `work`, for its dead letter; nothing for other kinds."""
    return [_digest_of(work.parts[index]) for index in outcome.parts_done or () if work.kind == "calls"]


def union(first: Iterable[str], second: Iterable[str]) -> list[str]:
    """Merge two lists of digests. Each digest occurs as often as in the list that has more of it."""
    counts = Counter(first)
    for key, number in Counter(second).items():
        counts[key] = max(counts[key], number)
    return sorted(counts.elements())


def done_before(work: Work, applied: tuple[str, ...]) -> dict[int, Outcome]:
    """Return the outcomes by part index that `work` has before it is sent: `applied` are digests of its dead letter.

    If a call that is unsafe to repeat no longer contains an applied request, all its parts end as dead letters.
    """
    left = Counter(applied)
    outcomes = {}
    for index, part in enumerate(work.parts):
        key = _digest_of(part)
        if left[key]:
            left[key] -= 1
            outcomes[index] = Outcome(End.ALREADY_APPLIED, operation=part.request.operation, status=200)
    return _changed(work) if left.total() and is_unsafe(work) else outcomes


def _changed(work: Work) -> dict[int, Outcome]:
    detail = (
        "some of it was applied before, and its list has been changed since: send what is missing as a new call,"
        " under a `call_id` of its own"
    )
    outcome = Outcome(End.DEAD, Reason.INVALID_CALL.value, detail, stage=Stage.VALIDATE)
    return dict.fromkeys(range(len(work.parts)), outcome)


def _digest_of(part: Part) -> str:
    bulk = OPERATIONS[part.request.operation].bulk
    body = part.request.body_json()
    return digest(body.get(bulk.field) if bulk is not None and isinstance(body, dict) else body).hex()
