"""Lookups: all that the API holds for one input, written as one line of JSON that is never whole in memory."""

import tempfile
from collections.abc import Iterator

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import OPERATIONS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.delivery.request_sender import RequestSender
from beam_talonone.talonone.delivery.send_options import Lines
from beam_talonone.talonone.http.responses import Answer
from beam_talonone.talonone.protocols.paging import BadPage, Paged, read_pages
from beam_talonone.talonone.requests.outcome import End, Outcome, refused

IN_MEMORY = 1 << 20
"""Bytes of rows of one lookup that stay in memory; beyond that, all of them go to a file."""

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
    """Read all pages of `request` and put one line: the fields of `given` (a JSON object), status, pages, response.

    A 404 is a result. Any other refusal is a dead letter. Raises StopRun, and the errors of `lines`.
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
    """Yield the last answer with the rows of all pages in place of its own."""
    rest = jsonio.dumps(paged.rest)[:-1]
    yield rest + (b"," if paged.rest else b"") + jsonio.dumps(name) + b":["
    yield from rows.pieces()
    yield b"]}"


LISTS = frozenset({"best_prior_price"})
"""Operations without pages whose answer is a list."""


def _whole(operation: str, answer: Answer) -> bytes:
    """The body as one line of JSON. Raises BadPage unless it is an object, or a list for an operation in LISTS."""
    try:
        line = jsonio.one_line(answer.body)
    except ValueError as error:
        raise BadPage(f"the answer is not a JSON object: {error}") from None
    if not line.startswith(b"[" if operation in LISTS else b"{"):
        raise BadPage(f"the answer is JSON, but not {'a list' if operation in LISTS else 'an object'}")
    return line


def _text(answer: Answer) -> bytes:
    """The body of an error answer: as one line of JSON, or as a JSON string if it is not JSON."""
    try:
        return jsonio.one_line(answer.body) if answer.body else b"null"
    except ValueError:
        return jsonio.dumps(answer.body.decode("utf-8", "replace"))
