"""How the requests of a record are sent, and what is known of those that an earlier run has sent."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class InFlight:
    """What the journal knows of a part that was in flight when an earlier run died.

    `generation` is that of its last key, `first_sent` is in seconds since 1970.
    """

    generation: int
    first_sent: float


class Lines(Protocol):
    """Takes the line of a lookup in pieces, and says where it lies, if that is of use to anybody."""

    async def put(self, pieces: Iterator[bytes]) -> tuple[int, int] | None:
        """Take the pieces of one line; returns its offset and length in bytes, where it lies in a file."""


@dataclass(frozen=True)
class SendOptions:
    """What changes how a record is carried out.

    `dry`: keys of their own, and nothing is expected to change. `attempt`: name of a replay after a definite
    refusal. `edit_closed`: "reopen" edits sessions that are closed. `effects`: outcomes carry effects.
    `bulk_generation`: that of the first key of a bulk that may act again, where a lost run may have sent its records
    in other bulks. Under the keys of that run, the older of two changes could act again, and the newer could not.
    """

    dry: bool = False
    attempt: str = ""
    edit_closed: str | None = None
    effects: bool = False
    look_first: bool = False
    """Returns are sent when their order is known to be closed, and are premature before that."""
    bulk_generation: int = 0
    lines: Lines | None = None
    """Where lookups put what they read."""
