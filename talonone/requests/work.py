"""The work for one record: the unit that is ordered, sent, journalled and counted.

The process that reads beside the one that sends imports this. Without models of records, it starts in a third of the
time.
"""

from typing import Literal

import msgspec

from beam_talonone.schemas.request import Request

Protocol = Literal["order", "return", "plain", "pack", "read"]
Key = tuple[str, str]
"""("session" | "profile" | ..., id): an object that a request holds while it is pending or in flight."""


class Part(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request of a record and how it is carried out.

    `protocol`: "order" and "return" depend on session states, "pack" travels in a bulk with others, "plain" is one
    request alone, "read" is a lookup. `entries` counts the entries of a bulk's list, and `first` is the index of its
    first entry in the list of the record. `holds` are the keys of this part, if they are not all keys of the record.
    """

    request: Request
    protocol: Protocol
    entries: int = 1
    first: int = 0
    holds: tuple[Key, ...] | None = None


class Work(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A valid record, ready to be ordered and sent.

    It holds `sessions`, `profiles` and `others` (kind, id). `content` is a digest of its requests, `identity` that
    of the record. `event_us` is in microseconds since 1970 (UTC). `status` is that of an order, else empty.

    Tens of thousands may wait at a time. They form no cycles, so the garbage collector does not track them (`gc`): it
    would cost a tenth of the processor. All empty tuples are one object, unlike lists.
    """

    kind: str
    id: str
    identity: bytes
    content: bytes
    event_us: int
    rank: int
    version: int
    sessions: tuple[str, ...]
    profiles: tuple[str, ...]
    parts: tuple[Part, ...]
    status: str = ""
    others: tuple[Key, ...] = ()
    given: bytes = b""
    """The fields about the input in the line of a lookup, a JSON object; empty for other kinds."""

    def keys(self) -> tuple[Key, ...]:
        """The keys that the record holds: its sessions, profiles and other objects."""
        # called several times for each record: the plain loops take a third of the time of one expression
        if len(self.profiles) == 1 and len(self.sessions) < 2 and not self.others:  # nearly all
            profile = ("profile", self.profiles[0])
            return (("session", self.sessions[0]), profile) if self.sessions else (profile,)
        keys = [("session", session) for session in self.sessions]
        if self.profiles:
            keys += [("profile", profile) for profile in self.profiles]
        if self.others:
            keys += self.others
        return tuple(keys)

    def keys_of(self, part: Part) -> tuple[Key, ...]:
        """The keys that one of its parts holds."""
        return self.keys() if part.holds is None else part.holds

    def order(self) -> tuple[int, int, int]:
        """The sort key of records: (event_us, rank, version). The position in the input breaks ties."""
        return (self.event_us, self.rank, self.version)

    def to_bytes(self) -> bytes:
        """The work as MessagePack, as the staging database and Beam store it."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Work":
        """The work that `to_bytes` wrote. Raises msgspec.DecodeError."""
        return _DECODER.decode(data)


_DECODER = msgspec.msgpack.Decoder(Work)
