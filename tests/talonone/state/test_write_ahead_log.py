"""The log of what is in flight: read again after a kill at any byte, and shortened without losing anything."""

import errno
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.process.left_open import open_files

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state import append_log, write_ahead_log
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog

NOW = float(int(time.time()))
DONE, DEAD = Outcome(End.APPLIED, operation="track_event_v2", status=204), Outcome(End.DEAD, "refused", "no", "/a")
REUSED, UNKNOWN = Outcome(End.DEAD, "id_reused"), Outcome(End.DEAD, "outcome_unknown")


def record(kind, **fields):
    given_ = {"event_time": "2026-05-01T12:00:00Z", "customer_id": "c", **fields}
    return build(kind, parse(kind, given_).record, BuildOptions())


EVENT = record("events", event_id="e", type="view")
ORDER = record("orders", order_id="o", status="completed", items=[])
RETURN = record("returns", return_id="r", order_id="o", items=[{"sku": "s", "quantity": 1}])
ONE = record("profiles", customer_id="één", attributes={"a": 1}, audiences={"add": [1]})
OTHER = record("profiles", customer_id="d", attributes={"a": 1}, audiences={"add": [1]})
WORKS = [EVENT, ORDER, RETURN, ONE, OTHER]


def name(work):
    return work.identity.hex()


def let_go(log, number, work):
    """As a sequencer and a stream do it."""
    log._memory.sent(work, NOW)
    return log.sent(number, work)


def reopened(path):
    store = Store()
    return WriteAheadLog(path, PendingOverlay(store)), store


def test_what_was_written_is_read_again(tmp_path):
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    for number, work in enumerate([EVENT, ORDER, ONE, OTHER]):
        let_go(log, number, work)
    log.on_start([(0, 0)], 1, NOW + 1)
    log.on_start([(1, 0)], 0, NOW + 1)
    log.on_retract(1, 0)
    log.on_start([(2, 0), (3, 0)], 2, NOW + 2, bulk=True)
    log.on_end(2, DONE, 1)
    again, store = reopened(path)
    assert again.open[name(EVENT)].in_flight == {0: InFlight(1, NOW + 1)}
    assert name(ORDER) not in again.open, "the API did not act on it"
    assert again.bulks == {((name(ONE), 0), (name(OTHER), 0)): InFlight(2, NOW + 2)}
    assert again.open[name(ONE)].parts == {1: DONE}
    assert let_go(again, 7, ONE).in_flight == {0: InFlight(2, NOW + 2)}
    assert store.last_order("o") == ORDER.order()
    assert store.customer_of("o") == "c"


def test_a_further_try_has_the_time_of_the_first(tmp_path):
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    let_go(log, 0, EVENT)
    let_go(log, 1, ONE)
    log.on_start([(0, 0)], 0, NOW)
    log.on_start([(1, 0)], 0, NOW, bulk=True)
    for later in (NOW + 100, NOW + 200):
        log = WriteAheadLog(path, PendingOverlay(Store()))
        let_go(log, 0, EVENT)
        let_go(log, 1, ONE)
        log.on_start([(0, 0)], 0, later)
        log.on_start([(1, 0)], 0, later, bulk=True)
    again, _ = reopened(path)
    assert again.open[name(EVENT)].in_flight == {0: InFlight(0, NOW)}
    assert again.bulks == {((name(ONE), 0),): InFlight(0, NOW)}


def test_what_ended_is_known_and_what_is_a_dead_letter_may_come_again(tmp_path):
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    for number, work in enumerate([EVENT, ORDER]):
        let_go(log, number, work)
        log.on_start([(number, 0)], 0, NOW)
        log.job_ended(number, DONE, NOW)
    log.ended(EVENT, DONE, NOW)
    log.forget(ORDER, DEAD)
    again, store = reopened(path)
    assert again.open == {}
    assert store.content(EVENT.identity) == EVENT.content
    assert store.content(ORDER.identity) is None


def test_a_return_that_came_before_its_order_leaves_no_mark(tmp_path):
    """Else the order, and all of its customer that is older, would be late after a kill, and wait for nothing."""
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    let_go(log, 0, RETURN)
    log.job_ended(0, DONE, NOW)
    _, store = reopened(path)
    assert store.last_of(("session", "o")) is None
    log = WriteAheadLog(path, PendingOverlay(Store()))
    let_go(log, 0, RETURN)
    log.job_ended(0, DONE, NOW)
    log.ended(RETURN, DONE, NOW)
    _, store = reopened(path)
    assert store.last_of(("session", "o")) == store.last_of(("profile", "c")) == RETURN.order()


def test_the_letter_of_another_record_of_its_id_forgets_nothing_of_what_is_in_flight(tmp_path):
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    reused = record("events", event_id="e", type="other")
    assert reused.identity == EVENT.identity
    let_go(log, 0, EVENT)
    log.on_start([(0, 0)], 0, NOW)
    log.forget(reused, REUSED)
    again, _ = reopened(path)
    assert again.open[name(EVENT)].in_flight == {0: InFlight(0, NOW)}


