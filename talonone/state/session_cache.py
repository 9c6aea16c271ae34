"""Remembers the sessions that a job has sent, for later records of the same sessions."""

import threading
from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from typing import Any

from beam_talonone.talonone.compare.repeated_returns import Repeat
from beam_talonone.talonone.protocols.session_facts import NOTHING_KNOWN, SessionFacts
from beam_talonone.talonone.requests.outcome import DONE, END_APPLIED, End, Outcome
from beam_talonone.talonone.requests.work import Work

_SENT, _CLOSED, _DEAD, _REPEATED = 1, 2, 4, 8

MOST = 100_000
"""Sessions of a generation: at least the last MOST sessions are remembered, at most twice as many."""


@dataclass
class _Sessions:
    flags: dict[str, int] = field(default_factory=dict)
    returned: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    repeats: dict[str, Repeat] = field(default_factory=dict)


class SessionMemory:
    """Per session: whether the job applied, closed or dead-lettered the order, whether the API had it before, and the
    items that the job returned.

    Two generations: when the younger is full, the older is forgotten, so that a long run does not grow without end.
    A forgotten session costs a read-back.
    """

    def __init__(self, most: int = MOST) -> None:
        self._lock = threading.Lock()  # read by the sending thread, seeded by the one that reads the input
        self._most = most
        self.forget()

    def note(self, work: Work, outcome: Outcome) -> None:
        """Remember the outcome of an order or a return."""
        if work.kind == "orders":
            self.note_order(work.id, work.status, outcome.end)
        elif work.kind == "returns" and outcome.end in DONE:
            self.note_return(work.sessions[0], returned_items(work))

    def note_order(self, session: str, status: str, end: End) -> None:
        """Remember how a version of an order ended, with the `status` that it sent to the session."""
        if end in DONE:
            flag = _SENT | (_CLOSED if status == "completed" else 0)
            flag |= 0 if end is END_APPLIED else _REPEATED
        else:
            flag = _DEAD if end is End.DEAD else 0
        with self._lock:
            self._young.flags[session] = self._flags(session) | flag
            self._age(self._young.flags)

    def note_return(self, session: str, items: Iterable[dict[str, Any]]) -> None:
        """Remember items of a return that was applied, as its request names them (`returned_items`)."""
        with self._lock:
            self._young.returned[session] = [*self._returned(session), *items]
            self._age(self._young.returned)

    def forget_returns(self, session: str) -> None:
        """Forget the items that were returned of a session, which `note_return` then names again."""
        with self._lock:
            self._young.returned.pop(session, None)
            self._old.returned.pop(session, None)

    def note_repeated(self, session: str) -> None:
        """Remember that the API had the order before it was sent."""
        with self._lock:
            self._young.flags[session] = self._flags(session) | _REPEATED
            self._age(self._young.flags)

    def repeat(self, session: str) -> Repeat | None:
        """The Repeat of a session whose order the API had before it was sent; None for any other session."""
        with self._lock:
            if not self._flags(session) & _REPEATED:
                return None
            repeat = self._young.repeats.get(session) or self._old.repeats.get(session) or Repeat()
            self._young.repeats[session] = repeat
            self._age(self._young.repeats)
            return repeat

    def known(self, session: str) -> SessionFacts:
        """The facts of a session, for its returns and for later versions of its order."""
        with self._lock:
            young, old = self._young, self._old  # calls of _flags and _returned take a tenth longer
            flags = young.flags.get(session) or old.flags.get(session, 0)
            returned = young.returned.get(session) or old.returned.get(session, [])
        if not flags and not returned:
            return NOTHING_KNOWN
        return SessionFacts(
            session_sent=bool(flags & _SENT),
            session_closed=bool(flags & _CLOSED),
            order_dead=bool(flags & _DEAD) and not flags & _CLOSED,
            returned=returned,
        )

    def forget(self) -> None:
        """Forget all sessions, as when another job begins."""
        with self._lock:
            self._young, self._old = _Sessions(), _Sessions()

    def _flags(self, session: str) -> int:
        return self._young.flags.get(session) or self._old.flags.get(session, 0)

    def _returned(self, session: str) -> list[dict[str, Any]]:
        return self._young.returned.get(session) or self._old.returned.get(session, [])

    def _age(self, grown: Sized) -> None:
        if len(grown) > self._most:
            self._young, self._old = _Sessions(), self._young


def returned_items(work: Work) -> list[dict[str, Any]]:
    """The items of a return, as its request names them."""
    items: list[dict[str, Any]] = work.parts[0].request.body_json()["return"]["returnedCartItems"]
    return items
