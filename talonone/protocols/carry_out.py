"""How one part of a record is carried out, from its request to its outcome: what the API's answers lead to.

Each protocol is a coroutine of a courier and the part; it returns the part's Outcome. For bulks, see
talonone.engine.bulk.
"""

from collections.abc import Awaitable, Callable

import msgspec

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.portions import in_whole
from beam_talonone.talonone.delivery.request_sender import Courier
from beam_talonone.talonone.protocols.endings import unknown
from beam_talonone.talonone.protocols.known import Known
from beam_talonone.talonone.protocols.lookups import look_up
from beam_talonone.talonone.protocols.plain import plain
from beam_talonone.talonone.protocols.returns import returned
from beam_talonone.talonone.protocols.session_reads import CannotRead
from beam_talonone.talonone.protocols.sessions import order
from beam_talonone.talonone.requests.outcome import Outcome, refused
from beam_talonone.talonone.requests.work import Part, Protocol, Work

Carrier = Callable[[Courier, Work, Part, Known], Awaitable[Outcome]]


async def carry_out(courier: Courier, work: Work, part: Part, known: Known) -> Outcome:
    """The outcome of `part`, by its protocol. A session that cannot be read back ends as `outcome_unknown`."""
    try:
        outcome = await PROTOCOLS[part.protocol](courier, work, part, known)
    except CannotRead as error:
        outcome = _unread(courier, part, error)
    first_sent = courier.first_sent or outcome.first_sent
    bulk = OPERATIONS[part.request.operation].bulk
    return msgspec.structs.replace(
        outcome, attempts=courier.attempts, first_sent=first_sent, generation=courier.generation,
        pointer=in_whole(outcome.pointer, bulk, part.first),
    )  # fmt: skip


def _unread(courier: Courier, part: Part, error: CannotRead) -> Outcome:
    """The outcome of a part whose session could not be read back: known where the part cannot have acted."""
    may_have_acted = courier.was_in_flight is not None or courier.first_sent is not None
    if may_have_acted or error.answer is None or not error.answer.definite:
        return unknown(courier, part, str(error))
    return msgspec.structs.replace(refused("get_customer_session", error.answer, 0), detail=str(error))


async def read(courier: Courier, work: Work, part: Part, known: Known) -> Outcome:
    """Look something up; its line goes where the options say."""
    if courier.options.lines is None:
        raise RuntimeError("a lookup has nowhere to put its line")
    return await look_up(courier, part.request, work.given, courier.options.lines)


PROTOCOLS: dict[Protocol, Carrier] = {"plain": plain, "order": order, "return": returned, "read": read}
