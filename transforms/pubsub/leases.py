"""Which messages of a subscription are held, and when their leases are to be extended. Clocks are passed in."""

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Leases:
    """`length` is in seconds: what each extension asks for. A lease is extended when half of it has passed, so that a
    slow round does not lose it; the first one, which is as long as Pub/Sub chose, after `first` seconds."""

    length: float
    first: float | None = None
    """None: half of the length, too."""
    bytes: int = 0
    """Of all messages held."""
    _held: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """Ack id -> size, and whether it has an ordering key."""
    _due: deque[tuple[float, str]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, ack_id: str, size: int, now: float, *, ordered: bool = False) -> None:
        """A message of `size` bytes was pulled at `now`."""
        if ack_id in self._held:
            self.bytes += size - self._held[ack_id][0]
            self._held[ack_id] = size, ordered
            return
        self._held[ack_id] = size, ordered
        self.bytes += size
        self._due.append((now + (self.length / 2 if self.first is None else self.first), ack_id))

    def end(self, ack_id: str) -> bool | None:
        """It is held no longer. Gives whether it has an ordering key, None when it was not held."""
        found = self._held.pop(ack_id, None)
        if found is None:
            return None
        self.bytes -= found[0]
        return found[1]

    def to_extend(self, now: float) -> list[str]:
        """The leases that are to be extended now; each is taken to be extended."""
        found = []
        while self._due and self._due[0][0] <= now:
            _, ack_id = self._due.popleft()
            if ack_id in self._held:
                found.append(ack_id)
        self._due.extend((now + self.length / 2, ack_id) for ack_id in found)
        return found

    def all(self) -> list[str]:
        """All that is held, oldest first."""
        return list(self._held)
