"""The journal: what is written is read back, whatever line a kill tore."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from beam_talonone.pipelines.backfill.sending.journal import Journal, JournalContent, read_journal
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.delivery.send_options import InFlight
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.http.send import LONGEST_ANSWER
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.telemetry.stats import Stats

APPLIED = Outcome(End.APPLIED, operation="track_event_v2", status=204, attempts=1)
DEAD = Outcome(End.DEAD, Reason.REFUSED.value, "no", "/a", "track_event_v2", 400, 2)


def journal(path: Path, stats: Stats | None = None) -> Journal:
    return Journal(path, lambda: stats or Stats())


def test_a_call_with_the_longest_answer_has_no_line_that_is_too_long(tmp_path: Path) -> None:
    """The answer stands there twice: its effects, and all of it."""
    path = tmp_path / "journal"
    effects = ["x" * (LONGEST_ANSWER - 100)]
    written = journal(path)
    written.on_end(1, replace(APPLIED, effects=effects, response={"effects": effects, "coupon": "c"}))
    written.close()
    assert path.stat().st_size > 2 * (LONGEST_ANSWER - 100)
    assert set(read_journal(path).done) == {1}


def test_what_ended_is_done_and_what_only_started_is_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written = journal(path)
    written.on_start([(1, 0)], 0, 100.0)
    written.on_start([(2, 0)], 0, 101.0)
    written.on_end(1, APPLIED)
    written.on_end(3, DEAD)
    written.close()
    content = read_journal(path)
    assert {number: outcome for number, (outcome, _) in content.done.items()} == {1: APPLIED, 3: DEAD}
    assert content.in_flight[2] == {0: InFlight(0, 101.0)}


@pytest.mark.parametrize("later", [0, 2], ids=["last", "before another"])
@pytest.mark.parametrize("step", ["start", "end"])
def test_a_process_that_was_killed_before_its_last_statistics_is_known(tmp_path: Path, step: str, later: int) -> None:
    path = tmp_path / "journal"
    ended = journal(path)
    ended.on_end(1, APPLIED)
    ended.close()
    journal(path)
    assert not read_journal(path).cut, "one sent all that it counted, the other nothing"
    killed = journal(path)
    if step == "start":
        killed.on_start([(2, 0)], 0, 100.0)
    else:
        killed.on_end(2, APPLIED)
    for _ in range(later):
        journal(path).close()
    assert read_journal(path).cut


def test_a_fresh_key_keeps_the_time_of_the_first_try(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written = journal(path)
    written.on_start([(1, 0)], 0, 100.0)
    written.on_start([(1, 0)], 1, 160.0)
    written.close()
    assert read_journal(path).in_flight[1][0] == InFlight(1, 100.0)


def test_what_is_known_not_to_have_acted_is_not_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written = journal(path)
    for number in (1, 2):
        written.on_start([(number, 0)], 0, 100.0)
        written.on_retract(number, 0)
    written.on_start([(2, 0)], 0, 160.0)
    written.close()
    content = read_journal(path).in_flight
    assert content[1] == {}
    assert content[2] == {0: InFlight(0, 160.0)}


def test_parts_of_a_record_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written = journal(path)
    written.on_end(4, APPLIED, 0)
    written.close()
    content = read_journal(path)
    assert content.parts == {4: {0: APPLIED}}
    assert 4 not in content.done


def test_a_bulk_goes_again_as_it_was_only_while_none_of_it_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written = journal(path)
    written.on_start([(1, 0), (2, 0)], 0, 100.0, bulk=True)
    written.on_start([(3, 0), (4, 0)], 0, 101.0, bulk=True)
    written.on_end(3, APPLIED)
    written.close()
    assert read_journal(path).packs == [([(1, 0), (2, 0)], InFlight(0, 100.0))]


@pytest.mark.parametrize("outcome", [APPLIED, Outcome(End.APPLIED, attempts=2, effects=[{"value": 1.50}])])
def test_records_of_a_bulk_that_ended_alike_take_one_line(tmp_path: Path, outcome: Outcome) -> None:
    path = tmp_path / "journal"
    written = journal(path)
    written.on_start([(1, 0), (2, 0), (3, 0)], 0, 100.0, bulk=True)
    written.on_end(2, DEAD)
    before = len(path.read_bytes().splitlines())
    written.on_ends([3, 1], outcome)
    assert len(path.read_bytes().splitlines()) == before + 1
    written.close()
    content = read_journal(path)
    assert {number: ended for number, (ended, _) in content.done.items()} == {1: outcome, 2: DEAD, 3: outcome}
    assert (content.packs, content.done) == ([], written.content(JournalContent()).done)


def test_a_torn_line_of_a_bulk_ends_none_of_it(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written = journal(path)
    written.on_start([(1, 0), (2, 0)], 0, 100.0, bulk=True)
    written.on_ends([1, 2], APPLIED)
    path.write_bytes(path.read_bytes()[:-1])
    again = journal(path)
    again.on_ends([7, 8], APPLIED)
    again.close()
    content = read_journal(path)
    assert (set(content.done), content.packs) == ({7, 8}, [([(1, 0), (2, 0)], InFlight(0, 100.0))])


def test_statistics_of_several_processes_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    for requests in (3, 5, 2):
        stats = Stats()
        written = journal(path, stats)
        for _ in range(requests):
            stats.tried("track_event_v2", 204, 10.0, retry=False)
            written.write_stats()
        written.close()
    content = [entry["operations"]["track_event_v2"]["requests"] for entry, _ in read_journal(path).stats]
    assert content == [3, 5, 2]


@given(cut=st.integers(min_value=0, max_value=400))
def test_a_torn_journal_loses_its_last_line_and_no_other(tmp_path_factory, cut: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal"
    written = journal(path)
    for number in range(1, 6):
        written.on_start([(number, 0)], 0, float(number))
        written.on_end(number, APPLIED)
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    whole = data.count(b"\n")
    again = journal(path)
    again.on_end(9, DEAD)
    content = read_journal(path)
    # opened, then started, done, started, done, ...; a last line that is whole but for its newline counts, too
    ended = max(0, whole - 1) // 2
    assert ended <= len(content.done) - 1 <= ended + 1
    assert content.done[9][0] == DEAD


def _three(path: Path) -> None:
    written = journal(path)
    for number in (1, 2, 3):
        written.on_start([(number, 0)], 0, 100.0)
        written.on_end(number, APPLIED)
    written.close()


@given(at=st.integers(min_value=0), other=st.integers(min_value=1, max_value=255))
def test_a_changed_byte_is_refused_with_its_place(tmp_path_factory, at: int, other: int) -> None:
    path = tmp_path_factory.mktemp("changed") / "journal"
    _three(path)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= other
    path.write_bytes(data)
    if data.endswith(b"\n"):
        with pytest.raises(ConfigurationError, match=rf"{path} is damaged \(line \d, from byte \d+\): put it back"):
            read_journal(path)
    else:  # as a kill leaves it
        assert set(read_journal(path).done) == {1, 2, 3}


def test_a_line_that_was_taken_out_is_noticed(tmp_path: Path) -> None:
    _three(tmp_path / "journal")
    lines = (tmp_path / "journal").read_bytes().splitlines(keepends=True)
    del lines[3]
    (tmp_path / "journal").write_bytes(b"".join(lines))
    with pytest.raises(ConfigurationError, match="line 4"):
        read_journal(tmp_path / "journal")


def test_the_journal_of_version_0_1_goes_on(tmp_path: Path) -> None:
    """It had no checksums, and went on behind a torn line."""
    path = tmp_path / "journal"
    applied = '{"end":"applied","operation":"track_event_v2","status":204,"attempts":1}'
    path.write_text(f'["o"]\n["d",1,{applied},100.0]\n["d",2,{applied[:20]}\n["o"]\n["s",2,0,0,100.0]\n["d",3')
    again = journal(path)
    again.on_end(4, DEAD)
    again.close()
    content = read_journal(path)
    assert set(content.done) == {1, 4}
    assert content.in_flight[2] == {0: InFlight(0, 100.0)}
    path.write_bytes(path.read_bytes().replace(b'["d",1,', b'["d",1;'))
    with pytest.raises(ConfigurationError, match="line 2"):
        read_journal(path)


@pytest.mark.parametrize(
    "line",
    [
        '["z",1]', '["d",1,{"end":"eaten"},1.0]', '["s",1]', "7", '["b",[[1]],0,1.0]',
        '["D",[1,"2"],{"end":"applied"},1.0]', '["D",1,{"end":"applied"},1.0]', '["D",[1],{"end":"eaten"},1.0]',
    ],
)  # fmt: skip
def test_a_line_that_says_nothing_we_know_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "journal").write_text(f'["o"]\n{line}\n')
    with pytest.raises(ConfigurationError, match="line 2"):
        read_journal(tmp_path / "journal")


def test_a_write_that_a_full_disk_cut_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    written = journal(path)
    real, room = os.write, [7]

    def full(file: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[: room.pop()])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        written.on_end(1, APPLIED)
    monkeypatch.setattr(os, "write", real)
    written.on_end(2, APPLIED)
    written.close()
    assert set(read_journal(path).done) == {2}


def test_a_journal_that_is_removed_or_cut_is_noticed(tmp_path: Path) -> None:
    for number, spoil in enumerate((Path.unlink, lambda path: os.truncate(path, 3))):
        path = tmp_path / f"journal-{number}"
        written = journal(path)
        written.on_end(1, APPLIED)
        spoil(path)
        with pytest.raises(StopRun, match=f"{path} was (removed|cut)"):
            written.write_stats()


class _Later:
    """Keeps what is to be called soon, as the loop of an engine does."""

    def __init__(self) -> None:
        self.actions: list[Callable[[], None]] = []

    def __call__(self, action: Callable[[], None]) -> None:
        self.actions.append(action)

    def run(self) -> None:
        for action in self.actions:
            action()
        self.actions.clear()


def test_ends_that_come_together_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, soon = tmp_path / "journal", _Later()
    written = Journal(path, Stats, soon=soon)
    sizes: list[int] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: sizes.append(len(data)) or write(file, data))
    for number in range(1, 4):
        written.on_end(number, APPLIED)
    assert (sizes, len(soon.actions), set(read_journal(path).done)) == ([], 1, set())
    soon.run()
    assert (len(sizes), set(read_journal(path).done)) == (1, {1, 2, 3})
    written.close()


@pytest.mark.parametrize("alike", [False, True])
def test_ends_are_on_disk_before_the_next_request_leaves(tmp_path: Path, alike: bool) -> None:
    path, soon = tmp_path / "journal", _Later()
    written = Journal(path, Stats, soon=soon)
    written.on_start([(1, 0)], 0, 100.0)
    if alike:
        written.on_ends([1], APPLIED)
    else:
        written.on_end(1, APPLIED)
    written.on_start([(2, 0)], 0, 101.0)
    content = read_journal(path)
    assert (set(content.done), content.in_flight[2]) == ({1}, {0: InFlight(0, 101.0)})
    soon.run()
    written.on_end(2, APPLIED)
    written.close()
    assert set(read_journal(path).done) == {1, 2}


def test_ends_wait_for_room_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, soon = tmp_path / "journal", _Later()
    written = Journal(path, Stats, soon=soon)
    written.on_end(1, APPLIED)
    real = os.write

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full"):
        soon.run()
    with pytest.raises(OSError, match="full"):
        written.on_start([(2, 0)], 0, 100.0)
    monkeypatch.setattr(os, "write", real)
    written.close()
    content = read_journal(path)
    assert (set(content.done), content.in_flight) == ({1}, {})


def test_requests_that_leave_together_are_noted_with_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, soon = tmp_path / "journal", _Later()
    written = Journal(path, Stats, soon=soon)
    writes: list[bytes] = []
    real = os.write

    def write(file: int, data: bytes) -> int:
        writes.append(data)
        return real(file, data)

    monkeypatch.setattr(os, "write", write)
    written.on_end(1, APPLIED)
    written.on_starts([(2, 0), (3, 1)], 101.5)
    assert len(writes) == 1
    content = read_journal(path)
    assert (set(content.done), content.in_flight) == ({1}, {2: {0: InFlight(0, 101.5)}, 3: {1: InFlight(0, 101.5)}})
    written.close()


def test_starts_that_find_no_room_are_not_noted_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, soon = tmp_path / "journal", _Later()
    written = Journal(path, Stats, soon=soon)
    written.on_end(1, APPLIED)
    with monkeypatch.context() as patched:

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "full")

        patched.setattr(os, "write", full)
        with pytest.raises(OSError, match="full"):
            written.on_starts([(2, 0), (3, 0)], 101.0)
    written.close()
    content = read_journal(path)
    assert (set(content.done), content.in_flight) == ({1}, {})


@pytest.mark.parametrize("together", [False, True])
def test_the_ends_in_the_journal_of_the_slice_before_are_written_before_a_start(
    tmp_path: Path, together: bool
) -> None:
    soon = _Later()
    first, second = Journal(tmp_path / "first", Stats, soon=soon), Journal(tmp_path / "second", Stats, soon=soon)
    second.earlier = first
    first.on_end(1, APPLIED)
    assert not read_journal(tmp_path / "first").done
    if together:
        second.on_starts([(2, 0)], 101.5)
    else:
        second.on_start([(2, 0)], 0, 101.5)
    assert set(read_journal(tmp_path / "first").done) == {1}
    first.close()
    second.on_start([(3, 0)], 0, 102.0)
    second.close()
