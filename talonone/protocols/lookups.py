"""A lookup: what is read of one input, put together as one line of JSON without holding all of it in memory."""

import tempfile
from collections.abc import Iterator

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.request_sender import Lines, RequestSender
from beam_talonone.talonone.http.responses import Answer
from beam_talonone.talonone.protocols.paging import BadPage, Paged, read_pages
from beam_talonone.talonone.requests.outcome import End, Outcome, refused

IN_MEMORY = 1 << 20
"""Bytes of rows that are held in memory for one lookup; more of them wait on disk."""

PIECE = 1 << 20


class SpooledRows:
    """Rows of one lookup, in memory or, where they are many, in an unnamed file."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._any = False

    def add(self, rows: list[bytes]) -> None:
        """Append rows, each one JSON value."""
        if rows:
            self._file.write((b"," if self._any else b"") + b",".join(rows))
            self._any = True

    def pieces(self) -> Iterator[bytes]:
        """The rows with commas between them."""
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    def close(self) -> None:
        """Drop the rows, and the file if there is one."""
        self._file.close()


async def look_up(sender: RequestSender, request: Request, given: bytes, lines: Lines) -> Outcome:
    """Read `request`, all its pages, and put the line of it: `given` (a JSON object), and status, pages, response.

    A 404 is an answer; what else the API refuses is a dead letter.
    """
    paging = OPERATIONS[request.operation].paging
    rows = SpooledRows()
    try:
        if paging is None:
            paged = Paged(await sender.read(request), 1, {})
        else:
            paged = await read_pages(request, paging, sender.read, rows)
        answer = paged.answer
        if not answer.ok and answer.status != 404:
            return refused(request.operation, answer, 0)
        head = given[:-1] + b',"status":%d,"pages":%d,"response":' % (answer.status or 0, paged.pages)
        if not answer.ok:
            body = iter([_text(answer)])
        else:
            one = request.operation
            body = iter([_whole(one, answer)]) if paging is None else _merged(paged, paging.rows, rows)
        place = await lines.put(_line(head, body))
    except BadPage as error:
        return Outcome(End.DEAD, Reason.REFUSED.value, str(error), operation=request.operation, status=200)
    finally:
        rows.close()
    return Outcome(End.APPLIED, operation=request.operation, status=answer.status, place=place)


def _line(head: bytes, response: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from response
    yield b"}\n"


def _merged(paged: Paged, name: str, rows: SpooledRows) -> Iterator[bytes]:
    """The answer with the rows of all pages in the place of those of the last."""
    rest = jsonio.dumps(paged.rest)[:-1]
    yield rest + (b"," if paged.rest else b"") + jsonio.dumps(name) + b":["
    yield from rows.pieces()
    yield b"]}"


LISTS = frozenset({"best_prior_price"})
"""Operations without pages that answer with a list."""


def _whole(operation: str, answer: Answer) -> bytes:
    """The body as one line of JSON. Raises BadPage for what is no JSON object, or list where one is due."""
    try:
        line = jsonio.one_line(answer.body)
    except ValueError as error:
        raise BadPage(f"the answer is not a JSON object: {error}") from None
    if not line.startswith(b"[" if operation in LISTS else b"{"):
        raise BadPage(f"the answer is JSON, but not {'a list' if operation in LISTS else 'an object'}")
    return line


def _text(answer: Answer) -> bytes:
    """The body of an answer that says no: as one line of JSON, as text where it is none."""
    try:
        return jsonio.one_line(answer.body) if answer.body else b"null"
    except ValueError:
        return jsonio.dumps(answer.body.decode("utf-8", "replace"))
