"""Resolves an answer if an earlier try may have acted, or if only a read-back shows the outcome."""

import re
from collections.abc import Awaitable, Callable
from enum import Enum

from msgspec.structs import replace

from beam_talonone.schemas.operations import Operation, Says
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.http.responses import Answer, Verdict


class Found(Enum):
    """The result of a read-back."""

    DONE = "it is done"
    NOT_DONE = "it is not done"
    OTHER = "what it names is there and has other content"
    UNKNOWN = "it cannot be told"


_ALREADY = re.compile(r"\balready (been )?(exists|linked|registered|joined|a member)\b", re.IGNORECASE)
"""The API's texts are not stable, so it counts only if an earlier try may have acted and no read-back helps."""

Look = Callable[[], Awaitable[Found]]


async def resolve(row: Operation, answer: Answer, *, ambiguous: bool, look: Look | None) -> Answer:
    """Return `answer` with the status override of the operation's row applied.

    `ambiguous` is True if an earlier try of the same request may have acted. `look` is the read-back of the
    operation, or None if it has none.
    """
    says = None if answer.status is None else row.says.get(answer.status)
    if says is None or answer.ok:
        return answer
    if says is Says.DONE_IF_TRIED:
        return _done(answer) if ambiguous else _refused(answer)
    if says is Says.UNKNOWN_IF_TRIED:
        return replace(answer, verdict=Verdict.UNKNOWN) if ambiguous else answer
    if look is None or not (ambiguous or says is Says.LOOK):
        return answer
    found = await look()
    if found is Found.UNKNOWN and says is Says.LOOK_IF_TRIED and _ALREADY.search(answer.message):
        return _done(answer)
    return _seen(answer, found)


def _seen(answer: Answer, found: Found) -> Answer:
    match found:
        case Found.DONE:
            return _done(answer)
        case Found.OTHER:
            detail = f"it is there already, with other content ({answer.message})"
            return replace(answer, verdict=Verdict.REFUSED, reason=Reason.ID_REUSED, message=detail)
        case Found.UNKNOWN:
            return replace(answer, verdict=Verdict.UNKNOWN)
    return answer


def _done(answer: Answer) -> Answer:
    return replace(answer, verdict=Verdict.APPLIED, reason=None, acted=True, already=True)


def _refused(answer: Answer) -> Answer:
    return replace(answer, verdict=Verdict.REFUSED, reason=answer.reason or Reason.REFUSED)
