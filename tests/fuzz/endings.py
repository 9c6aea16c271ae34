"""What each record must end as: work that can be sent, or a dead letter that the database and a replay take."""

import sqlite3
from typing import Any

import yarl

from beam_talonone.pipelines.backfill import staging, staging_schema
from beam_talonone.pipelines.backfill.staging_rows import RecordStager
from beam_talonone.pipelines.dead_letters.aggregate import DeadLetterSummary
from beam_talonone.pipelines.dead_letters.export import csv_line
from beam_talonone.pipelines.dead_letters.read import DeadLetter, _dead_letter
from beam_talonone.pipelines.dead_letters.show import summary_lines
from beam_talonone.pipelines.replay.dead_letters import open_dead_letter
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.http.message import Message
from beam_talonone.talonone.requests.build import BuildOptions
from beam_talonone.talonone.requests.work import Work
from beam_talonone.talonone.telemetry.logs import printable_line
from beam_talonone.transforms.sources.prepare import Prepared

STAGER = RecordStager(-(2**63), 2**63 - 1, False, "fuzz")
OPTIONS = BuildOptions()

_PLACE = ("input", 0, 1, "jsonl")
_INSERT = f"INSERT INTO records VALUES (NULL{', ?' * 19}, NULL)"  # the columns of a row; its number and checksum

_MESSAGE = Message(yarl.URL("https://api.example"))
_MESSAGE.use_key("key")


def _database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(staging_schema.SCHEMA)
    return connection


_CONNECTION = _database()


def check_end(prepared: Prepared) -> None:
    """Check that a record ends as work that can be sent, as filtered, or as a dead letter."""
    staged = STAGER.stage(prepared, _PLACE)
    _CONNECTION.execute("BEGIN")
    try:
        _CONNECTION.execute(_INSERT, staged.row)
        if staged.outcome is not None:
            staging.save_outcomes(_CONNECTION, [(1, *staged.outcome)])
        staging.add_unknown(_CONNECTION, {("orders", name): 1 for name in staged.unknown})
        staging.add_unknown_api(_CONNECTION, dict.fromkeys(staged.unknown_api, 1))
    finally:
        _CONNECTION.execute("ROLLBACK")
    if prepared.work is not None:
        check_work(prepared.work)
    elif prepared.filtered_by is None and (staged.outcome is None or staged.outcome[3] is not None):
        assert staged.outcome is not None
        check_letter(staged.outcome[3] or b"", prepared)


def check_work(work: Work) -> None:
    """Check that a request can be stored, and leaves as HTTP with JSON in it."""
    assert Work.from_bytes(work.to_bytes()) == work
    for part in work.parts:
        head, _, body = _MESSAGE.whole(part.request, "key").partition(b"\r\n\r\n")
        assert head.isascii()
        assert b"\0" not in head
        assert head.count(b"\r\n") == head.count(b"\n")
        assert body == (part.request.body or b"")
        if body:
            jsonio.loads(body)


def check_letter(line: bytes, prepared: Prepared | None = None) -> None:
    """Check that a line is a dead letter of a known reason, which a replay and the command `dead-letters` read."""
    assert b"\n" not in line, line
    letter: dict[str, Any] = {name: loaded(part) for name, part in jsonio.parts(line).items() if name != "record"}
    assert letter["reason"] in set(Reason), letter
    assert letter["reason"] != Reason.DEFECT, letter["detail"]
    raw = Raw(LETTERS, "letters", 1, "jsonl", line, None, None)
    shown = _dead_letter(raw)
    assert isinstance(shown, DeadLetter), shown
    check_shown(shown)
    again = open_dead_letter(raw, OPTIONS)
    assert again.problem is None or again.problem.reason is not Reason.DEFECT, again.problem
    if prepared is not None and again.work is None:
        STAGER.stage(again, _PLACE)


def check_line(error: Exception, place: object = "") -> None:
    """Check that the text of an error is one short line, which names `place`."""
    text = str(error)
    assert "\n" not in text, text
    assert text, repr(error)
    assert len(text) < 2_000, text
    assert str(place) in text, text


def loaded(text: bytes) -> Any:
    """The value of a JSON text; None for one that is too deep, which an edited dead letter may have in any field."""
    try:
        return jsonio.loads(text)
    except ValueError:
        return None


def check_shown(letter: DeadLetter) -> None:
    """Check that the command `dead-letters` shows and exports a dead letter."""
    csv_line(letter)
    summary = DeadLetterSummary()
    summary.add(letter.fields, letter.replayability().problem)
    for line in summary_lines(summary):
        printable_line(line).encode()
