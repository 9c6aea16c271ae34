"""From jobs in order to tickets: bulks are packed on the way, and no customer's order is broken by it."""

import msgspec

from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason, Skip
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.dispatcher import Dispatcher, Ticket
from beam_talonone.talonone.delivery.request_sender import InFlight, RequestSender
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.engine.bulk import (
    Entry,
    Pack,
    Variant,
    bulk_request,
    isolate,
    merged,
    pointed_entries,
    variant_of,
)
from beam_talonone.talonone.engine.job import Ended, Job
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.protocols.carry_out import carry_out
from beam_talonone.talonone.protocols.known import Known
from beam_talonone.talonone.requests.outcome import Outcome, applied, combined, refused, response_of, skipped
from beam_talonone.talonone.requests.work import Key, Part

Member = tuple[Job, int]

MOST_OPEN = 100
"""Open bulks: reservations of many coupons, a few each, must not wait for ever."""


class Intake:
    """Takes jobs in the order of their records and submits tickets."""

    def __init__(self, dispatcher: Dispatcher, sender: Sender) -> None:
        self._dispatcher = dispatcher
        self._sender = sender
        self._packs: dict[Variant, Pack[Member]] = {}

    def accept(self, job: Job) -> None:
        if not job.missing:
            job.end(combined([job.parts[index] for index in sorted(job.parts)]))
        self._take_in(job, job.missing)

    def _take_in(self, job: Job, parts: list[int]) -> None:
        for index in parts:
            part = job.work.parts[index]
            if part.protocol == "pack":
                self._pack(job, index, part)
            else:
                self._single(job, index, part)

    def accept_pack(self, members: list[Member], before: InFlight) -> None:
        """Take a bulk that was in flight when a run died: it goes again as it was. What else its records are made of
        goes after it."""
        pack: Pack[Member] = Pack(_part(members[0]).request.operation)
        for member in members:
            self._enter(pack, member)
        self._submit_pack(pack.entries, before)
        for job, index in members:
            self._take_in(job, [other for other in job.missing if other != index])

    def flush(self) -> None:
        """Seal and submit every open bulk."""
        for variant in sorted(self._packs, key=lambda variant: self._packs[variant].rank):
            self._seal(variant)

    def _single(self, job: Job, index: int, part: Part) -> None:
        held = job.work.keys_of(part)
        if any(pack.holds(held) for pack in self._packs.values()):
            self.flush()

        known = Known()

        def nothing_to_send() -> bool:
            nonlocal known
            if job.over:
                return True
            if job.broken_before(index):
                job.part_done(index, skipped(Skip.PART_BEFORE_REFUSED, part.request.operation))
                return True
            looked = job.look(job)
            if isinstance(looked, Ended):
                job.end_as_before(looked.outcome)
                return True
            if isinstance(looked, Outcome):
                job.part_done(index, looked)
                return True
            known = looked
            return False

        async def run(ticket: Ticket) -> None:
            request_sender = RequestSender(
                self._sender, ticket, [job.work.identity], f"{index}:{part.request.operation}", job.options,
                job.observer, [(job.number, index)], was_in_flight=job.in_flight.get(index),
            )  # fmt: skip
            job.part_done(index, await carry_out(request_sender, job.work, part, known))

        operation, work = part.request.operation, job.work
        self._dispatcher.submit(Ticket(job.number, held, run, nothing_to_send, operation, work.kind, work.id))

    def _pack(self, job: Job, index: int, part: Part) -> None:
        variant, held = variant_of(part.request), job.work.keys_of(part)
        pack = self._packs.get(variant) or Pack(part.request.operation)
        if self._goes_after(pack, held) or (pack.holds(held, customers_only=True) and not pack.merges):
            self.flush()
        elif not (pack.room_for(part.entries, part.request) or (pack.merges and pack.holds(held))):
            self._seal_through(variant)
        elif variant not in self._packs and len(self._packs) >= MOST_OPEN:
            self.flush()
        if variant not in self._packs:
            self._packs[variant] = pack = Pack(part.request.operation)
        self._enter(pack, (job, index))
        if pack.size >= pack.limit:
            self._seal_through(variant)

    def _goes_after(self, pack: Pack[Member], held: tuple[Key, ...]) -> bool:
        """True when something of what is `held` travels in another open bulk that would not leave before `pack`."""
        return any(
            other is not pack and other.rank >= pack.rank and other.holds(held) for other in self._packs.values()
        )

    def _enter(self, pack: Pack[Member], member: Member) -> None:
        part = _part(member)
        pack.add(member, part.request, part.entries, member[0].work.keys_of(part))

    def _seal_through(self, variant: Variant) -> None:
        """Submit a bulk, and before it those that must not come after it."""
        rank = self._packs[variant].rank
        for other in [other for other, pack in self._packs.items() if pack.rank < rank]:
            self._seal(other)
        self._seal(variant)

    def _seal(self, variant: Variant) -> None:
        pack = self._packs.pop(variant)
        self._submit_pack(pack.entries, None)

    def _submit_pack(self, entries: list[Entry[Member]], before: InFlight | None) -> None:
        members = [member for entry in entries for member in entry.members]
        keys: dict[Key, None] = {}
        for member in members:
            keys.update(dict.fromkeys(member[0].work.keys_of(_part(member))))

        async def run(ticket: Ticket) -> None:
            await Bulk(self._sender, ticket, entries, before).carry_out()

        oldest = min(job.number for job, _ in members)
        operation = _part(members[0]).request.operation
        kind, alone = members[0][0].work.kind, members[0][0].work.id if len(members) == 1 else None
        self._dispatcher.submit(
            Ticket(oldest, tuple(keys), run, operation=operation, kind=kind, record=alone, records=len(members))
        )


