"""The protocol of orders: updates a session according to its state, and reopens it if the options ask for that."""

from typing import Any

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import reopen_customer_session
from beam_talonone.schemas.reasons import Reason, Skip
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.compare.equality import same_content, same_state
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.protocols.endings import already, settled, settled_as, unknown
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.protocols.session_reads import CannotRead, read_session
from beam_talonone.talonone.requests.outcome import Outcome, refused, skipped
from beam_talonone.talonone.requests.work import Part, Work


async def order(sender: RequestSender, work: Work, part: Part, facts: SessionFacts) -> Outcome:
    """Update a session: also one that is cancelled without an update, already closed, or edited after closing. Raises
    CannotRead and StopRun."""
    lone_cancel = is_lone_cancel(work, facts)
    if sender.was_in_flight is not None or lone_cancel:
        existing = await read_session(sender, work.id)
        if existing is None and lone_cancel:
            return skipped(Skip.NOTHING_TO_CANCEL, part.request.operation)
        if sender.was_in_flight is not None and _is_done(_expected(part), existing):
            return already(part)
    answer = await sender.send(part.request)
    if answer.verdict is Verdict.UNKNOWN or _may_be_a_state(answer):
        return await _by_state(sender, work, part, answer, _expected(part))
    return settled(sender, part, answer)


def is_lone_cancel(work: Work, facts: SessionFacts) -> bool:
    """Whether an order is cancelled whose session this job has not sent: the API may not have it."""
    return work.status == "cancelled" and not facts.session_sent


def _expected(part: Part) -> dict[str, Any]:
    """The session that the part's request sets. Most orders never need it, so it is not decoded in advance."""
    session: dict[str, Any] = jsonio.loads_around(part.request.body or b"{}")["customerSession"]
    return session


def _is_done(expected: dict[str, Any], existing: dict[str, Any] | None) -> bool:
    if existing is None or not same_state(expected, existing):
        return False
    # a cancellation only changes the state of a session that was closed: its content need not have been taken over
    return expected["state"] == "cancelled" or same_content(expected, existing)


def _may_be_a_state(answer: Answer) -> bool:
    """A 400 that does not name an unknown attribute may come from the session's state."""
    return answer.status == 400 and answer.reason is Reason.REFUSED


async def _by_state(
    sender: RequestSender, work: Work, part: Part, answer: Answer, expected: dict[str, Any]
) -> Outcome:
    try:
        existing = await read_session(sender, work.id)
    except CannotRead:
        if answer.unclear_before or answer.verdict is Verdict.UNKNOWN:
            raise
        return refused(part.request.operation, answer, 0)  # it did not act, for whatever reason
    state = None if existing is None else existing.get("state")
    if answer.unclear_before and _is_done(expected, existing):
        return already(part)
    if answer.verdict is Verdict.UNKNOWN:
        return unknown(sender, part, f"the session is {state or 'not there'}, not what was sent")
    reopens = sender.options.edit_closed == "reopen" and not sender.options.dry
    if state == "closed" and existing is not None:
        if expected["state"] == "closed" and same_content(expected, existing):
            return already(part)
        if reopens:
            return await _reopen_and_edit(sender, work, part, expected)
        return refused(part.request.operation, answer, 0, Reason.SESSION_CLOSED)
    if state in ("partially_returned", "cancelled") and existing is not None:
        if _is_done(expected, existing) or same_content(expected, existing):  # an export that is sent again
            return already(part)
        return refused(part.request.operation, answer, 0, Reason.SESSION_FINAL)
    if state == "open" and reopens and sender.was_in_flight is not None:
        # an earlier run died between reopening and closing: the refusal is the stored one of before
        return await _edit_open(sender, work, part, expected)
    return refused(part.request.operation, answer, 0)


async def _reopen_and_edit(sender: RequestSender, work: Work, part: Part, expected: dict[str, Any]) -> Outcome:
    reopened = await sender.send_step(reopen_customer_session(work.id), "reopen")
    if not await _led_to(sender, work, reopened, {"state": "open"}):
        return settled_as(sender, part, reopened, "reopen_customer_session")
    return await _edit_open(sender, work, part, expected)


async def _led_to(sender: RequestSender, work: Work, answer: Answer, expected: dict[str, Any]) -> bool:
    """True when a step succeeded: also one that was refused because an earlier, ambiguous try of it had acted."""
    return answer.ok or (answer.unclear_before and _is_done(expected, await read_session(sender, work.id)))


async def _edit_open(sender: RequestSender, work: Work, part: Part, expected: dict[str, Any]) -> Outcome:
    """Update the reopened session and close it again; a refused edit leaves it closed as it was before."""
    edited = await sender.send_step(_with_session(part.request, {**expected, "state": "open"}), "edit")
    if not edited.ok:
        before = {"state": "closed"}
        closed = await sender.send_step(_with_session(part.request, before), "restore")
        outcome = settled(sender, part, edited)
        return outcome if await _led_to(sender, work, closed, before) else _left_open(outcome, closed)
    if expected["state"] == "open":
        return settled(sender, part, edited)
    closed = await sender.send_step(part.request, "close")
    if closed.ok:
        return settled(sender, part, closed)
    if await _led_to(sender, work, closed, expected):
        return already(part)
    return _left_open(settled(sender, part, closed), closed)


def _left_open(outcome: Outcome, closed: Answer) -> Outcome:
    """The outcome of an edit after which the session could not be closed again: somebody has to look."""
    left = f"the session was reopened and could not be closed again ({closed.message})"
    return msgspec.structs.replace(outcome, detail=f"{outcome.detail}; {left}")


def _with_session(request: Request, session: dict[str, Any]) -> Request:
    """The request with another session; what is asked for beside the session stays."""
    body = {**request.body_json(), "customerSession": session}
    return msgspec.structs.replace(request, body=jsonio.dumps(body))
