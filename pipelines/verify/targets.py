"""What a verification reads, and expects there: the sessions and customers of a staging database, in chunks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from beam_talonone.pipelines.backfill import staging_schema
from beam_talonone.pipelines.backfill.packed import WORK_COLUMNS, Works
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.kinds import ERASURE
from beam_talonone.schemas.operations import get_customer_inventory, get_customer_session
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.compare.differences import Line, session_differences
from beam_talonone.talonone.compare.profiles import WantedProfile, profile_differences
from beam_talonone.talonone.compare.returned import return_differences
from beam_talonone.talonone.http.responses import Answer, Verdict
from beam_talonone.talonone.protocols.session_reads import NOT_THERE, CannotRead
from beam_talonone.talonone.requests.work import Work

PLACE = "((kind = 'returns') << 62) + (file_no << 40) + position"
"""Where a record stands in the input: orders first, then by file and row."""

CANCELLED = "cancelled"


@dataclass
class Target:
    """A session or customer to be read.

    `records` maps the records whose result it shows, by number in the staging database, to (kind, id); `superseded`
    are versions that a later one has replaced. `compare` takes the session or profile that was read, None for none.
    """

    number: int
    request: Request
    compare: Callable[[dict[str, Any] | None], list[Line]]
    records: dict[int, tuple[str, str]] = field(default_factory=dict)
    superseded: list[int] = field(default_factory=list)


def list_targets(connection: Any) -> int:
    """Number the sessions, then the customers of profile changes, in the order of the input; gives how many."""
    connection.executescript(staging_schema.TARGETS + staging_schema.TARGET_INDEXES)
    connection.execute("BEGIN")
    for sort, column, kinds in (
        ("session", "session", "'orders', 'returns'"),
        ("customer", "customer", "'profiles'"),
    ):
        connection.execute(
            f"INSERT INTO targets (sort, id) SELECT ?, {column} FROM queue JOIN records USING (rec)"  # nosec B608
            f" WHERE kind IN ({kinds}) GROUP BY {column} ORDER BY MIN({PLACE})",
            (sort,),
        )
    connection.execute(
        "INSERT INTO erasures SELECT customer, MAX(number) FROM queue JOIN records USING (rec)"  # nosec B608
        f" WHERE kind = 'profiles' AND rank = {ERASURE} GROUP BY customer"
    )
    connection.execute("COMMIT")
    return int(connection.execute("SELECT COUNT(*) FROM targets").fetchone()[0])


def count_done(connection: Any) -> int:
    """Targets that earlier runs of the job, or this one, have read."""
    return int(connection.execute("SELECT COUNT(*) FROM targets WHERE done").fetchone()[0])


def note_done(connection: Any, chunk: list[Target]) -> None:
    """Write down that these targets need not be read again."""
    connection.executemany("UPDATE targets SET done = 1 WHERE number = ?", [(target.number,) for target in chunk])


def left_to_read(connection: Any, total: int, size: int) -> Iterator[list[Target]]:
    """The targets that are not done, in chunks of `size`, with all that the input says about them."""
    for first in range(1, total + 1, size):
        done = connection.execute("SELECT done FROM targets WHERE number = ?", (first,)).fetchone()[0]
        if not done:
            yield load_targets(connection, first, first + size - 1)


def load_targets(connection: Any, first: int, last: int) -> list[Target]:
    """The targets of these numbers with all that the input says of them."""
    return [*_sessions(connection, first, last), *_customers(connection, first, last)]


def entity_in(target: Target, answer: Answer) -> dict[str, Any] | None:
    """The session or profile that an answer shows; None when there is none. Raises CannotRead."""
    is_session = target.request.operation == "get_customer_session"
    if not answer.ok:
        if answer.verdict is Verdict.REFUSED and answer.status in (NOT_THERE if is_session else {404}):
            return None
        raise CannotRead(answer.message)
    try:
        body = jsonio.loads_around(answer.body)
        entity = body["customerSession"] if is_session else body.get("profile") or {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotRead(f"the answer of {target.request.operation} has an odd shape: {error}") from None
    if not isinstance(entity, dict):
        raise CannotRead(f"the answer of {target.request.operation} has an odd shape")
    return entity


@dataclass
class _Session:
    """What the input says of one session: its order's last version, and its returns in the order of sending."""

    number: int
    id: str
    order: tuple[int, Work] | None = None
    order_number: int = 0
    superseded: list[int] = field(default_factory=list)
    created: bool = False
    """Some version is no cancellation, so the session must be there."""
    forgotten: bool = False
    returns: list[tuple[int, Work]] = field(default_factory=list)

    def target(self) -> Target:
        records = {rec: ("returns", work.id) for rec, work in self.returns}
        if self.order is not None:
            records[self.order[0]] = ("orders", self.id)
        return Target(self.number, get_customer_session(self.id), self.compare, records, self.superseded)

    def compare(self, entity: dict[str, Any] | None) -> list[Line]:
        returned = [_returned(work) for _, work in self.returns]
        return [*self._order_lines(entity), *return_differences(returned, entity)]

    def _order_lines(self, entity: dict[str, Any] | None) -> list[Line]:
        if self.order is None or (entity is None and not self.created and not self.returns):
            return []  # there was nothing to cancel
        expected = self.order[1].parts[0].request.body_json()["customerSession"]
        return session_differences(self.id, expected, entity, returned=bool(self.returns), forgotten=self.forgotten)


