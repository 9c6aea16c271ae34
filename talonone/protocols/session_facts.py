"""The facts of a record's session that decide what is sent for the record."""

from dataclasses import dataclass, field
from typing import Any

from beam_talonone.talonone.compare.repeated_returns import Repeat


@dataclass(frozen=True)
class SessionFacts:
    """The changes that this job has made to a session so far.

    `session_sent`: the job applied an earlier version of the order. `session_closed`: that version closed it.
    `order_dead`: the order's record is a dead letter, and no version was applied. `returned`: the items that the job
    returned earlier. `repeat`: set if the API had the order before, for example because an export is sent again. The
    API may then have the returns too.
    """

    session_sent: bool = False
    session_closed: bool = False
    order_dead: bool = False
    returned: list[dict[str, Any]] = field(default_factory=list)
    repeat: Repeat | None = None


NOTHING_KNOWN = SessionFacts()
"""The facts of nearly all sessions: one object for all of them."""
