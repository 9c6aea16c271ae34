"""Reads all pages of a list, row after row, with one page in memory at a time."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operation import Paging
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.http.responses import Answer

REMEMBERED = 10_000
"""Rows whose keys are remembered. A row that is added during a read pushes another row to the next page, and that one
comes twice. The second time it is left out."""

LONGEST_STAND = 100
"""Pages without a new row after which a read fails: it would never end."""

MOST_PAGES, MOST_BYTES = 100_000, 1 << 30
"""Limits of one read. No list of the API is as long, but an API that always reports more pages never ends."""

Read = Callable[[Request], Awaitable[Answer]]


class Rows(Protocol):
    """Takes the rows of a read: each is JSON, as the API sent it."""

    def add(self, rows: list[bytes]) -> None:
        """Take the rows of one page, in their order."""


class BadPage(Exception):
    """An answer that is no page of rows."""


@dataclass(frozen=True)
class Page:
    """One page: its rows, the other fields of the answer, and whether more pages follow."""

    rows: list[bytes]
    rest: dict[str, object]
    more: bool


@dataclass
class Paged:
    """The end of a read: the last answer, the number of pages, and the other fields of the last page."""

    answer: Answer
    pages: int
    rest: dict[str, object]


async def read_pages(request: Request, paging: Paging, read: Read, rows: Rows) -> Paged:
    """Read page after page until the last one, or until an answer is an error. Each row goes to `rows` once.

    The query of the request may set `pageSize`, and `skip` for the first page. Raises BadPage, and the errors of
    `read`.
    """
    query = {"pageSize": str(paging.most), **request.query}
    skip = int(str(query.pop("skip", "0")))
    recent = _RecentRows(paging.key)
    pages = standing = size = 0
    last: list[bytes] = []
    while True:
        page_query = {**query, "skip": str(skip)} if skip else query
        answer = await read(msgspec.structs.replace(request, query=page_query))
        pages += 1
        if not answer.ok:
            return Paged(answer, pages, {})
        page = page_of(answer.body, paging, skip)
        new = recent.new(page.rows)
        rows.add(new)
        if not page.more:
            return Paged(answer, pages, page.rest)
        standing = 0 if new and new != last else standing + 1
        if standing == LONGEST_STAND:
            raise BadPage(
                f"{standing} pages in a row had no row that was not known: the list grows faster than it is read, or"
                " the API gives the same page again and again"
            )
        size += sum(map(len, new))
        if pages == MOST_PAGES or size > MOST_BYTES:
            raise BadPage(f"it says that there is more after {pages:,} pages of {size:,} bytes, and was not read on")
        last = new
        skip += len(page.rows)


def page_of(body: bytes, paging: Paging, skip: int) -> Page:
    """Return the page that `body` holds; `skip` rows come before it. Raises BadPage."""
    try:
        fields = msgspec.json.decode(body.decode(), type=dict[str, msgspec.Raw])
        if paging.rows not in fields:
            raise ValueError(f"it has only {', '.join(fields) or 'nothing'}")
        listed = msgspec.json.decode(fields.pop(paging.rows), type=list[msgspec.Raw] | None) or []
        rows = [jsonio.without_line_ends(bytes(row)) for row in listed]
        rest = {name: jsonio.loads_around(bytes(value)) for name, value in fields.items()}
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadPage(f"an answer without a list `{paging.rows}`: {error}") from None
    total = rest.get("totalResultSize")
    if rest.get("hasMore") is True and not rows:
        raise BadPage("it says that there is more, and has no rows")
    more = rest.get("hasMore") is True or (isinstance(total, int) and total > skip + len(rows))
    return Page(rows, rest, more and bool(rows))


@dataclass
class _RecentRows:
    """The keys of the last REMEMBERED rows."""

    key: str | None
    _order: deque[bytes] = field(default_factory=deque)
    _keys: set[bytes] = field(default_factory=set)

    def new(self, rows: list[bytes]) -> list[bytes]:
        """Return the rows that have not come before."""
        if self.key is None:
            return rows
        new = []
        for row in rows:
            key = _value(row, self.key)
            if key is not None and key in self._keys:
                continue
            new.append(row)
            if key is not None:
                self._remember(key)
        return new

    def _remember(self, key: bytes) -> None:
        self._order.append(key)
        self._keys.add(key)
        if len(self._order) > REMEMBERED:
            self._keys.discard(self._order.popleft())


def _value(row: bytes, name: str) -> bytes | None:
    """The field `name` of a row, as JSON; None where it has none."""
    try:
        value = msgspec.json.decode(row, type=dict[str, msgspec.Raw]).get(name)
    except msgspec.DecodeError:
        return None
    return None if value is None or bytes(value) == b"null" else bytes(value)
