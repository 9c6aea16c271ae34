"""What the job knows of earlier records when it carries out one of the same order."""

from dataclasses import dataclass, field
from typing import Any

from beam_talonone.talonone.compare.repeated_returns import Repeat


@dataclass(frozen=True)
class Known:
    """What the job knows about a record's session beyond the record itself.

    `session_sent`: an earlier version of the order was applied by this job, `session_closed`: one that closed it.
    `order_dead`: the order's record is a
    dead letter and none was applied. `returned`: items of the order that this job returned earlier. `repeat`: set
    where the API had the order before this job sent it, as in an export that is sent again: so may its returns be.
    """

    session_sent: bool = False
    session_closed: bool = False
    order_dead: bool = False
    returned: list[dict[str, Any]] = field(default_factory=list)
    repeat: Repeat | None = None
