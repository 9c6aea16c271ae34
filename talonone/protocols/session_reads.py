"""Reading a customer session back."""

from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.http.responses import Answer, Verdict

TRIES = 3
"""Successful answers without a session, or with a body that cannot be read, after which it counts as unreadable."""

NOT_THERE = frozenset({400, 404})
"""No session endpoint of the API documents 404: both statuses mean that the session does not exist."""


class CannotRead(Exception):
    """The session could not be read: the API kept failing for this one, or refused it (`answer`)."""

    def __init__(self, detail: str, answer: Answer | None = None) -> None:
        super().__init__(detail)
        self.answer = answer


async def read_session(sender: RequestSender, session_id: str) -> dict[str, Any] | None:
    """Read a session with get_customer_session. Returns its `customerSession`, or None if it does not exist.

    Raises CannotRead if the API keeps failing for it or refuses the read, and StopRun.
    """
    for tries_left in reversed(range(TRIES)):
        answer = await sender.read(get_customer_session(session_id))
        if answer.body_lost and tries_left:
            continue
        if not answer.ok:
            break
        try:
            session = jsonio.loads_around(answer.body)["customerSession"]
        except (ValueError, KeyError, TypeError) as error:  # it may have broken off on the way
            if not tries_left:
                raise CannotRead(f"the answer of get_customer_session has no customerSession: {error}") from None
        else:
            return session if isinstance(session, dict) else None
    if answer.verdict is Verdict.REFUSED and answer.status in NOT_THERE:
        return None
    raise CannotRead(f"the session could not be read back: {answer.message}", answer)


def profile_of(answer: Answer) -> str | None:
    """The `profileId` in an answer to get_customer_session, or None."""
    if not answer.ok:
        return None
    try:
        profile = jsonio.loads_around(answer.body)["customerSession"]["profileId"]
    except (ValueError, KeyError, TypeError):
        return None
    return profile if isinstance(profile, str) and profile else None
