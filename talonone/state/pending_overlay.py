"""What a process of a stream has let go and has not sent: remembered while it lives, and by nobody after it."""

from beam_talonone.talonone.ordering.sequencer import Order
from beam_talonone.talonone.requests.supersede import Change
from beam_talonone.talonone.requests.work import Key, Work
from beam_talonone.talonone.state.store import Marks, Store, change_that_set, marks_of


class PendingOverlay:
    """A StateStore: that of `store`, and over it what has its turn and waits for its request to leave.

    To those that come after it, such a record is as good as sent. But a stop in order gives it back, and then it must
    not make anything late that comes back with it: so it is noted in the store when its first request leaves.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._marks: dict[bytes, Marks] = {}
        self._by_key: dict[Key, dict[bytes, Marks]] = {}

    def recall(self, work: Work) -> tuple[bytes | None, Order | None]:
        """See StateStore. A record whose turn has come counts as sent."""
        content, last = self.store.recall(work)
        orders = [marks.order for key in work.keys() for marks in self._by_key.get(key, {}).values()]  # noqa: SIM118
        return content, max(orders if last is None else [last, *orders], default=None)

    def ended(self, work: Work, now: float) -> None:
        """See StateStore. Noted in the store at once, as the end of a record is never given back."""
        self.store.ended(work, now)

    def last_order(self, session: str) -> Order | None:
        """See StateStore. A version whose turn has come counts as sent."""
        return self.last_of(("order", session))

    def last_of(self, key: Key) -> Order | None:
        """The latest record of a session, customer or order that was sent or has its turn; None without one."""
        sent, waiting = self.store.last_of(key), self._by_key.get(key)
        if not waiting:
            return sent
        latest = max(marks.order for marks in waiting.values())
        return latest if sent is None else max(sent, latest)

    def newer_changes(self, customer: str, than: Order) -> list[Change]:
        """See StateStore. Changes whose turn has come stand behind those that were sent."""
        waiting = self._by_key.get(("profile", customer), {}).values()
        newer = [change_that_set(marks.changes) for marks in waiting if marks.changes and marks.order > than]
        return [*self.store.newer_changes(customer, than), *newer]

    def sent(self, work: Work, now: float) -> None:
        """A record has its turn; a return has ended."""
        if work.kind == "returns":
            self.store.sent(work, now)
            return
        marks = self._marks[work.identity] = marks_of(work)
        for key in marks.sent:
            self._by_key.setdefault(key, {})[work.identity] = marks

    def left(self, identity: bytes, now: float) -> Marks | None:
        """The first request of a record leaves, or it has ended without one: what was noted of it; None when it was
        before, or when there is nothing to be noted."""
        marks = self.dropped(identity)
        if marks is not None:
            self.store.note(marks, now)
        return marks

    def dropped(self, identity: bytes) -> Marks | None:
        """A record will not leave."""
        marks = self._marks.pop(identity, None)
        for key in marks.sent if marks is not None else ():
            waiting = self._by_key[key]
            waiting.pop(identity, None)
            if not waiting:
                del self._by_key[key]
        return marks