@pytest.mark.parametrize("parts_done", [None, [0]])
def test_what_may_have_acted_stays_known_though_it_is_a_dead_letter(tmp_path, parts_done):
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    let_go(log, 0, EVENT)
    log.on_start([(0, 0)], 0, NOW)
    log.job_ended(0, UNKNOWN, NOW)
    outcome = UNKNOWN if parts_done is None else Outcome(End.DEAD, "refused", parts_done=parts_done)
    log.forget(EVENT, outcome)
    for known in (log, reopened(path)[0]):
        assert known.open[name(EVENT)].in_flight == {0: InFlight(0, NOW)}


def test_of_another_record_with_its_id_nothing_is_taken_over(tmp_path):
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    reused = record("events", event_id="e", type="other")
    let_go(log, 0, EVENT)
    log.on_start([(0, 0)], 0, NOW)
    assert [log.is_of_another(work) for work in (reused, EVENT, ORDER)] == [True, False, False]
    again, _ = reopened(path)
    assert [again.is_of_another(work) for work in (reused, EVENT)] == [True, False]
    path.write_text(f'["s","{name(EVENT)}",0,0,{NOW}]\n')  # as 0.1 wrote it
    again, _ = reopened(path)
    assert again.open[name(EVENT)].in_flight
    assert not again.is_of_another(reused)


def test_a_disk_that_is_full_when_it_is_shortened_leaves_it_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    monkeypatch.setattr(write_ahead_log, "LARGE", 1)
    log = WriteAheadLog(path, PendingOverlay(Store()))
    let_go(log, 0, EVENT)
    log.on_start([(0, 0)], 0, NOW)
    before = path.read_bytes()

    def full(file):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(append_log.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        log.cut_if_large()
    monkeypatch.undo()
    assert path.read_bytes() == before
    log.on_retract(0, 0)
    assert path.read_bytes() != before, "it goes on where it was"
    assert name(EVENT) not in reopened(path)[0].open


def test_a_bulk_of_which_something_ended_is_none(tmp_path):
    for end in ("ended", "forget", "part_done", "packed"):
        path = tmp_path / f"{end}.jsonl"
        log = WriteAheadLog(path, PendingOverlay(Store()))
        let_go(log, 0, ONE)
        let_go(log, 1, OTHER)
        log.on_start([(0, 0), (1, 0)], 0, NOW, bulk=True)
        if end == "part_done":
            log.on_end(0, DONE, 0)
        elif end == "packed":
            log.on_start([(1, 0)], 0, NOW, bulk=True)
        else:
            log.job_ended(0, DONE, NOW)
            getattr(log, end)(ONE, *([DONE, NOW] if end == "ended" else [DEAD]))
        again, _ = reopened(path)
        assert again.bulks == ({((name(OTHER), 0),): InFlight(0, NOW)} if end == "packed" else {}), end
        assert again.open[name(OTHER)].in_flight == {0: InFlight(0, NOW)}


def test_what_is_older_than_any_message_is_forgotten(tmp_path):
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    let_go(log, 0, EVENT)
    log.on_start([(0, 0)], 0, NOW - 9 * 86_400)
    let_go(log, 1, ORDER)
    log.on_start([(1, 0)], 0, NOW - 7 * 86_400)
    again, _ = reopened(path)
    assert list(again.open) == [name(ORDER)]


def test_a_line_that_the_disk_had_no_room_for_harms_no_other(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    log = WriteAheadLog(path, PendingOverlay(Store()))
    let_go(log, 0, EVENT)
    let_go(log, 1, ORDER)
    write, full = os.pwrite, [True]

    def half(file, data, at):
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "no space left")
        return write(file, data[: len(data) // 2], at)

    monkeypatch.setattr(append_log.os, "pwrite", lambda *given: half(*given) if full[0] else write(*given))
    with pytest.raises(OSError, match="no space"):
        log.on_start([(0, 0)], 0, NOW)
    full[0] = False
    log.on_start([(1, 0)], 0, NOW)
    again, _ = reopened(path)
    assert again.open[name(ORDER)].in_flight == {0: InFlight(0, NOW)}


@dataclass
class Model:
    """Drives a log by what was drawn and knows what must be read of it, in `seen` for each length of the file."""

    log: WriteAheadLog
    path: Path
    cuts: bool = False
    number: int = 0
    leaving: dict[int, int] = field(default_factory=dict)
    """Place in WORKS -> number of its job."""
    in_flight: dict[str, dict[int, InFlight]] = field(default_factory=dict)
    parts: dict[str, dict[int, Outcome]] = field(default_factory=dict)
    bulks: list[tuple[tuple[tuple[str, int], ...], InFlight]] = field(default_factory=list)
    ended: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[int, tuple]] = field(default_factory=list)

    def state(self):
        of_open = {who: (dict(sent), dict(self.parts.get(who, {}))) for who, sent in self.in_flight.items() if sent}
        return of_open, dict(self.bulks), dict(self.ended)

    def step(self, what, which, part, at):
        place = which % len(WORKS)
        work = WORKS[place]
        part = part % len(work.parts)
        if place not in self.leaving:
            self.number += 1
            self.leaving[place] = self.number
            let_go(self.log, self.number, work)
        elif what in ("done", "dead") or part not in self.parts.get(name(work), {}):
            getattr(self, what)(place, work, part, at)
        if self.cuts:
            self.log._store.commit()
            self.log.cut_if_large()
        self.seen.append((self.log.size, self.state()))

    def note(self, work, part, at, first=None):
        known = self.in_flight.setdefault(name(work), {})
        known[part] = InFlight(0, known[part].first_sent if part in known else at)

    def started(self, place, work, part, at):
        self.log.on_start([(self.leaving[place], part)], 0, at)
        self.note(work, part, at)

    def withdrawn(self, place, work, part, at):
        if not any((name(work), part) in members for members, _ in self.bulks):
            self.log.on_retract(self.leaving[place], part)
            self.in_flight.get(name(work), {}).pop(part, None)

    def packed(self, place, work, part, at):
        profiles = [one for one in self.leaving if WORKS[one].kind == "profiles"]
        travel = [one for one in profiles if 0 not in self.parts.get(name(WORKS[one]), {})]
        if not travel:
            return
        members = tuple((name(WORKS[one]), 0) for one in travel)
        self.log.on_start([(self.leaving[one], 0) for one in travel], 0, at, bulk=True)
        for one in travel:
            self.note(WORKS[one], 0, at)
        first = next((before.first_sent for known, before in self.bulks if known == members), at)
        self.no_bulk_of({who for who, _ in members})
        self.bulks.append((members, InFlight(0, first)))

    def part_done(self, place, work, part, at):
        self.log.on_end(self.leaving[place], DONE, part)
        self.parts.setdefault(name(work), {})[part] = DONE
        self.bulks = [(members, before) for members, before in self.bulks if (name(work), part) not in members]

    def done(self, place, work, part, at):
        self.end(place, work)
        self.log._store.ended(work, at)  # as the sequencer does
        self.log.ended(work, DONE, at)
        self.ended[name(work)] = work.content

    def dead(self, place, work, part, at):
        self.end(place, work)
        self.log.forget(work, DEAD)

    def end(self, place, work):
        self.log.job_ended(self.leaving.pop(place), DONE, NOW)
        self.in_flight.pop(name(work), None)
        self.parts.pop(name(work), None)
        self.no_bulk_of({name(work)})

    def no_bulk_of(self, names):
        self.bulks = [(m, before) for m, before in self.bulks if not names & {who for who, _ in m}]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["started", "withdrawn", "packed", "part_done", "done", "dead"]),
        st.integers(0, len(WORKS) - 1),
        st.integers(0, 1),
        st.integers(0, 5).map(lambda seconds: NOW + seconds),
    ),
    max_size=25,
)