class Bulk:
    """One sealed bulk on its way: sent whole, taken apart when it is refused."""

    def __init__(self, sender: Sender, ticket: Ticket, entries: list[Entry[Member]], before: InFlight | None) -> None:
        self._entries = entries
        self._members = [member for entry in entries for member in entry.members]
        self._tries = [0] * len(entries)
        first = self._members[0][0]
        self._operation = _part(self._members[0]).request.operation
        self._effects = first.options.effects
        listed = [(job.number, index) for job, index in self._members]
        self._request_sender = RequestSender(
            sender, ticket, _identities(self._members), f"bulk:{self._operation}", first.options,
            first.observer, listed, bulk=True, was_in_flight=before,
        )  # fmt: skip

    async def carry_out(self) -> None:
        row = OPERATIONS[self._operation]
        field_name = "" if row.bulk is None else row.bulk.field

        def pointed(answer: Answer, numbers: list[int]) -> list[int]:
            return pointed_entries(field_name, answer, {number: self._entries[number].size for number in numbers})

        # what the path names all entries share: where it is not there, none of them is to blame
        whole = (404,) if row.path else ()
        answers = await isolate(len(self._entries), self._send, pointed, whole=whole)
        for number, (entry, refused_or_not) in enumerate(zip(self._entries, answers, strict=True)):
            answer = refused_or_not
            if answer.verdict is Verdict.STOP:
                answer = await self._request_sender.settle(*self._part_of([number]), answer)
                self._tries[number] += answer.tries
            if answer.ok or len(entry.members) == 1:
                self._tell(entry.members, answer, self._tries[number])
            else:
                await self._one_by_one(entry, self._tries[number])

    async def _send(self, numbers: list[int]) -> Answer:
        request, name, identities = self._part_of(numbers)
        if len(numbers) == len(self._entries):
            answer = await self._request_sender.send(request, takes_refusal=len(numbers) > 1)
        else:
            answer = await self._request_sender.try_step(request, name, identities)
        for number in numbers:
            self._tries[number] += answer.tries
        return answer

    def _part_of(self, numbers: list[int]) -> tuple[Request, str, list[bytes]]:
        """The entries of these numbers as one request, the name of its step, and whose records travel in it."""
        entries = [self._entries[number] for number in numbers]
        members = [member for entry in entries for member in entry.members]
        return bulk_request([merged(entry.requests) for entry in entries]), "part", _identities(members)

    async def _one_by_one(self, entry: Entry[Member], tries: int) -> None:
        """A merged entry was refused: its changes go apart, in order, so that only the bad one is lost."""
        for member, request in zip(entry.members, entry.requests, strict=True):
            answer = await self._alone(request, member)
            self._tell([member], answer, tries + answer.tries)

    async def _alone(self, request: Request, member: Member) -> Answer:
        return await self._request_sender.send_step(request, "alone", _identities([member]))

    def _tell(self, members: list[Member], answer: Answer, tries: int) -> None:
        for job, index in members:
            if answer.ok:
                outcome = applied(self._operation, answer, tries, effects=self._effects)
                if self._effects and job.work.kind == "calls":
                    outcome = msgspec.structs.replace(outcome, response=response_of(answer))
            elif answer.verdict is Verdict.UNKNOWN:
                outcome = refused(self._operation, answer, tries, Reason.OUTCOME_UNKNOWN)
            else:
                outcome = refused(self._operation, answer, tries)
            job.part_done(index, outcome)


def _part(member: Member) -> Part:
    job, index = member
    return job.work.parts[index]


def _identities(members: list[Member]) -> list[bytes]:
    return [job.work.identity for job, _ in members]
