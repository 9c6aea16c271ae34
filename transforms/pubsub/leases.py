"""Which messages of a subscription are held, and when their leases are to be extended. Clocks are passed in."""

from collections import deque
from dataclasses import dataclass, field
from math import inf

AGAIN = 1.0
"""Seconds until an extension that failed is tried again."""


@dataclass
class Leases:
    """`length` is in seconds: what each extension asks for. A lease is extended when half of it has passed, so that a
    slow round does not lose it; the first one, which is as long as Pub/Sub chose, after `first` seconds. A message is
    held for `most` seconds at most."""

    length: float
    first: float | None = None
    """None: half of the length, too."""
    most: float = inf
    bytes: int = 0
    """Of all messages held."""
    _held: dict[str, tuple[int, bool, float]] = field(default_factory=dict)
    """Ack id -> size, whether it has an ordering key, and since when it is held; the oldest first."""
    _due: deque[tuple[float, str]] = field(default_factory=deque)
    _again: deque[tuple[float, str]] = field(default_factory=deque)
    """The same of those whose extension has failed."""
    _due_at: dict[str, float] = field(default_factory=dict)
    """Ack id -> when it is to be extended; what else stands in the queues of it does not count."""

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, ack_id: str, size: int, now: float, *, ordered: bool = False) -> None:
        """A message of `size` bytes was pulled at `now`."""
        if ack_id in self._held:
            known, _, since = self._held[ack_id]
            self.bytes += size - known
            self._held[ack_id] = size, ordered, since
            return
        self._held[ack_id] = size, ordered, now
        self.bytes += size
        self._plan(self._due, ack_id, now + (self.length / 2 if self.first is None else self.first))

    def end(self, ack_id: str) -> bool | None:
        """It is held no longer. Gives whether it has an ordering key, None when it was not held."""
        found = self._held.pop(ack_id, None)
        if found is None:
            return None
        self.bytes -= found[0]
        self._due_at.pop(ack_id, None)
        return found[1]

    def to_extend(self, now: float) -> list[str]:
        """The leases that are to be extended now; each is taken to be extended."""
        found = []
        for queue in (self._again, self._due):
            while queue and queue[0][0] <= now:
                due, ack_id = queue.popleft()
                if self._due_at.get(ack_id) == due:
                    del self._due_at[ack_id]
                    found.append(ack_id)
        for ack_id in found:
            self._plan(self._due, ack_id, now + self.length / 2)
        return found

    def not_extended(self, ack_ids: list[str], now: float) -> None:
        """Extending these has failed: they are due again in a second."""
        for ack_id in ack_ids:
            if ack_id in self._held:
                self._plan(self._again, ack_id, now + AGAIN)

    def _plan(self, queue: deque[tuple[float, str]], ack_id: str, due: float) -> None:
        self._due_at[ack_id] = due
        queue.append((due, ack_id))

    def overdue(self, now: float) -> list[str]:
        """What has been held for longer than it may be."""
        found = []
        for ack_id, (_, _, since) in self._held.items():
            if since + self.most > now:
                break
            found.append(ack_id)
        return found

    def all(self) -> list[str]:
        """All that is held, oldest first."""
        return list(self._held)
