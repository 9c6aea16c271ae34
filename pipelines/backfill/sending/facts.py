"""What earlier records, and an earlier attempt, say about a record that is sent next."""

from dataclasses import replace

from beam_talonone.schemas.operations import OPERATIONS, SafeToRepeat
from beam_talonone.schemas.reasons import Reason, Skip
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.protocols.session_facts import NOTHING_KNOWN, SessionFacts
from beam_talonone.talonone.requests.outcome import End, Outcome, skipped
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.state.session_cache import SessionMemory
from beam_talonone.transforms.sources.prepare import Origin


def facts_before(memory: SessionMemory, job: Job) -> SessionFacts | Outcome:
    """The facts about the record's session, once all records before it have ended. An outcome if nothing is to be
    sent."""
    if not job.work.sessions:
        return NOTHING_KNOWN
    facts = memory.known(job.work.sessions[0])
    if job.options.dry and facts.session_sent and job.work.kind in ("orders", "events"):
        # a later version of an order that is not there, or what refers to it
        return skipped(Skip.ORDER_NOT_SENT, job.work.parts[0].request.operation)
    if job.work.kind != "returns":
        return facts
    if facts.order_dead:
        detail = "the order's own record is a dead letter; replay that first"
        return Outcome(End.DEAD, Reason.ORDER_DEAD_LETTERED.value, detail, operation="return_cart_items")
    if job.options.dry and facts.session_sent:
        return skipped(Skip.ORDER_NOT_SENT, "return_cart_items")
    return replace(facts, repeat=memory.repeat(job.work.sessions[0]))


def earlier_attempt(origin: Origin, work: Work) -> dict[int, InFlight]:
    """The parts of a replayed record of ambiguous outcome, which count as in flight when a run died.

    A request that must never go twice was repeated only while it was known not to have acted. So it counts as in
    flight where its outcome is unknown, also if the dead letter no longer says when it was sent.
    """
    if origin.definite:
        return {}
    in_flight = {}
    for index, part in enumerate(work.parts):
        if OPERATIONS[part.request.operation].repeats(part.request) is SafeToRepeat.NO:
            if origin.unknown:
                in_flight[index] = InFlight(origin.generation, origin.first_sent or 0.0)
        elif origin.first_sent is not None:
            in_flight[index] = InFlight(origin.generation, origin.first_sent)
    return in_flight
