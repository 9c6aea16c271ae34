"""One part of a record that travels alone: whether anything is left to send, and what sends it."""

from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.delivery.dispatcher import Over
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.engine.first_tries import FirstTries
from beam_talonone.talonone.engine.job import Ended, Job
from beam_talonone.talonone.http.responses import Answer
from beam_talonone.talonone.protocols.carry_out import begins_at_once, carry_out
from beam_talonone.talonone.protocols.session_facts import NOTHING_KNOWN, SessionFacts
from beam_talonone.talonone.requests.outcome import END_APPLIED, Outcome, skipped
from beam_talonone.talonone.requests.work import Key


class PartSender(RequestSender, eq=False, kw_only=True):
    """Carries out the part `index` of `job`, by its protocol."""

    job: Job
    index: int
    first_tries: FirstTries | None = None
    _context: SessionFacts = NOTHING_KNOWN
    _over: Over | None = None
    """Called with the end of the first try, where that was begun without a task."""

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
        if isinstance(context, SessionFacts):
            self._context = context
            return False
        if isinstance(context, Ended):
            job.end_as_before(context.outcome)
        else:
            job.part_done(index, context)
        return True

    def begin(self, over: Over) -> bool:
        """See Ticket. Most parts end with the answer to their first try."""
        work, part = self.job.work, self.job.work.parts[self.index]
        first = self.first_tries
        if first is None or self.was_in_flight is not None or self.options.effects or not first.may_leave():
            return False
        if not begins_at_once(work, part, self._context):
            return False
        self._over, self.first = over, self.own_attempt(part.request)
        first.send(self.first, self._ended)
        return True

    def _ended(self, ended: Answer | Exception | None) -> None:
        attempt, over = self.first, self._over
        if attempt is None or over is None:
            raise RuntimeError("a first try ended that was not begun")
        if not isinstance(ended, Answer):
            over(self, ended or False)
            return
        self.first = None  # they refer to each other: only the garbage collector would free them
        outcome = Outcome(
            END_APPLIED, operation=self.operation, status=ended.status, attempts=attempt.tries,
            first_sent=attempt.first_sent, generation=attempt.generation,
        )  # fmt: skip
        try:
            self.job.part_done(self.index, outcome)
        except Exception as error:
            over(self, error)
        else:
            over(self, True)

    async def run(self) -> None:
        """Carry out the part and pass its outcome to the job. Raises StopRun."""
        work = self.job.work
        self.job.part_done(self.index, await carry_out(self, work, work.parts[self.index], self._context))


def part_sender(
    sender: Sender, job: Job, index: int, keys: tuple[Key, ...], first_tries: FirstTries | None = None
) -> PartSender:
    """The sender of the part `index` of `job`, which holds `keys`. It begins with `first_tries`, where it can."""
    work, operation = job.work, job.work.parts[index].request.operation
    return PartSender(
        job.number, keys, operation, work.kind, work.id,
        sender=sender, options=job.options, identities=[work.identity], step=f"{index}:{operation}",
        observer=job.observer, parts=[(job.number, index)], was_in_flight=job.in_flight.get(index),
        job=job, index=index, first_tries=first_tries,
    )  # fmt: skip
