"""How one part of a record is carried out, from its request to its outcome: what the API's answers lead to.

Each protocol is a coroutine of a courier and the part; it returns the part's Outcome. For bulks, see
talonone.engine.bulk.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat, reopen_customer_session
from beam_talonone.schemas.portions import in_whole
from beam_talonone.schemas.reasons import Reason, Skip
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.compare.equality import same_content, same_state, was_returned
from beam_talonone.talonone.compare.repeated_returns import Repeat
from beam_talonone.talonone.delivery.ambiguity import Found
from beam_talonone.talonone.delivery.request_sender import Courier
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.protocols.lookups import look_up
from beam_talonone.talonone.protocols.session_reads import CannotRead, read_session
from beam_talonone.talonone.requests.outcome import End, Outcome, applied, refused, response_of, skipped
from beam_talonone.talonone.requests.work import Part, Protocol, Work


@dataclass(frozen=True)
class Known:
    """What the job knows about a record's session beyond the record itself.

    `session_sent`: an earlier version of the order was applied by this job, `session_closed`: one that closed it.
    `order_dead`: the order's record is a
    dead letter and none was applied. `returned`: items of the order that this job returned earlier. `repeat`: set
    where the API had the order before this job sent it, as in an export that is sent again: so may its returns be.
    """

    session_sent: bool = False
    session_closed: bool = False
    order_dead: bool = False
    returned: list[dict[str, Any]] = field(default_factory=list)
    repeat: Repeat | None = None


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
        return _unknown(courier, part, str(error))
    return msgspec.structs.replace(refused("get_customer_session", error.answer, 0), detail=str(error))


async def plain(courier: Courier, work: Work, part: Part, known: Known) -> Outcome:
    """Send it; what was in flight when a run died goes again only while its key protects it."""
    row = OPERATIONS[part.request.operation]
    if courier.was_in_flight is not None:
        if row.repeats(part.request) is SafeToRepeat.NO:
            return _unknown(courier, part, "in flight when a run ended, and nothing keeps a repeat from acting twice")
        if row.repeat is SafeToRepeat.BY_KEY and not row.harmless and not courier.still_protected():
            return _unknown(courier, part, "in flight when a run ended more than 23 hours ago")
        if await courier.look(part.request) is Found.DONE:
            return _already(part)
    answer = await courier.send(part.request)
    outcome = _settled(courier, part, answer)
    if work.kind == "calls" and courier.options.effects and outcome.end is End.APPLIED:
        return msgspec.structs.replace(outcome, response=response_of(answer))
    return outcome


def _asks_for_content(request: Request) -> bool:
    body = request.body or b""
    return b'"responseContent"' in body and bool(jsonio.loads(body).get("responseContent"))


async def order(courier: Courier, work: Work, part: Part, known: Known) -> Outcome:
    """Update a session, knowing its states: cancelled alone, closed already, edited after closing."""
    lone_cancel = work.status == "cancelled" and not known.session_sent
    if courier.was_in_flight is not None or lone_cancel:
        found = await read_session(courier, work.id)
        if found is None and lone_cancel:
            return skipped(Skip.NOTHING_TO_CANCEL, part.request.operation)
        if courier.was_in_flight is not None and _is_done(_wanted(part), found):
            return _already(part)
    answer = await courier.send(part.request)
    if answer.verdict is Verdict.UNKNOWN or _may_be_a_state(answer):
        return await _by_state(courier, work, part, answer, _wanted(part))
    return _settled(courier, part, answer)


def _wanted(part: Part) -> dict[str, Any]:
    """The session as the part's request sets it. Most orders never need it, so it is not read in advance."""
    session: dict[str, Any] = jsonio.loads(part.request.body or b"{}")["customerSession"]
    return session


def _is_done(wanted: dict[str, Any], found: dict[str, Any] | None) -> bool:
    if found is None or not same_state(wanted, found):
        return False
    # a cancellation only changes the state of a session that was closed: its content need not have been taken over
    return wanted["state"] == "cancelled" or same_content(wanted, found)


def _may_be_a_state(answer: Answer) -> bool:
    """A 400 that does not name an unknown attribute may come from the session's state."""
    return answer.status == 400 and answer.reason is Reason.REFUSED


