"""What is to be done for one record: the unit that is ordered, sent, journalled and accounted for."""

from typing import Literal

import msgspec

from beam_talonone.schemas.request import Request

Protocol = Literal["order", "return", "plain", "pack"]
Key = tuple[str, str]
"""("session" | "profile", id): what a request holds while it is pending or in flight."""


class Part(msgspec.Struct, frozen=True, array_like=True):
    """One request of a record and how it is carried out.

    `protocol`: "order" and "return" know session states, "pack" travels in a bulk with others, "plain" is just
    sent. `entries` counts the entries of a pack's list.
    """

    request: Request
    protocol: Protocol
    entries: int = 1


class Work(msgspec.Struct, frozen=True, array_like=True):
    """A valid record, ready to be ordered and sent.

    `session` and `profiles` are the ids it holds; `content` is a digest of what it would send, `identity` that of
    the record. `event_us` is in microseconds since 1970 in UTC. `status` is an order's.
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

    def keys(self) -> tuple[Key, ...]:
        return (*(("session", s) for s in self.sessions), *(("profile", p) for p in self.profiles))

    def order(self) -> tuple[int, int, int]:
        """Sorts records as the contract has it; the place in the input breaks what ties remain."""
        return (self.event_us, self.rank, self.version)

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Work":
        return _DECODER.decode(data)


_DECODER = msgspec.msgpack.Decoder(Work)
