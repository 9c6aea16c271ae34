"""The protocol of returns: items are returned once, also if the outcome of an earlier try is ambiguous."""

from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.compare.equality import was_returned
from beam_talonone.talonone.compare.repeated_returns import Repeat
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.protocols.endings import already, settled, unknown
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.protocols.session_reads import CannotRead, read_session
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.requests.work import Part, Work


async def returned(sender: RequestSender, work: Work, part: Part, facts: SessionFacts) -> Outcome:
    """Return items, never twice: the session shows whether an earlier try acted. Raises CannotRead and StopRun."""
    items = jsonio.loads_around(part.request.body or b"{}")["return"]["returnedCartItems"]
    if sender.was_in_flight is not None:
        shown = await _shows(sender, work, items, facts)
        if shown:
            return already(part)
        if shown is None and not sender.still_protected():
            return unknown(sender, part, "in flight when a run ended, and the session does not tell")
    elif sender.options.look_first and not (facts.session_closed and work.profiles):
        early = await _too_early(sender, work, part, facts)
        if early is not None:
            return early
    if facts.repeat is not None:
        if sender.was_in_flight is None and await _is_repeated(sender, work, items, facts, facts.repeat):
            return already(part)
        facts.repeat.cart = None  # it is about to change
    answer = await sender.send(part.request)
    if answer.unclear_before and not answer.ok and await _shows(sender, work, items, facts):
        return already(part)
    return settled(sender, part, answer)


async def _too_early(sender: RequestSender, work: Work, part: Part, facts: SessionFacts) -> Outcome | None:
    """Return the outcome of a return whose order the API does not have, or has not closed; None if it may be sent.

    Such a return is not sent: the API would store its refusal under the key, and repeat it once the order is there.
    The outcome is `premature`, so the sequencer of a stream waits, and tries the return again.
    """
    existing = await read_session(sender, work.sessions[0])
    operation = part.request.operation
    if existing is None:
        reason = Reason.ORDER_DEAD_LETTERED if facts.order_dead else Reason.NOT_FOUND
        detail = f"the API does not have the order {work.sessions[0]}"
    elif existing.get("state") == "open":
        reason, detail = Reason.ORDER_NOT_CLOSED, f"the order {work.sessions[0]} is open"
    elif not work.profiles and isinstance(existing.get("profileId"), str) and existing["profileId"]:
        detail = "it goes again, ordered with its order's customer"
        return Outcome(
            End.DEAD, Reason.ORDER_NOT_CLOSED.value, detail, operation=operation, premature=True,
            customer=existing["profileId"],
        )  # fmt: skip
    else:
        return None
    return Outcome(End.DEAD, reason.value, detail, operation=operation, premature=True)


async def _shows(sender: RequestSender, work: Work, items: list[dict[str, Any]], facts: SessionFacts) -> bool | None:
    existing = await read_session(sender, work.sessions[0])
    try:
        return False if existing is None else was_returned(items, facts.returned, existing)
    except (TypeError, KeyError, AttributeError) as error:
        raise CannotRead(f"the session that was read back has an odd shape: {error}") from None


async def _is_repeated(
    sender: RequestSender, work: Work, items: list[dict[str, Any]], facts: SessionFacts, repeat: Repeat
) -> bool:
    """Whether the session shows that the return was applied before this job, under a key that may have expired.

    The session is read once, and again after each return that was sent.
    """
    try:
        if repeat.cart is None:
            existing = await read_session(sender, work.sessions[0])
            if existing is None:
                return False
            repeat.read(existing)
        return repeat.shows(items, facts.returned, work.event_us)
    except (TypeError, KeyError, AttributeError) as error:
        raise CannotRead(f"the session that was read back has an odd shape: {error}") from None
