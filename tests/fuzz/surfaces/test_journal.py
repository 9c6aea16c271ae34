"""The journal of a slice, damaged: all of it is read, or it is called damaged, and never read as less."""

import tempfile
from pathlib import Path
from typing import Any

from fuzz.damage import damaged, flipped
from fuzz.endings import check_line
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st

from beam_talonone.pipelines.backfill.sending.journal import Journal, JournalContent, read_journal
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.telemetry.stats import Stats

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
PATH = Path(_FOLDER.name) / "journal"

APPLIED = Outcome(End.APPLIED, operation="track_event_v2", status=204, attempts=1, effects=[{"a": "é"}])
DEAD = Outcome(End.DEAD, Reason.REFUSED.value, "no", "/a", "track_event_v2", 400, 2)


def written() -> bytes:
    """The bytes of a journal of two processes."""
    PATH.unlink(missing_ok=True)
    for process in range(2):
        journal = Journal(PATH, Stats)
        for number in range(10 * process, 10 * process + 4):
            journal.on_start([(number, 0)], 0, 100.0)
            journal.on_end(number, APPLIED if number % 2 else DEAD)
        journal.on_start([(8 + process, 0), (9 + process, 0)], 0, 101.0, bulk=True)
        journal.on_ends([20 + process, 30 + process], APPLIED)
        journal.on_start([(7, 0)], 1, 100.0)
        journal.on_retract(7, 0)
        journal.on_end(6, APPLIED, 0)
        journal.close()
    return PATH.read_bytes()


WHOLE = written()


def content(data: bytes) -> JournalContent | None:
    """What a journal with these bytes holds; None where it is called damaged."""
    PATH.write_bytes(data)
    try:
        return read_journal(PATH)
    except ConfigurationError as error:
        check_line(error, PATH)
        return None


EXPECTED = content(WHOLE)


def is_within(less: Any, more: Any) -> bool:
    """Whether `less` is the content of a beginning of the journal: no outcome differs."""
    return all(more.done.get(number, (None, 0))[0] == outcome for number, (outcome, _) in less.done.items())


@fuzzed(examples=40, data=flipped(WHOLE))
def test_flipped_bytes_are_called_damage(data: bytes) -> None:
    found = content(data)
    torn = not data.endswith(b"\n")
    assert found is None or found == EXPECTED or (torn and is_within(found, EXPECTED))


@fuzzed(examples=40, data=damaged([WHOLE]))
def test_damage_of_any_kind_invents_nothing(data: bytes) -> None:
    found = content(data)
    assert found is None or is_within(found, EXPECTED)


@fuzzed(examples=30, end=st.integers(0, len(WHOLE)))
def test_a_torn_journal_goes_on(end: int) -> None:
    assert content(WHOLE[:end]) is not None
    journal = Journal(PATH, Stats)
    journal.on_end(99, APPLIED)
    journal.close()
    again = read_journal(PATH)
    assert again.done[99][0] == APPLIED
    assert is_within(JournalContent({n: o for n, o in again.done.items() if n != 99}), EXPECTED)
