"""Records that a stream has released but not sent. Only this process treats them as sent, not the next one."""

from beam_talonone.talonone.ordering.marks import Marks, change_that_set, marks_of
from beam_talonone.talonone.ordering.state_store import Order
from beam_talonone.talonone.requests.supersede import Change
from beam_talonone.talonone.requests.work import Key, Work
from beam_talonone.talonone.state.store import Store


class PendingOverlay:
    """A StateStore: `store`, and over it the records that were released and wait for their first request.

    For later records, a released record counts as sent. But an orderly stop gives it back, and then it must not make
    other records late that come back with it. So it is noted in the store only when its first request is sent.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._marks: dict[bytes, Marks] = {}
        self._by_key: dict[Key, dict[bytes, Marks]] = {}

    def recall(self, work: Work) -> tuple[bytes | None, Order | None]:
        """See StateStore. A released record counts as sent."""
        content, last = self.store.recall(work)
        orders = [marks.order for key in work.keys() for marks in self._by_key.get(key, {}).values()]  # noqa: SIM118
        return content, max(orders if last is None else [last, *orders], default=None)

    def ended(self, work: Work, now: float) -> None:
        """See StateStore. The store notes the end at once, as an ended record is never given back."""
        self.store.ended(work, now)

    def last_order(self, session: str) -> Order | None:
        """See StateStore. A released version counts as sent."""
        return self.last_of(("order", session))

    def last_of(self, key: Key) -> Order | None:
        """The sort key of the latest record under `key` that was sent or released; None without one."""
        sent, waiting = self.store.last_of(key), self._by_key.get(key)
        if not waiting:
            return sent
        latest = max(marks.order for marks in waiting.values())
        return latest if sent is None else max(sent, latest)

    def newer_changes(self, customer: str, than: Order) -> list[Change]:
        """See StateStore. Released changes come after those that were sent."""
        waiting = self._by_key.get(("profile", customer), {}).values()
        newer = [change_that_set(marks.changes) for marks in waiting if marks.changes and marks.order > than]
        return [*self.store.newer_changes(customer, than), *newer]

    def sent(self, work: Work, now: float) -> None:
        """Note a record that is released. A return is noted in the store, as it has been applied."""
        if work.kind == "returns":
            self.store.sent(work, now)
            return
        marks = self._marks[work.identity] = marks_of(work)
        for key in marks.sent:
            self._by_key.setdefault(key, {})[work.identity] = marks

    def left(self, identity: bytes, now: float) -> Marks | None:
        """Move the marks of a record to the store: its first request is sent, or it has ended without one.

        Returns the marks, or None if there are none or the store has them already. `now` is in seconds since 1970.
        """
        marks = self.dropped(identity)
        if marks is not None:
            self.store.note(marks, now)
        return marks

    def dropped(self, identity: bytes) -> Marks | None:
        """Drop the marks of a record that will not be sent. Returns them, or None."""
        marks = self._marks.pop(identity, None)
        for key in marks.sent if marks is not None else ():
            waiting = self._by_key[key]
            waiting.pop(identity, None)
            if not waiting:
                del self._by_key[key]
        return marks
