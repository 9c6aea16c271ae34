"""Which record each request that acted stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .ledger import Acted, without_state
from .records import Line, session_of

UNCLEAR = frozenset({"outcome_unknown", "retries_exhausted"})
"""Reasons of dead letters that leave open whether the API acted."""


class Record:
    """A record, whatever number of times it came. `rank` is its place in the order of all records.

    `open` are the parts that no request has carried so far; `dead_letter` is its dead letter, when it has one.
    """

    __slots__ = ("dead_letter", "line", "open", "outcome", "rank")

    def __init__(self, line: Line, rank: int, dead_letter: Mapping[str, Any] | None) -> None:
        self.line = line
        self.rank = rank
        self.dead_letter = dead_letter
        self.open = set(line.sends)
        self.outcome = "dead_lettered" if dead_letter else ""

    @property
    def unclear(self) -> bool:
        return self.dead_letter is not None and self.dead_letter.get("reason") in UNCLEAR


@dataclass(slots=True)
class Move:
    """A request as it concerns one customer or session: it carries the records from rank `low` to rank `high`."""

    request: Acted
    low: int
    high: int


@dataclass
class Lane:
    """The records that requests of one sort for one session or customer can stand for, in their order."""

    records: list[Record] = field(default_factory=list)
    by_content: dict[int, list[Record]] = field(default_factory=dict)
    last: int = -1
    at: int = 0
    previous: Any = None
    editing: Record | None = None


class Matching:
    """Takes the requests in the order in which they acted.

    `moves` maps ("session", id) and ("customer", id) to the requests that concern it; `problems` are (sort, message).
    """

    def __init__(self, records: Sequence[Record], edit_closed: bool) -> None:
        self.moves: dict[tuple[str, str], list[Move]] = {}
        self.problems: list[tuple[str, str]] = []
        self._edit_closed = edit_closed
        self._calls: dict[int, list[Record]] = {}
        self._lanes: dict[tuple[str, str | None], Lane] = {}
        for record in records:
            for part, content in record.line.sends.items():
                line = record.line
                if isinstance(content, int) and part == "call":
                    self._calls.setdefault(content, []).append(record)
                    continue
                lane = self._lanes.setdefault((part, _owner(part, line.session, line.customer)), Lane())
                lane.records.append(record)
                if isinstance(content, int):
                    lane.by_content.setdefault(content, []).append(record)

    def take(self, request: Acted) -> None:
        if request.call is not None and self._take_call(request):
            return
        if request.operation == "reopen_customer_session":
            self._reopen(request)
            return
        if not request.carries:
            self.problems.append(("unexpected", f"{request} stands for no record"))
        for part, owner, content in request.carries:
            lane = self._lanes.get((part, owner)) or Lane()
            if lane.editing is not None and part == "order":
                self._edit(lane, request)
            elif isinstance(content, int):
                self._one(lane, part, content, request)
            else:
                self._merged(lane, part, content, request, owner)

    def _take_call(self, request: Acted) -> bool:
        for record in self._calls.get(request.call or 0, ()):
            if "call" in record.open:
                self._matched(request, "call", [record])
                return True
        return False

    def _one(self, lane: Lane, part: str, content: int, request: Acted) -> None:
        same = lane.by_content.get(content, [])
        fresh = [record for record in same if part in record.open and record.dead_letter is None]
        # the next in order if there is one; else an earlier one, which the check of the order will report
        chosen = next((record for record in fresh if record.rank > lane.last), fresh[0] if fresh else None)
        if chosen is not None:
            lane.last = max(lane.last, chosen.rank)
            self._matched(request, part, [chosen])
        else:
            self._stands_for_none(same, part, request)

    def _merged(self, lane: Lane, part: str, content: dict[str, str], request: Acted, owner: str | None) -> None:
        live = [record for record in lane.records if record.dead_letter is None]
        starts = [lane.at, *(start for start in range(len(live)) if start != lane.at)]
        for start in starts:
            run = _run(live, start, part, content)
            if run:
                lane.at = start + len(run)
                lane.previous = content
                self._matched(request, part, run)
                return
            if content == lane.previous:
                return  # the same again, with nothing in between: it changes nothing
        dead = [record for record in lane.records if record.dead_letter and record.line.sends[part] == content]
        self._stands_for_none(dead, part, request)

    def _stands_for_none(self, same: list[Record], part: str, request: Acted) -> None:
        """No record that waits for a request is like this one; `same` are the others that are."""
        dead = [record for record in same if record.dead_letter is not None and part in record.open]
        if dead:
            dead[0].open.discard(part)
            self._matched(request, part, [dead[0]])
            if not dead[0].open and not dead[0].unclear:
                self.problems.append(("both", f"{dead[0].line} is a dead letter, and {request} applied it"))
        elif same:
            self.problems.append(("doubled", f"{same[-1].line} was applied again by {request}"))
        else:
            self.problems.append(("unexpected", f"{request} stands for no record: no valid one has its content"))

    def _reopen(self, request: Acted) -> None:
        """A closed session is edited: the next updates of it up to its closing carry one record."""
        lane = self._lanes.get(("order", request.session))
        waiting = [r for r in lane.records if "order" in r.open and r.dead_letter is None] if lane else []
        if not self._edit_closed or lane is None or not waiting:
            self.problems.append(("unexpected", f"{request}: nothing asks for it"))
            return
        after = [record for record in waiting if record.rank > lane.last]
        lane.editing = (after or waiting)[0]
        self._move(request, lane.editing, lane.editing)

    def _edit(self, lane: Lane, request: Acted) -> None:
        record = lane.editing
        if record is None:
            return
        wanted = session_of(record.line.data())
        if request.stateless not in (without_state(wanted), "{}", without_state({"profileId": wanted["profileId"]})):
            # content that was there already may have been passed over
            others = [other for other in lane.records if "order" in other.open and other.rank > record.rank]
            lane.editing = next(
                (o for o in others if without_state(session_of(o.line.data())) == request.stateless), None
            )
            if lane.editing is None:
                self.problems.append(("unexpected", f"{request} stands for no record after the session was reopened"))
                return
            record = lane.editing
            wanted = session_of(record.line.data())
        self._move(request, record, record)
        if request.state == wanted["state"]:
            record.open.discard("order")
            lane.last = max(lane.last, record.rank)
            lane.editing = None

    def _matched(self, request: Acted, part: str, run: list[Record]) -> None:
        for record in run:
            record.open.discard(part)
        self._move(request, run[0], run[-1])

    def _move(self, request: Acted, first: Record, last: Record) -> None:
        move = Move(request, first.rank, last.rank)
        line = last.line
        if line.session is not None:
            self.moves.setdefault(("session", line.session), []).append(move)
        if line.customer is not None:
            self.moves.setdefault(("customer", line.customer), []).append(move)


def _owner(part: str, session: str | None, customer: str | None) -> str | None:
    return session if part in ("order", "return") else customer


def _run(live: list[Record], start: int, part: str, content: dict[str, str]) -> list[Record]:
    """The consecutive records from `start` on, none of them carried so far, that together say `content`."""
    merged: dict[str, str] = {}
    for end in range(start, len(live)):
        sends = live[end].line.sends[part]
        if part not in live[end].open or isinstance(sends, int):
            return []
        merged |= sends
        if merged == content:
            return live[start : end + 1]
        if not merged.keys() <= content.keys():
            return []
    return []
