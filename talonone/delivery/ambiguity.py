"""What an answer means when an earlier try may have acted, or when only reading back can tell."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum

from beam_talonone.schemas.operations import Operation, Says
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.http.responses import Answer, Verdict


class Found(Enum):
    """What reading back shows of a request."""

    DONE = "it is done"
    NOT_DONE = "it is not done"
    OTHER = "what it names is there and has other content"
    UNKNOWN = "it cannot be told"


_ALREADY = re.compile(r"\balready (been )?(exists|linked|registered|joined|a member)\b", re.IGNORECASE)
"""The texts are not stable, so this is asked only where an earlier try may have acted and nothing else can tell."""

Look = Callable[[], Awaitable[Found]]


async def resolve(row: Operation, answer: Answer, *, ambiguous: bool, look: Look | None) -> Answer:
    """`answer` as the operation's row has it. `ambiguous` tells whether an earlier try of the same request may have
    acted, `look` reads back, where the operation has a way to."""
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