def _returned(work: Work) -> tuple[str, list[dict[str, Any]]]:
    return work.id, work.parts[0].request.body_json()["return"]["returnedCartItems"]


def _sessions(connection: Any, first: int, last: int) -> Iterator[Target]:
    sessions: dict[int, _Session] = {}
    works = Works(connection)
    for number, session, place, kind, status, *staged in _rows(connection, "session", first, last):
        target = sessions.setdefault(number, _Session(number, session))
        rec, work = staged[0], works.read(*staged)
        if kind == "returns":
            target.returns.append((rec, work))
            continue
        if target.order is not None:
            target.superseded.append(target.order[0])
        target.order, target.order_number = (rec, work), place
        target.created = target.created or status != CANCELLED
    for target in sessions.values():
        target.forgotten = target.order is not None and _erased_after(
            connection, target.order[1].profiles[0], target.order_number
        )
        yield target.target()


def _customers(connection: Any, first: int, last: int) -> Iterator[Target]:
    targets: dict[int, Target] = {}
    profiles: dict[int, WantedProfile] = {}
    works = Works(connection)
    for number, customer, _, kind, _, *staged in _rows(connection, "customer", first, last):
        if number not in targets:
            profiles[number] = profile = WantedProfile()
            targets[number] = Target(
                number, get_customer_inventory(customer, profile=True), _compared(customer, profile)
            )
        profiles[number].change(works.read(*staged))
        targets[number].records[staged[0]] = (kind, customer)
    yield from targets.values()


def _compared(customer: str, expected: WantedProfile) -> Callable[[dict[str, Any] | None], list[Line]]:
    return lambda entity: profile_differences(customer, expected, entity)


def _rows(connection: Any, sort: str, first: int, last: int) -> Any:
    """(target, its id, place in the order of sending, kind, status, WORK_COLUMNS), in that order."""
    # each kind has an index of its own, which is taken only where the kind stands in the query
    columns = ", ".join(f"r.{name}" for name in WORK_COLUMNS)
    kinds, column = (("orders", "returns"), "session") if sort == "session" else (("profiles",), "customer")
    query = " UNION ALL ".join(
        f"SELECT t.number AS target, t.id, q.number AS place, r.kind, r.status, {columns}"  # nosec B608
        f" FROM targets t CROSS JOIN records r ON r.{column} = t.id AND r.kind = '{kind}'"
        f" CROSS JOIN queue q ON q.rec = r.rec WHERE t.number BETWEEN :first AND :last AND t.sort = '{sort}'"
        for kind in kinds
    )
    return connection.execute(f"{query} ORDER BY target, place", {"first": first, "last": last})


def _erased_after(connection: Any, customer: str, place: int) -> bool:
    """Whether the customer's data were to be erased later than `place` in the order of sending."""
    row = connection.execute("SELECT place FROM erasures WHERE customer = ?", (customer,)).fetchone()
    return row is not None and row[0] > place


def keep_differences(connection: Any, compared: list[tuple[Target, list[Line]]]) -> None:
    """Write down what differs at each target."""
    connection.executemany(
        "INSERT OR REPLACE INTO differences VALUES (?, ?, ?, ?, ?)",
        [
            (target.number, at, line["kind"], line["field"], jsonio.dumps(line))
            for target, lines in compared
            for at, line in enumerate(lines)
        ],
    )