async def _by_state(courier: Courier, work: Work, part: Part, answer: Answer, wanted: dict[str, Any]) -> Outcome:
    try:
        found = await read_session(courier, work.id)
    except CannotRead:
        if answer.unclear_before or answer.verdict is Verdict.UNKNOWN:
            raise
        return refused(part.request.operation, answer, 0)  # it did not act, for whatever reason
    state = None if found is None else found.get("state")
    if answer.unclear_before and _is_done(wanted, found):
        return _already(part)
    if answer.verdict is Verdict.UNKNOWN:
        return _unknown(courier, part, f"the session is {state or 'not there'}, not what was sent")
    reopens = courier.options.edit_closed == "reopen" and not courier.options.dry
    if state == "closed" and found is not None:
        if wanted["state"] == "closed" and same_content(wanted, found):
            return _already(part)
        if reopens:
            return await _reopen_and_edit(courier, work, part, wanted)
        return refused(part.request.operation, answer, 0, Reason.SESSION_CLOSED)
    if state in ("partially_returned", "cancelled") and found is not None:
        if _is_done(wanted, found) or same_content(wanted, found):  # an export that is sent again
            return _already(part)
        return refused(part.request.operation, answer, 0, Reason.SESSION_FINAL)
    if state == "open" and reopens and courier.was_in_flight is not None:
        # an earlier run died between reopening and closing: the refusal is the stored one of before
        return await _edit_open(courier, work, part, wanted)
    return refused(part.request.operation, answer, 0)


async def _reopen_and_edit(courier: Courier, work: Work, part: Part, wanted: dict[str, Any]) -> Outcome:
    reopened = await courier.send_step(reopen_customer_session(work.id), "reopen")
    if not await _led_to(courier, work, reopened, {"state": "open"}):
        return _settled_as(courier, part, reopened, "reopen_customer_session")
    return await _edit_open(courier, work, part, wanted)


async def _led_to(courier: Courier, work: Work, answer: Answer, wanted: dict[str, Any]) -> bool:
    """True when a step succeeded: also one that was refused because an earlier, unclear try of it had acted."""
    return answer.ok or (answer.unclear_before and _is_done(wanted, await read_session(courier, work.id)))


async def _edit_open(courier: Courier, work: Work, part: Part, wanted: dict[str, Any]) -> Outcome:
    """Update the reopened session and close it again; a refused edit leaves it closed as it was before."""
    edited = await courier.send_step(_with_session(part.request, {**wanted, "state": "open"}), "edit")
    if not edited.ok:
        before = {"state": "closed"}
        closed = await courier.send_step(_with_session(part.request, before), "restore")
        outcome = _settled(courier, part, edited)
        return outcome if await _led_to(courier, work, closed, before) else _left_open(outcome, closed)
    if wanted["state"] == "open":
        return _settled(courier, part, edited)
    closed = await courier.send_step(part.request, "close")
    if closed.ok:
        return _settled(courier, part, closed)
    if await _led_to(courier, work, closed, wanted):
        return _already(part)
    return _left_open(_settled(courier, part, closed), closed)


def _left_open(outcome: Outcome, closed: Answer) -> Outcome:
    """The outcome of an edit after which the session could not be closed again: somebody has to look."""
    left = f"the session was reopened and could not be closed again ({closed.message})"
    return msgspec.structs.replace(outcome, detail=f"{outcome.detail}; {left}")


def _with_session(request: Request, session: dict[str, Any]) -> Request:
    """The request with another session; what is asked for beside the session stays."""
    body = {**request.body_json(), "customerSession": session}
    return msgspec.structs.replace(request, body=jsonio.dumps(body))


async def returned(courier: Courier, work: Work, part: Part, known: Known) -> Outcome:
    """Return items, never twice: what may have been returned already is looked up in the session."""
    items = jsonio.loads(part.request.body or b"{}")["return"]["returnedCartItems"]
    if courier.was_in_flight is not None:
        shown = await _shows(courier, work, items, known)
        if shown:
            return _already(part)
        if shown is None and not courier.still_protected():
            return _unknown(courier, part, "in flight when a run ended, and the session does not tell")
    elif courier.options.look_first and not (known.session_closed and work.profiles):
        early = await _too_early(courier, work, part, known)
        if early is not None:
            return early
    if known.repeat is not None:
        if courier.was_in_flight is None and await _is_repeated(courier, work, items, known, known.repeat):
            return _already(part)
        known.repeat.cart = None  # it is about to change
    answer = await courier.send(part.request)
    if answer.unclear_before and not answer.ok and await _shows(courier, work, items, known):
        return _already(part)
    return _settled(courier, part, answer)


