"""The write-ahead log and the state store of a stream, damaged: all is recovered, or it is called damaged."""

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from fuzz.corpus import KINDS, RECORDS
from fuzz.damage import damaged, flipped, json_text, odd_values
from fuzz.endings import check_line
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.sqlite_damage import is_damage
from beam_talonone.talonone.state.state_folder import ENDS, MANIFEST, open_state
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
LOG, STORE, STATE = (Path(_FOLDER.name) / name for name in ("log.jsonl", "store.sqlite", "state"))
NOW = 1_900_000_000.0
WORKS = [build(kind, parse(kind, RECORDS[kind]).record, BuildOptions()) for kind in KINDS]
DONE = Outcome(End.APPLIED, operation="track_event_v2", status=204)


def written() -> bytes:
    """The bytes of a log with records that have ended, that are in flight, and that travel in a bulk."""
    LOG.unlink(missing_ok=True)
    log = WriteAheadLog(LOG, PendingOverlay(Store()))
    for number, work in enumerate(WORKS):
        log._memory.sent(work, NOW)
        log.sent(number, work)
    log.on_start([(0, 0)], 1, NOW)
    log.on_end(0, DONE, 0)
    log.job_ended(0, DONE, NOW)
    log.ended(WORKS[0], DONE, NOW)
    log.on_start([(1, 0)], 0, NOW)
    log.applied(1, WORKS[1], {0: DONE}, NOW)
    log.on_start([(2, 0), (3, 0)], 2, NOW, bulk=True)
    log.on_start([(4, 0)], 0, NOW)
    log.on_retract(4, 0)
    log.close()
    return LOG.read_bytes()


WHOLE = written()


def recovered(data: bytes) -> tuple[Any, ...] | None:
    """What a stream knows that opens a log with these bytes; None where it is called damaged."""
    LOG.write_bytes(data)
    store = Store()
    try:
        log = WriteAheadLog(LOG, PendingOverlay(store))
    except ConfigurationError as error:
        check_line(error, LOG)
        return None
    log.close()
    return log.open, log.bulks, rows(store)


def rows(store: Store) -> list[Any]:
    """All that a store remembers."""
    store.commit()
    tables = ("ended", "sent", "changes", "customers", "returned", "dead", "files")
    return [store._connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall() for table in tables[:5]]


EXPECTED = recovered(WHOLE)


@fuzzed(examples=40, data=flipped(WHOLE, most=2))
def test_flipped_bytes_of_the_log_are_called_damage(data: bytes) -> None:
    found = recovered(data)
    last = WHOLE.rindex(b"\n", 0, -1) + 1
    torn = b"\0" in data or (data[:last] == WHOLE[:last] and not data.endswith(b"\n"))  # as a kill leaves it
    assert found is None or found == EXPECTED or torn


@fuzzed(examples=30, data=st.data())
def test_a_line_that_is_missing_is_called_damage(data: st.DataObject) -> None:
    lines = WHOLE.splitlines(keepends=True)
    place = data.draw(st.integers(0, len(lines) - 1))
    if place < len(lines) - 1 and data.draw(st.booleans()):
        del lines[place]
    else:
        lines.insert(place, data.draw(st.sampled_from(lines)))
    assert recovered(b"".join(lines)) is None


@fuzzed(examples=30, data=damaged([WHOLE]))
def test_damage_of_any_kind_is_one_line(data: bytes) -> None:
    recovered(data)


@fuzzed(examples=30, end=st.integers(0, len(WHOLE)), zeros=st.sampled_from([0, 1, 5_000]))
def test_a_torn_log_opens(end: int, zeros: int) -> None:
    assert recovered(WHOLE[:end] + bytes(zeros)) is not None


def stored() -> bytes:
    """The bytes of a store that was closed."""
    STORE.unlink(missing_ok=True)
    store = Store(STORE)
    for number in range(200):
        store.note_end(b"%032d" % number, b"%032d" % number, NOW)
    for work in WORKS:
        store.sent(work, NOW)
        store.ended(work, NOW)
    store.close()
    return STORE.read_bytes()


DATABASE = stored()


@fuzzed(examples=20, data=damaged([DATABASE]) | flipped(DATABASE))
def test_a_damaged_store_is_one_line(data: bytes) -> None:
    for path in STORE.parent.glob("store.sqlite*"):
        path.unlink()
    STORE.write_bytes(data)
    try:
        store = Store(STORE)
        try:
            rows(store)
            store.forget_expired(NOW)
        finally:
            store.close()
    except ConfigurationError as error:
        check_line(error, STORE)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise


@fuzzed(examples=20, name=st.sampled_from([ENDS, MANIFEST]), value=odd_values, data=st.data())
def test_damaged_files_of_the_state_folder_are_one_line(name: str, value: object, data: st.DataObject) -> None:
    shutil.rmtree(STATE, ignore_errors=True)
    folder = open_state(STATE, "https://api.example")
    folder.keep_last_ends({"orders": "0011"})
    folder.close()
    whole = (STATE / name).read_bytes()
    (STATE / name).write_bytes(data.draw(damaged([whole]) | st.just(json_text(value))))
    try:
        folder = open_state(STATE, "https://api.example")
        try:
            folder.last_ends()
        finally:
            folder.close()
    except ConfigurationError as error:
        check_line(error)
