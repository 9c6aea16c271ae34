"""Dead letters as CSV for a spreadsheet, or as the unchanged lines that a replay takes."""

import csv
import io
from typing import Any

from beam_talonone.pipelines.dead_letters.read import DeadLetter
from beam_talonone.schemas import jsonio

_FIELDS = (
    "kind",
    "id",
    "stage",
    "reason",
    "detail",
    "pointer",
    "operation",
    "status",
    "attempts",
    "failed_at",
    "job",
)
_SOURCE = ("file", "position", "row", "part", "subscription", "message_id")

COLUMNS = (*_FIELDS, *_SOURCE, "not_replayed", "dead_letter_file", "dead_letter_line", "record")
"""Of the CSV. `not_replayed` is why a replay sends nothing of the dead letter, empty if it does."""

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The beginnings of formulas, also in full width, which some spreadsheets accept."""


def csv_header() -> bytes:
    """The first line of the CSV, with its line end."""
    return _line(COLUMNS)


def csv_line(dead_letter: DeadLetter) -> bytes:
    """A dead letter as a row of CSV, with its line end. No cell can be taken for a formula."""
    fields, source = dead_letter.fields, dead_letter.fields.get("source")
    place = source if isinstance(source, dict) else {}
    raw = dead_letter.raw
    return _line(
        [
            *(cell_of(fields.get(name)) for name in _FIELDS),
            *(cell_of(place.get(name)) for name in _SOURCE),
            cell_of(dead_letter.replayability().problem),
            cell_of(raw.file),
            str(raw.position),
            cell_of(dead_letter.record().decode("utf-8", "replace")),
        ]
    )


def jsonl_line(dead_letter: DeadLetter) -> bytes:
    """The dead letter as it is in its file, with a line end."""
    return dead_letter.line + b"\n"


def cell_of(value: Any) -> str:
    """A value as a cell that a spreadsheet shows as text: an apostrophe precedes what it would calculate.

    >>> cell_of("=HYPERLINK(1)")
    "'=HYPERLINK(1)"
    >>> cell_of(400)
    '400'
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else jsonio.dumps(value).decode()
    if not isinstance(value, int) and (text.lstrip().startswith(_FORMULA) or text[:1] in ("\t", "\r", "\n")):
        return "'" + text
    return text


def _line(cells: Any) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().encode("utf-8", "replace")
