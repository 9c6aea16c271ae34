"""Sends one sealed bulk, and finds the outcome of each member if the bulk is refused."""

from itertools import groupby

import msgspec

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.attempt import RequestAttempt
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.engine.bulk import Entry, bulk_request, isolate, merged, pointed_entries
from beam_talonone.talonone.engine.job import Job, end_together
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.requests.outcome import applied, refused, response_of
from beam_talonone.talonone.requests.work import Key, Part

Member = tuple[Job, int]
"""A job, and the index of its part that travels."""


class BulkSender(RequestSender, eq=False, kw_only=True):
    """Sends a sealed bulk whole, and takes it apart when it is refused."""

    entries: list[Entry[Member]]
    _tries: list[int] = []
    """Tries of each entry so far."""

    def __post_init__(self) -> None:
        self._tries = [0] * len(self.entries)

    def own_attempt(self, request: Request) -> RequestAttempt:
        """As in RequestSender, under the key that the options give to bulks."""
        attempt = super().own_attempt(request)
        attempt.generation = self._first_generation
        return attempt

    @property
    def _first_generation(self) -> int:
        """Only a bulk that sets the same values again may act again."""
        return self.options.bulk_generation if OPERATIONS[self.operation].harmless else 0

    def _step_name(self, name: str) -> str:
        return f"{name}#{self._first_generation}" if self._first_generation else name

    async def run(self) -> None:
        """Send the bulk and pass an outcome to the job of each member. Raises StopRun."""
        row = OPERATIONS[self.operation]
        field_name = "" if row.bulk is None else row.bulk.field

        def pointed(answer: Answer, numbers: list[int]) -> list[int]:
            return pointed_entries(field_name, answer, {number: self.entries[number].size for number in numbers})

        # all entries share the object that the path names: if it does not exist, no entry is to blame
        whole = (404,) if row.path else ()
        answers = await isolate(len(self.entries), self._send_entries, pointed, self._try_some, whole=whole)
        for (_, tries), alike in groupby(
            range(len(answers)), lambda number: (id(answers[number]), self._tries[number])
        ):
            numbers = list(alike)
            answer = answers[numbers[0]]
            if answer.ok:
                self._end_applied(
                    [member for number in numbers for member in self.entries[number].members], answer, tries
                )
                continue
            for number in numbers:
                await self._end_refused(number, answer)

    async def _end_refused(self, number: int, answer: Answer) -> None:
        entry = self.entries[number]
        if answer.verdict is Verdict.STOP:
            answer = await self.resolve_refusal(*self._part_of([number]), answer)
            self._tries[number] += answer.tries
        if answer.ok or len(entry.members) == 1:
            self._end(entry.members, answer, self._tries[number])
        else:
            await self._one_by_one(entry, self._tries[number])

    async def _send_entries(self, numbers: list[int]) -> Answer:
        if len(numbers) == len(self.entries):
            answer = await self.send(self._request_of(self.entries), takes_refusal=len(numbers) > 1)
        else:
            answer = await self.try_step(*self._part_of(numbers))
        for number in numbers:
            self._tries[number] += answer.tries
        return answer

    async def _try_some(self, numbers: list[int]) -> tuple[int, Answer]:
        place, answer, tries = await self.try_some([self._part_of([number]) for number in numbers])
        for number, more in zip(numbers, tries, strict=True):
            self._tries[number] += more
        return numbers[place], answer

    def _part_of(self, numbers: list[int]) -> tuple[Request, str, list[bytes]]:
        """The entries of these numbers as one request, the name of its step, and whose records travel in it."""
        entries = [self.entries[number] for number in numbers]
        members = [member for entry in entries for member in entry.members]
        return self._request_of(entries), self._step_name("part"), _identities(members)

    @staticmethod
    def _request_of(entries: list[Entry[Member]]) -> Request:
        # most entries hold one record: for them no function is called
        parts = (entry.requests for entry in entries)
        return bulk_request([requests[0] if len(requests) == 1 else merged(requests) for requests in parts])

    async def _one_by_one(self, entry: Entry[Member], tries: int) -> None:
        """A merged entry was refused: its changes go apart, in order, so that only the bad one is lost."""
        for member, request in zip(entry.members, entry.requests, strict=True):
            answer = await self._alone(request, member)
            self._end([member], answer, tries + answer.tries)

    async def _alone(self, request: Request, member: Member) -> Answer:
        return await self.send_step(request, self._step_name("alone"), _identities([member]))

    def _end_applied(self, members: list[Member], answer: Answer, tries: int) -> None:
        """End members that were applied together: a bulk has up to a thousand of one request each."""
        outcome = applied(self.operation, answer, tries, effects=self.options.effects)
        alike = []
        for job, index in members:
            if self.options.effects and job.work.kind == "calls":
                job.part_done(index, msgspec.structs.replace(outcome, response=response_of(answer)))
            elif job.on_outcomes is None or len(job.work.parts) > 1:
                job.part_done(index, outcome)
            else:
                alike.append(job)
        end_together(alike, outcome)

    def _end(self, members: list[Member], answer: Answer, tries: int) -> None:
        if answer.ok:
            self._end_applied(members, answer, tries)
            return
        for job, index in members:
            if answer.verdict is Verdict.UNKNOWN:
                outcome = refused(self.operation, answer, tries, Reason.OUTCOME_UNKNOWN)
            else:
                outcome = refused(self.operation, answer, tries)
            job.part_done(index, outcome)


def bulk_sender(
    sender: Sender, entries: list[Entry[Member]], keys: tuple[Key, ...], before: InFlight | None
) -> BulkSender:
    """Return the sender of a sealed bulk, whose entries hold `keys`.

    `before` is set if the bulk was in flight when an earlier run died.
    """
    members = [member for entry in entries for member in entry.members]
    first, operation = members[0][0], part_of(members[0]).request.operation
    parts = [(job.number, index) for job, index in members]
    return BulkSender(
        min(parts)[0], keys, operation,
        first.work.kind, first.work.id if len(members) == 1 else None, len(members),
        sender=sender, options=first.options, identities=_identities(members), step=f"bulk:{operation}",
        observer=first.observer, parts=parts, bulk=True,
        was_in_flight=before, entries=entries,
    )  # fmt: skip


def part_of(member: Member) -> Part:
    """The part that travels in a bulk as `member`."""
    job, index = member
    return job.work.parts[index]


def _identities(members: list[Member]) -> list[bytes]:
    return [job.work.identity for job, _ in members]
