"""The memory of a sequencer: the sort keys and ends of records that it has released."""

from typing import Protocol

from beam_talonone.talonone.requests.supersede import Change
from beam_talonone.talonone.requests.work import Work

Order = tuple[int, int, int]
"""(event time in microseconds, rank of the kind, version): the sort key of records."""


class StateStore(Protocol):
    """The memory of a sequencer. Entries outlive their records, and expire. `now` is in seconds of its clock."""

    def recall(self, work: Work) -> tuple[bytes | None, Order | None]:
        """Return (content, order), each None if there is none.

        The content is that of a record with the same identity that has ended. The order is that of the latest record
        that was sent and shares a session or customer with `work`.
        """

    def ended(self, work: Work, now: float) -> None:
        """Note that a record has ended: a repeat of it is a duplicate from now on."""

    def last_order(self, session: str) -> Order | None:
        """The sort key of the latest version of an order that was sent, or None."""

    def newer_changes(self, customer: str, than: Order) -> list[Change]:
        """Return the profile changes of a customer that are later than `than`."""

    def sent(self, work: Work, now: float) -> None:
        """Note that a record is sent next, or that a return was applied."""
