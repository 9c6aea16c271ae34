"""What is to be done for one record: the unit that is ordered, sent, journalled and accounted for."""

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

import msgspec

from beam_talonone.schemas.records import Record, rank
from beam_talonone.schemas.request import Request
from beam_talonone.schemas.types import micros
from beam_talonone.talonone.requests.identity import digest, identity

T = TypeVar("T")

Protocol = Literal["order", "return", "plain", "pack", "read"]
Key = tuple[str, str]
"""("session" | "profile" | ..., id): what a request holds while it is pending or in flight."""


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request of a record and how it is carried out.

    `protocol`: "order" and "return" know session states, "pack" travels in a bulk with others, "plain" is just
    sent, "read" is a lookup. `entries` counts the entries of a bulk's list, and `first` says which one of the
    record's own list is its first. `holds` is what this part occupies where that is not all that its record does.
    """

    request: Request
    protocol: Protocol
    entries: int = 1
    first: int = 0
    holds: list[Key] | None = None


class Work(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A valid record, ready to be ordered and sent. (Tens of thousands may wait, in no cycle: looking through them
    for garbage would cost a tenth of the processor.)

    `sessions`, `profiles` and `others` (of what kind, which) are what it holds; `content` is a digest of what it
    would send, `identity` that of the record. `event_us` is in microseconds since 1970 (UTC), `status` an order's.
    """

    kind: str
    id: str
    identity: bytes
    content: bytes
    event_us: int
    rank: int
    version: int
    sessions: list[str]
    profiles: list[str]
    parts: list[Part]
    status: str = ""
    others: list[Key] = []
    given: bytes = b""
    """Of a lookup: what its line says of the input, a JSON object."""

    def keys(self) -> tuple[Key, ...]:
        """All that the record holds: its sessions, profiles and other objects."""
        # asked several times for each record: the plain loops take a third of the time of one expression
        keys = [("session", session) for session in self.sessions]
        if self.profiles:
            keys += [("profile", profile) for profile in self.profiles]
        if self.others:
            keys += self.others
        return tuple(keys)

    def keys_of(self, part: Part) -> tuple[Key, ...]:
        """What one of its parts holds."""
        return self.keys() if part.holds is None else tuple(part.holds)

    def order(self) -> tuple[int, int, int]:
        """Sorts records as the contract has it; the place in the input breaks what ties remain."""
        return (self.event_us, self.rank, self.version)

    def to_bytes(self) -> bytes:
        """The work as MessagePack, as the staging database and Beam store it."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Work":
        """The work that `to_bytes` wrote. Raises msgspec.DecodeError."""
        return _DECODER.decode(data)


_DECODER = msgspec.msgpack.Decoder(Work)


def work_of(
    kind: str,
    record_id: str,
    record: Record,
    parts: list[Part],
    sessions: list[str],
    profiles: list[str],
    content: Any,
    *,
    version: int = 0,
    status: str = "",
    others: list[Key] | None = None,
) -> Work:
    """The work for a record; its digest and its identity come of `content`, its time of the record's event time."""
    event_us, digested = micros(record.event_time), digest(content)
    return Work(
        kind, record_id, identity(kind, record_id, event_us, version, digested), digested, event_us,
        rank(kind, record), version, sessions, each_once(profiles), parts, status, others or [],
    )  # fmt: skip


def each_once(values: Iterable[T]) -> list[T]:
    """The values in their order, each only where it comes first."""
    return list(dict.fromkeys(values))
