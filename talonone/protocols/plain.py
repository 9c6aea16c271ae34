"""The protocol of parts that are one request: sent once, and again after a crash only if that is safe."""

import msgspec

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat
from beam_talonone.talonone.delivery.ambiguity import Found
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.protocols.endings import already, settled, unknown
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.outcome import End, Outcome, response_of
from beam_talonone.talonone.requests.work import Part, Work


async def plain(sender: RequestSender, work: Work, part: Part, facts: SessionFacts) -> Outcome:
    """Send the part. Raises StopRun.

    A part that was in flight when a run died goes again only if its key still protects it, or a repeat is harmless.
    """
    row = OPERATIONS[part.request.operation]
    if sender.was_in_flight is not None:
        if row.repeats(part.request) is SafeToRepeat.NO:
            return unknown(sender, part, "in flight when a run ended, and nothing keeps a repeat from acting twice")
        if row.repeat is SafeToRepeat.BY_KEY and not row.harmless and not sender.still_protected():
            return unknown(sender, part, "in flight when a run ended more than 23 hours ago")
        if await sender.look(part.request) is Found.DONE:
            return already(part)
    answer = await sender.send(part.request)
    outcome = settled(sender, part, answer)
    if work.kind == "calls" and sender.options.effects and outcome.end is End.APPLIED:
        return msgspec.structs.replace(outcome, response=response_of(answer))
    return outcome
