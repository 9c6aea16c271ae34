"""The messages that are held of a subscription, and the times at which their leases are due. Clocks are passed in."""

from collections import deque
from dataclasses import dataclass, field
from math import inf

AGAIN = 1.0
"""Seconds between a failed extension and the next try."""


@dataclass
class Leases:
    """The leases of one subscription. Times are in seconds, by the clock of the caller.

    An extension makes a lease `length` long. A lease is extended when half of it has passed, so that a slow round
    does not lose it. Pub/Sub chooses the length of the first lease, which is extended after `first`. A message is
    held for `most` at most.

    >>> leases = Leases(length=10.0)
    >>> leases.hold("ack-1", size=300, now=100.0)
    >>> leases.to_extend(now=105.0)
    ['ack-1']
    """

    length: float
    first: float | None = None
    """None for half of the length."""
    most: float = inf
    bytes: int = 0
    """The sum of all messages that are held."""
    _held: dict[str, tuple[int, bool, float]] = field(default_factory=dict)
    """Ack id -> size, whether it has an ordering key, and the time of the pull; the oldest first."""
    _due: deque[tuple[float, str]] = field(default_factory=deque)
    _again: deque[tuple[float, str]] = field(default_factory=deque)
    """The leases whose extension has failed."""
    _due_at: dict[str, float] = field(default_factory=dict)
    """Ack id -> the time of its next extension. Other entries of the id in the queues do not count."""

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, ack_id: str, size: int, now: float, *, ordered: bool = False) -> None:
        """Hold a message of `size` bytes that was pulled at `now`. `ordered` is True if it has an ordering key."""
        if ack_id in self._held:
            size_before, _, since = self._held[ack_id]
            self.bytes += size - size_before
            self._held[ack_id] = size, ordered, since
            return
        self._held[ack_id] = size, ordered, now
        self.bytes += size
        self._plan(self._due, ack_id, now + (self.length / 2 if self.first is None else self.first))

    def end(self, ack_id: str) -> bool | None:
        """Hold a message no longer. Returns whether it has an ordering key, or None if it was not held."""
        held = self._held.pop(ack_id, None)
        if held is None:
            return None
        size, ordered, _ = held
        self.bytes -= size
        self._due_at.pop(ack_id, None)
        return ordered

    def to_extend(self, now: float) -> list[str]:
        """The ack ids whose leases are due. They count as extended from now on; see `not_extended`."""
        due_ids = []
        for queue in (self._again, self._due):
            while queue and queue[0][0] <= now:
                due, ack_id = queue.popleft()
                if self._due_at.get(ack_id) == due:
                    del self._due_at[ack_id]
                    due_ids.append(ack_id)
        for ack_id in due_ids:
            self._plan(self._due, ack_id, now + self.length / 2)
        return due_ids

    def not_extended(self, ack_ids: list[str], now: float) -> None:
        """Note that the extension of these leases has failed: they are due again after AGAIN."""
        for ack_id in ack_ids:
            if ack_id in self._held:
                self._plan(self._again, ack_id, now + AGAIN)

    def _plan(self, queue: deque[tuple[float, str]], ack_id: str, due: float) -> None:
        self._due_at[ack_id] = due
        queue.append((due, ack_id))

    def overdue(self, now: float) -> list[str]:
        """The ack ids of the messages that were held for longer than `most`."""
        overdue = []
        for ack_id, (_, _, since) in self._held.items():
            if since + self.most > now:
                break
            overdue.append(ack_id)
        return overdue

    def all(self) -> list[str]:
        """The ack ids of all messages that are held, the oldest first."""
        return list(self._held)
