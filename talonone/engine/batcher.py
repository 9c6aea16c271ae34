"""From jobs in order to request senders: bulks are packed on the way, without breaking a customer's order."""

from beam_talonone.talonone.delivery.dispatcher import Dispatcher
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.delivery.sender import Sender
from beam_talonone.talonone.engine.bulk import Pack, Variant, variant_of
from beam_talonone.talonone.engine.bulk_sender import Member, bulk_sender, part_of
from beam_talonone.talonone.engine.first_tries import FirstTries
from beam_talonone.talonone.engine.job import Job
from beam_talonone.talonone.engine.part_sender import part_sender
from beam_talonone.talonone.requests.outcome import combined
from beam_talonone.talonone.requests.work import Key, Part

MOST_OPEN = 100
"""Open bulks: reservations of many coupons, a few each, must not wait for ever."""


class Batcher:
    """Takes jobs in the order of their records, packs bulks, and submits request senders to the dispatcher."""

    def __init__(self, dispatcher: Dispatcher, sender: Sender, first_tries: FirstTries | None = None) -> None:
        self._dispatcher = dispatcher
        self._first_tries = first_tries
        self._sender = sender
        self._packs: dict[Variant, Pack[Member]] = {}

    def accept(self, *jobs: Job) -> None:
        """Take in jobs: send the parts that have no outcome yet, or end a job where all of them have one."""
        for job in jobs:
            parts = job.work.parts
            if len(parts) == 1 and not job.parts:  # nearly all
                take_in = self._pack if parts[0].protocol == "pack" else self._single
                take_in(job, 0, parts[0])
                continue
            missing = job.missing
            if not missing:
                job.end(combined([job.parts[index] for index in sorted(job.parts)]))
            self._take_in(job, missing)

    def _take_in(self, job: Job, parts: list[int]) -> None:
        for index in parts:
            part = job.work.parts[index]
            if part.protocol == "pack":
                self._pack(job, index, part)
            else:
                self._single(job, index, part)

    def accept_pack(self, members: list[Member], before: InFlight) -> None:
        """Take a bulk that was in flight when a run died, and send it again unchanged.

        The other parts of its records are sent after it.
        """
        pack: Pack[Member] = Pack(part_of(members[0]).request.operation)
        for member in members:
            job, index = member
            part = job.work.parts[index]
            pack.add(member, part.request, part.entries, job.work.keys_of(part))
        self._submit_pack(pack, before)
        for job, index in members:
            self._take_in(job, [other for other in job.missing if other != index])

    def flush(self) -> None:
        """Seal and submit every open bulk."""
        for variant in sorted(self._packs, key=lambda variant: self._packs[variant].rank):
            self._seal(variant)

    def _single(self, job: Job, index: int, part: Part) -> None:
        held = job.work.keys_of(part)
        for pack in self._packs.values():
            if pack.holds(held):
                self.flush()
                break
        self._dispatcher.submit(part_sender(self._sender, job, index, held, self._first_tries))

    def _pack(self, job: Job, index: int, part: Part) -> None:
        variant, held = variant_of(part.request), job.work.keys_of(part)
        pack = self._packs.get(variant)
        if (
            pack is None or len(self._packs) > 1 or pack.holds(held) or not pack.room_for(part.entries, part.request)
        ):  # else nothing is in the way, as for most
            pack = self._pack_for(variant, part, held)
        pack.add((job, index), part.request, part.entries, held)
        if pack.size >= pack.limit:
            self._seal_through(variant)

    def _pack_for(self, variant: Variant, part: Part, held: tuple[Key, ...]) -> Pack[Member]:
        """The open bulk that `part` joins, once those that it must not overtake are sealed."""
        pack = self._packs.get(variant) or Pack(part.request.operation)
        if self._goes_after(pack, held) or (pack.holds(held, customers_only=True) and not pack.merges):
            self.flush()
        elif not (pack.room_for(part.entries, part.request) or (pack.merges and pack.holds(held))):
            self._seal_through(variant)
        elif variant not in self._packs and len(self._packs) >= MOST_OPEN:
            self.flush()
        if variant not in self._packs:
            self._packs[variant] = Pack(part.request.operation)
        return self._packs[variant]

    def _goes_after(self, pack: Pack[Member], held: tuple[Key, ...]) -> bool:
        """Whether another open bulk, which would not leave before `pack`, holds one of the keys `held`."""
        for other in self._packs.values():  # called for each record: mostly there is one bulk
            if other is not pack and other.rank >= pack.rank and other.holds(held):
                return True
        return False

    def _seal_through(self, variant: Variant) -> None:
        """Submit a bulk, and before it the bulks that must not leave after it."""
        rank = self._packs[variant].rank
        for other in [other for other, pack in self._packs.items() if pack.rank < rank]:
            self._seal(other)
        self._seal(variant)

    def _seal(self, variant: Variant) -> None:
        self._submit_pack(self._packs.pop(variant), None)

    def _submit_pack(self, pack: Pack[Member], before: InFlight | None) -> None:
        self._dispatcher.submit(bulk_sender(self._sender, pack.entries, tuple(pack.held), before))
