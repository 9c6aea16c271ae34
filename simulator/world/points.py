"""Loyalty transactions. They are stored as batches and expanded to rows when read, so a million cost no more than
one.

Times are whole microseconds since 1970, so that filters match the time shown of a row exactly.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

Source = Literal["manual", "session", "import"]
State = Literal["active", "pending", "expired"]

SECOND: Final = 1_000_000
NEVER: Final = 1 << 62
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CYCLE: Final = 40
_UUID_BASE: Final = UUID("00000000-0000-4000-8000-000000000000").int
_UUID_ROOM: Final = 1 << 48


class Batch(msgspec.Struct, gc=False):
    """Rows `first` to `first + count`, created `step` microseconds apart, that are equal in all else.

    `pending` points wait for an activation, and `starts` is its time; None for points that were active from the
    start.
    """

    first: int
    count: int
    created: int
    step: int
    source: Source
    subledger: str = ""
    session: str | None = None
    pending: bool = False
    starts: int | None = None
    expires: int | None = None

    @property
    def rows(self) -> range:
        """The numbers of the rows."""
        return range(self.first, self.first + self.count)

    def made(self, row: int) -> int:
        """When a row was created, in microseconds since 1970."""
        return self.created + (row - self.first) * self.step

    def state(self, now: int) -> State:
        """The state of the points at `now` (microseconds since 1970)."""
        if self.expires is not None and self.expires <= now:
            return "expired"
        return "pending" if self.pending else "active"


Batches = list[Batch]
Sums = dict[str, dict[State, Decimal]]
NOTHING: Final[dict[State, Decimal]] = {"active": Decimal(0), "pending": Decimal(0), "expired": Decimal(0)}
Piece = tuple[Batch, range]
"""Rows of one batch."""


def micros(moment: datetime) -> int:
    """`moment` in microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def stamp(at: int) -> str:
    """`at` (microseconds since 1970) as RFC 3339 text in UTC."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def uuid_of(row: int) -> str:
    """The transaction UUID of a row."""
    return str(UUID(int=_UUID_BASE + row))


def row_of(uuid: str) -> int | None:
    """The row with this transaction UUID; None for any other text."""
    try:
        row = UUID(uuid).int - _UUID_BASE
    except ValueError:
        return None
    return row if 0 < row < _UUID_ROOM else None


def amount(row: int) -> Decimal:
    """The points of a row: 0.25 to 10, always the same for one row."""
    return Decimal(1 + row % _CYCLE) / 4


def total(rows: range) -> Decimal:
    """The points of consecutive ascending `rows`, computed without a loop over them."""
    return Decimal(_quarters(rows.stop) - _quarters(rows.start)) / 4 if rows else Decimal(0)


def _quarters(rows: int) -> int:
    full, rest = divmod(rows, _CYCLE)
    return full * (_CYCLE * (_CYCLE + 1) // 2) + rest * (rest + 1) // 2


def newest(batches: Batches) -> int:
    """The time of the newest row or activation, in microseconds since 1970; 0 without any."""
    return max((max(batch.made(batch.rows[-1]), batch.starts or 0) for batch in batches), default=0)


def add(batches: Batches, batch: Batch, now: int, created: datetime | None) -> None:
    """Add a batch, and set the times of its rows: one per second from `created` on, or spread from the newest row to
    `now`.

    Raises ValueError if `created` is before the newest row.
    """
    last = newest(batches)
    if created is not None:
        batch.created, batch.step = micros(created), SECOND
        if batch.created < last:
            raise ValueError(f"created: rows must not be older than the newest one, of {stamp(last)}")
    else:
        batch.step = min(SECOND, max(0, now - last) // batch.count)
        batch.created = max(last, now - (batch.count - 1) * batch.step)
    batches.append(batch)


def select(
    batches: Batches, *, subledgers: Collection[str] | None = None, sessions: Collection[str] | None = None,
    uuids: Collection[str] | None = None, source: Source | None = None, since: datetime | None = None,
    until: datetime | None = None,
) -> list[Piece]:  # fmt: skip
    """The rows that pass all filters that are not None, oldest first. Both times are inclusive."""
    numbers = None if uuids is None else sorted({row for row in map(row_of, uuids) if row is not None})
    pieces: list[Piece] = []
    for batch in batches:
        if subledgers is not None and batch.subledger not in subledgers:
            continue
        if sessions is not None and batch.session not in sessions:
            continue
        if source is not None and batch.source != source:
            continue
        rows = batch.rows
        if since is not None:
            rows = rows[bisect_left(rows, micros(since), key=batch.made) :]
        if until is not None:
            rows = rows[: bisect_right(rows, micros(until), key=batch.made)]
        if numbers is not None:
            pieces += [(batch, range(row, row + 1)) for row in numbers if row in rows]
        elif rows:
            pieces.append((batch, rows))
    return pieces


def backwards(pieces: Sequence[Piece]) -> list[Piece]:
    """The same rows in the opposite order."""
    return [(batch, rows[::-1]) for batch, rows in reversed(pieces)]


def by_start(piece: Piece) -> int:
    """Sort key: when the points became active; pending ones are last."""
    batch, rows = piece
    return NEVER if batch.pending else batch.made(rows[0]) if batch.starts is None else batch.starts


def by_expiry(piece: Piece) -> int:
    """Sort key: when the points expire; those without an expiry are last."""
    return NEVER if piece[0].expires is None else piece[0].expires


def count(pieces: Sequence[Piece]) -> int:
    """The number of rows."""
    return sum(len(rows) for _, rows in pieces)


def slice_of(pieces: Sequence[Piece], skip: int, size: int) -> Iterator[tuple[Batch, int]]:
    """`size` rows after the first `skip` rows, without a loop over the skipped ones."""

    def after_skipped() -> Iterator[tuple[Batch, int]]:
        left = skip
        for batch, rows in pieces:
            for row in rows[left:]:
                yield batch, row
            left = max(0, left - len(rows))

    return islice(after_skipped(), size)


def activate(batches: Batches, chosen: Sequence[Piece], now: int) -> Batches:
    """`batches` with the `chosen` rows active from `now` on. A batch is split if only some of its rows are chosen."""
    rows_of: dict[int, list[range]] = {}
    for batch, rows in chosen:
        rows_of.setdefault(batch.first, []).append(rows)
    after: Batches = []
    for batch in batches:
        start = batch.first
        for rows in rows_of.get(batch.first, ()):
            after += _part(batch, range(start, rows.start))
            after += _part(batch, rows, pending=False, starts=now)
            start = rows.stop
        after += _part(batch, range(start, batch.rows.stop))
    return after


def _part(batch: Batch, rows: range, **changes: Any) -> Batches:
    if not rows:
        return []
    created = batch.made(rows.start)
    return [msgspec.structs.replace(batch, first=rows.start, count=len(rows), created=created, **changes)]


def sums(batches: Batches, subledgers: Collection[str] | None, until: datetime | None, now: int) -> Sums:
    """Subledger -> state at `now` -> points of the rows created by `until`."""
    points: Sums = {}
    for batch, rows in select(batches, subledgers=subledgers, until=until):
        states = points.setdefault(batch.subledger, dict(NOTHING))
        states[batch.state(now)] += total(rows)
    return points
