"""One part of a record that travels alone: whether anything is left to send, and what sends it."""

from dataclasses import dataclass, field

from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.engine.job import Ended, Job
from beam_talonone.talonone.protocols.carry_out import carry_out
from beam_talonone.talonone.protocols.session_facts import SessionFacts
from beam_talonone.talonone.requests.outcome import Outcome, skipped
from beam_talonone.talonone.requests.work import Key


@dataclass(eq=False, slots=True, kw_only=True)
class PartSender(RequestSender):
    """Carries out the part `index` of `job`, by its protocol."""

    job: Job
    index: int
    _context: SessionFacts = field(default_factory=SessionFacts, init=False)

    def ends_unsent(self) -> bool:
        """Whether the part, or its whole job, ends without a request.

        The dispatcher calls it once all earlier records have ended, so it can read their results through `facts_of`.
        """
        job, index = self.job, self.index
        if job.over:
            return True
        if job.broken_before(index):
            job.part_done(index, skipped(Skip.PART_BEFORE_REFUSED, self.operation))
            return True
        context = job.facts_of(job)
        if isinstance(context, Ended):
            job.end_as_before(context.outcome)
            return True
        if isinstance(context, Outcome):
            job.part_done(index, context)
            return True
        self._context = context
        return False

    async def run(self) -> None:
        """Carry out the part and pass its outcome to the job. Raises StopRun."""
        work = self.job.work
        self.job.part_done(self.index, await carry_out(self, work, work.parts[self.index], self._context))


def part_sender(sender: Sender, job: Job, index: int, keys: tuple[Key, ...]) -> PartSender:
    """The sender of the part `index` of `job`, which holds `keys`."""
    work, operation = job.work, job.work.parts[index].request.operation
    return PartSender(
        job.number, keys, operation, work.kind, work.id,
        sender=sender, options=job.options, identities=[work.identity], step=f"{index}:{operation}",
        observer=job.observer, parts=[(job.number, index)], was_in_flight=job.in_flight.get(index),
        job=job, index=index,
    )  # fmt: skip
