"""The outcomes of parts, made from final answers, for all protocols."""

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.requests.outcome import End, Outcome, applied, refused, response_of
from beam_talonone.talonone.requests.work import Part


def settled(sender: RequestSender, part: Part, answer: Answer) -> Outcome:
    """The outcome of a part that `answer` ends."""
    return settled_as(sender, part, answer, part.request.operation)


def settled_as(sender: RequestSender, part: Part, answer: Answer, operation: str) -> Outcome:
    """As `settled`, if `answer` is to `operation` instead of the part's own operation."""
    if answer.ok:
        if answer.already:
            return Outcome(End.ALREADY_APPLIED, operation=operation, status=answer.status)
        outcome = applied(operation, answer, 0, effects=sender.options.effects)
        if sender.options.effects and _asks_for_content(part.request):
            return msgspec.structs.replace(outcome, response=response_of(answer))
        return outcome
    if answer.verdict is Verdict.UNKNOWN:
        return msgspec.structs.replace(unknown(sender, part, answer.message), status=answer.status)
    return refused(operation, answer, 0)


def already(part: Part) -> Outcome:
    """The outcome of a part that the API shows as done."""
    return Outcome(End.ALREADY_APPLIED, operation=part.request.operation, status=200)


def unknown(sender: RequestSender, part: Part, detail: str) -> Outcome:
    """The dead letter of a part with an ambiguous outcome; `detail` says why it cannot be resolved."""
    first = sender.first_sent or (sender.was_in_flight.first_sent if sender.was_in_flight else None)
    bulk, pointer = OPERATIONS[part.request.operation].bulk, None
    if bulk is not None and part.holds is not None:  # one of several requests: say which
        last = part.first + part.entries - 1
        detail, pointer = f"{detail} (entries {part.first} to {last} of {bulk.field})", f"/{bulk.field}/0"
    return Outcome(
        End.DEAD, Reason.OUTCOME_UNKNOWN.value, detail, pointer, part.request.operation, first_sent=first
    )  # fmt: skip


def _asks_for_content(request: Request) -> bool:
    body = request.body or b""
    return b'"responseContent"' in body and bool(jsonio.loads_around(body).get("responseContent"))
