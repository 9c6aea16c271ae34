"""Carries out one part of a record, from its request to its outcome.

Each protocol is a coroutine that takes a request sender and the part, and returns the part's Outcome. For bulks, see
talonone.engine.bulk.
"""

from collections.abc import Awaitable, Callable

import msgspec

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.portions import in_whole
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.protocols.endings import unknown
from beam_talonone.talonone.protocols.lookups import look_up
from beam_talonone.talonone.protocols.plain import plain
from beam_talonone.talonone.protocols.returns import returned
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.protocols.session_reads import CannotRead
from beam_talonone.talonone.protocols.sessions import is_lone_cancel, order
from beam_talonone.talonone.requests.outcome import Outcome, refused
from beam_talonone.talonone.requests.work import Part, Protocol, Work

Carrier = Callable[[RequestSender, Work, Part, SessionFacts], Awaitable[Outcome]]


async def carry_out(sender: RequestSender, work: Work, part: Part, facts: SessionFacts) -> Outcome:
    """Carry out `part` by its protocol. Raises StopRun.

    If its session cannot be read back, the part ends as `outcome_unknown`, unless it certainly has not acted.
    """
    try:
        outcome = await PROTOCOLS[part.protocol](sender, work, part, facts)
    except CannotRead as error:
        outcome = _unread(sender, part, error)
    first_sent = sender.first_sent or outcome.first_sent
    bulk = OPERATIONS[part.request.operation].bulk
    return msgspec.structs.replace(
        outcome, attempts=sender.attempts, first_sent=first_sent, generation=sender.generation,
        pointer=in_whole(outcome.pointer, bulk, part.first),
    )  # fmt: skip


def begins_at_once(work: Work, part: Part, facts: SessionFacts) -> bool:
    """Whether the part's own request is the first that its protocol sends, if it was not in flight before."""
    if part.protocol == "order":
        return not is_lone_cancel(work, facts)
    return part.protocol == "plain"


def _unread(sender: RequestSender, part: Part, error: CannotRead) -> Outcome:
    """The outcome of a part whose session could not be read back: known where the part cannot have acted."""
    may_have_acted = sender.was_in_flight is not None or sender.first_sent is not None
    if may_have_acted or error.answer is None or not error.answer.definite:
        return unknown(sender, part, str(error))
    # named after its own request, and not the read: a replay sends it
    return msgspec.structs.replace(refused(part.request.operation, error.answer, 0), detail=str(error))


async def read(sender: RequestSender, work: Work, part: Part, facts: SessionFacts) -> Outcome:
    """Carry out a lookup; its line goes to the `lines` of the options. Raises StopRun."""
    if sender.options.lines is None:
        raise RuntimeError("a lookup has nowhere to put its line")
    return await look_up(sender, part.request, work.given, sender.options.lines)


PROTOCOLS: dict[Protocol, Carrier] = {"plain": plain, "order": order, "return": returned, "read": read}