async def _too_early(courier: Courier, work: Work, part: Part, known: Known) -> Outcome | None:
    """The outcome of a return whose order the API does not have, or has not closed. It was not sent: the API would
    store its refusal, and give it again when the order has come."""
    found = await read_session(courier, work.sessions[0])
    operation = part.request.operation
    if found is None:
        reason = Reason.ORDER_DEAD_LETTERED if known.order_dead else Reason.NOT_FOUND
        detail = f"the API does not have the order {work.sessions[0]}"
    elif found.get("state") == "open":
        reason, detail = Reason.ORDER_NOT_CLOSED, f"the order {work.sessions[0]} is open"
    elif not work.profiles and isinstance(found.get("profileId"), str) and found["profileId"]:
        detail = "it goes again, ordered with its order's customer"
        return Outcome(
            End.DEAD, Reason.ORDER_NOT_CLOSED.value, detail, operation=operation, premature=True,
            customer=found["profileId"],
        )  # fmt: skip
    else:
        return None
    return Outcome(End.DEAD, reason.value, detail, operation=operation, premature=True)


async def _shows(courier: Courier, work: Work, items: list[dict[str, Any]], known: Known) -> bool | None:
    found = await read_session(courier, work.sessions[0])
    try:
        return False if found is None else was_returned(items, known.returned, found)
    except (TypeError, KeyError, AttributeError) as error:
        raise CannotRead(f"the session that was read back has an odd shape: {error}") from None


async def _is_repeated(
    courier: Courier, work: Work, items: list[dict[str, Any]], known: Known, repeat: Repeat
) -> bool:
    """Whether the session shows the return from before this job: its key may have expired, and it must not go twice.
    The session is read once, and again after each return that was sent."""
    try:
        if repeat.cart is None:
            found = await read_session(courier, work.sessions[0])
            if found is None:
                return False
            repeat.read(found)
        return repeat.shows(items, known.returned, work.event_us)
    except (TypeError, KeyError, AttributeError) as error:
        raise CannotRead(f"the session that was read back has an odd shape: {error}") from None


def _settled(courier: Courier, part: Part, answer: Answer) -> Outcome:
    return _settled_as(courier, part, answer, part.request.operation)


def _settled_as(courier: Courier, part: Part, answer: Answer, operation: str) -> Outcome:
    if answer.ok:
        if answer.already:
            return Outcome(End.ALREADY_APPLIED, operation=operation, status=answer.status)
        outcome = applied(operation, answer, 0, effects=courier.options.effects)
        if courier.options.effects and _asks_for_content(part.request):
            return msgspec.structs.replace(outcome, response=response_of(answer))
        return outcome
    if answer.verdict is Verdict.UNKNOWN:
        return msgspec.structs.replace(_unknown(courier, part, answer.message), status=answer.status)
    return refused(operation, answer, 0)


def _already(part: Part) -> Outcome:
    return Outcome(End.ALREADY_APPLIED, operation=part.request.operation, status=200)


def _unknown(courier: Courier, part: Part, detail: str) -> Outcome:
    first = courier.first_sent or (courier.was_in_flight.first_sent if courier.was_in_flight else None)
    bulk, pointer = OPERATIONS[part.request.operation].bulk, None
    if bulk is not None and part.holds is not None:  # one of several requests: say which
        last = part.first + part.entries - 1
        detail, pointer = f"{detail} (entries {part.first} to {last} of {bulk.field})", f"/{bulk.field}/0"
    return Outcome(
        End.DEAD, Reason.OUTCOME_UNKNOWN.value, detail, pointer, part.request.operation, first_sent=first
    )  # fmt: skip


async def read(courier: Courier, work: Work, part: Part, known: Known) -> Outcome:
    """Look something up; its line goes where the options say."""
    if courier.options.lines is None:
        raise RuntimeError("a lookup has nowhere to put its line")
    return await look_up(courier, part.request, work.given, courier.options.lines)


PROTOCOLS: dict[Protocol, Carrier] = {"plain": plain, "order": order, "return": returned, "read": read}