def read(path, kept=None):
    """What a log says, and a store that took in what it said: open requests, bulks, and what has ended."""
    store = Store(kept)
    log = WriteAheadLog(path, PendingOverlay(store))
    of_open = {who: (known.in_flight, known.parts) for who, known in log.open.items() if known.in_flight}
    ended = {name(work): content for work in WORKS if (content := store.content(work.identity)) is not None}
    store.close()
    return of_open, log.bulks, ended


@given(STEPS, st.data())
def test_a_kill_at_any_byte_loses_at_most_the_last_line(steps, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.jsonl")
        model = Model(WriteAheadLog(path, PendingOverlay(Store())), path)
        model.seen.append((0, model.state()))
        for step in steps:
            model.step(*step)
        written = path.read_bytes()[: model.log.size]
        cut = data.draw(st.integers(0, len(written)))
        path.write_bytes(written[:cut] + bytes(data.draw(st.sampled_from([0, 7, append_log.STEP]))))
        # a line lacks nothing but its end: it counts
        expected = [state for size, state in model.seen if size <= cut + 1][-1]
        store = Path(folder, "store.sqlite")
        assert read(path, store) == expected
        assert read(path, store) == expected, "what is written anew says the same"


@given(STEPS)
def test_a_log_that_is_shortened_loses_nothing(steps):
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(write_ahead_log, "LARGE", 400):
        path = Path(folder, "log.jsonl")
        store = Store(Path(folder, "store.sqlite"))
        model = Model(WriteAheadLog(path, PendingOverlay(store)), path, cuts=True)
        for step in steps:
            model.step(*step)
        store.commit()
        assert read(path, Path(folder, "store.sqlite")) == model.state()


def test_a_log_that_cannot_be_begun_is_closed(tmp_path, monkeypatch):
    def full(log):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(append_log.MappedAppendLog, "sync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        WriteAheadLog(tmp_path / "log.jsonl", PendingOverlay(Store()))
    assert raised.value.errno == errno.ENOSPC
    assert open_files(tmp_path) == set()
