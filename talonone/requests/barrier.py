"""Which outcomes must be safe before a later record leaves, as a repetition would undo what that record does."""

from collections.abc import Iterable

from beam_talonone.talonone.requests.work import Work

TAKES_AWAY = frozenset(
    {"delete_customer_data", "delete_loyalty_transactions_from_ledgers", "activate_loyalty_points"}
)
"""Operations without a key that also act on what later requests have done. Those have keys, and do not act again."""


def may_undo(work: Work) -> bool:
    """Whether `work`, sent again, might undo what later records of its customer or session have done.

    An erasure would erase it, as an erasure has no key. A cancellation that had nothing to cancel would find their
    session. They themselves have keys, so they would not act again.
    """
    if work.kind == "orders":
        return work.status == "cancelled"
    if work.kind == "events":
        return False
    for part in work.parts:  # noqa: SIM110 - for each profile of a bulk, and `any` takes twice as long
        if part.request.operation in TAKES_AWAY:
            return True
    return False


class Barrier:
    """The customers and sessions whose later records wait until the outcomes so far are safe: see `may_undo`."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def holds_back(self, work: Work) -> bool:
        """Whether `work` must not leave before the outcomes so far are safe. Call `clear` once they are."""
        names = self._names  # nearly always empty, and asked for each record
        return bool(names) and not (names.isdisjoint(work.profiles) and names.isdisjoint(work.sessions))

    def passed(self, work: Work) -> None:
        """Note that `work` leaves."""
        if may_undo(work):
            self._names.update(work.sessions)
            if work.kind != "orders":
                self._names.update(work.profiles)

    def clear(self) -> None:
        """Note that the outcomes so far are safe."""
        self._names.clear()


def before_barrier(works: Iterable[Work]) -> int:
    """How many of these records, which leave in this order, may leave before an outcome is safe."""
    barrier, count = Barrier(), 0
    for work in works:
        if barrier.holds_back(work):
            break
        barrier.passed(work)
        count += 1
    return count
