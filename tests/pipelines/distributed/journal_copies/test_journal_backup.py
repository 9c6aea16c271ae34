"""The journal beside the output: what is there when a worker vanishes, and what is fetched by the next."""

import itertools
import json
import os
import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support.servers import memory_files

from beam_talonone.pipelines.distributed.journal_copies import journal_backup
from beam_talonone.pipelines.distributed.journal_copies.journal_backup import MOST_PARTS, JournalBackup
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.talonone.state.sealed_lines import Damaged


@pytest.fixture
def place(tmp_path):
    return Place(str(tmp_path / "state"))


@pytest.fixture
def journals(tmp_path):
    (tmp_path / "here").mkdir()
    return lambda name: tmp_path / "here" / f"{name}.jsonl"


def mirror(place, **more):
    made = JournalBackup(place, **more)
    made.close()  # its thread copies every two seconds: here that is done by hand
    return made


def names(place):
    return place.names("*")


def test_what_a_journal_gets_is_copied_in_parts_of_whole_lines(place, journals):
    one, journal = mirror(place), journals("slice-000001")
    one.follow("slice-000001", journal)
    journal.write_bytes(b'["a"]\n["b"]\n["to')
    one._copy()
    journal.write_bytes(b'["a"]\n["b"]\n["torn"]\n')
    one._copy()
    one._copy()
    assert [place.read(name) for name in names(place)] == [b'["a"]\n["b"]\n', b'["torn"]\n']
    journal.unlink()
    assert mirror(place).fetch(journals) == {}
    assert journal.read_bytes() == b'["a"]\n["b"]\n["torn"]\n'


def append(journal, text):
    with journal.open("ab") as file:
        file.write(text)


def test_the_next_one_copies_only_what_is_new_and_stands_behind(place, journals):
    journal = journals("slice-000001")
    for text in (b"[1]\n", b"[2]\n", b"[3]\n"):
        one, _ = attempt(place, journal)
        append(journal, text)
        one._copy()
        journal.unlink()
    assert [place.read(name) for name in names(place)] == [b"[1]\n", b"[2]\n", b"[3]\n"]
    mirror(place).fetch(journals)
    assert journal.read_bytes() == b"[1]\n[2]\n[3]\n"


def test_a_run_that_ends_in_the_middle_of_a_slice_leaves_one_file(place, journals):
    journal = journals("slice-000001")
    for text in (b"[1]\n", b"[2]\n", b'[3]\n["torn'):
        one, _ = attempt(place, journal)
        append(journal, text)
        one._copy()
        one.ended()
        one._copy()
        assert len(names(place)) == 1, names(place)
        journal.unlink()
    mirror(place).fetch(journals)
    assert journal.read_bytes() == b"[1]\n[2]\n[3]\n"


def test_parts_that_a_killed_run_did_not_delete_are_not_read_twice(place, journals, monkeypatch):
    journal = journals("slice-000001")
    one = mirror(place)
    one.follow("slice-000001", journal)
    append(journal, b"[1]\n")
    one._copy()
    append(journal, b"[2]\n")
    monkeypatch.setattr(place, "delete", lambda names: None)
    one.ended()
    two = mirror(place)
    two.fetch(journals)
    two.follow("slice-000001", journal)
    append(journal, b"[3]\n")
    two._copy()
    assert len(names(place)) == 3
    journal.unlink()
    mirror(place).fetch(journals)
    assert journal.read_bytes() == b"[1]\n[2]\n[3]\n"


def test_a_worker_whose_clock_is_behind_stands_behind_all_the_same(place, journals, monkeypatch):
    journal = journals("slice-000001")
    for now, text in ((5_000.0, b"[1]\n"), (1_000.0, b"[2]\n"), (1_000.0, b"[3]\n")):
        monkeypatch.setattr("time.time", lambda now=now: now)
        one = mirror(place)
        one.fetch(journals)
        one.follow("slice-000001", journal)
        append(journal, text)
        one._copy()
        journal.unlink()
    mirror(place).fetch(journals)
    assert journal.read_bytes() == b"[1]\n[2]\n[3]\n"


def test_an_attempt_that_ends_late_leaves_what_the_next_one_has_written(place, journals, tmp_path):
    """A runner may try a bundle again although the first attempt still runs."""
    late, journal = mirror(place), journals("slice-000001")
    late.follow("slice-000001", journal)
    append(journal, b"[1]\n")
    late._copy()
    other = tmp_path / "other.jsonl"
    again = mirror(place)
    again.fetch(lambda name: other)
    again.follow("slice-000001", other)
    append(other, b"[2]\n")
    again._copy()
    late.ended()
    mirror(place).fetch(journals)
    assert journal.read_bytes() == b"[1]\n[2]\n"


def attempt(place, journal):
    """An attempt that has fetched what is there, with a journal of its own."""
    one = mirror(place)
    let_go = one.fetch(lambda name: journal)
    one.follow("slice-000001", journal)
    append(journal, b"")  # a run opens its journal before it lets go anything
    return one, let_go.get("slice-000001", [])


def fetched(place, tmp_path):
    """The journal, and what was let go, as the next attempt finds them."""
    journal = tmp_path / "next.jsonl"
    _, let_go = attempt(place, journal)
    content = journal.read_bytes()
    journal.unlink()
    return content, let_go


def test_a_journal_that_was_cut_or_removed_takes_nothing_from_its_copy(place, tmp_path):
    for number, spoil in enumerate((lambda path: os.truncate(path, 4), lambda path: path.unlink())):
        one, _ = attempt(place, journal := tmp_path / f"{number}.jsonl")
        before = fetched(place, tmp_path)[0]
        append(journal, b"[1]\n[2]\n[3]\n")
        one.let_go(500, float(number))
        one._copy()
        spoil(journal)
        one.ended()
        content, let_go = fetched(place, tmp_path)
        assert content == before + b"[1]\n[2]\n[3]\n"
        assert len(let_go) == number + 1
        with pytest.raises(Damaged, match=f"{journal} is damaged: the file was removed or cut"):
            one.complete("slice-000001", journal)


def test_a_journal_that_was_cut_behind_its_copy_keeps_what_was_let_go(place, tmp_path):
    one, _ = attempt(place, journal := tmp_path / "one.jsonl")
    append(journal, b"[1]\n")
    one.let_go(500, 1.0)
    one._copy()
    append(journal, b"[2]\n")
    one.ended(least=12)
    assert fetched(place, tmp_path) == (b"[1]\n", [(500, 1.0)])


def test_an_attempt_that_ends_late_leaves_what_the_next_one_let_go(place, tmp_path):
    late, _ = attempt(place, tmp_path / "late.jsonl")
    late.let_go(500, 1.0)
    again, let_go = attempt(place, tmp_path / "again.jsonl")
    assert let_go == [(500, 1.0)]
    again.let_go(900, 2.0)
    late.let_go(700, 3.0)
    assert fetched(place, tmp_path)[1] == [(500, 1.0), (700, 2.0), (900, 2.0)]
    append(tmp_path / "late.jsonl", b"[1]\n")
    late.ended()
    assert fetched(place, tmp_path) == (b"[1]\n", [(900, 2.0)])


def test_files_that_others_replace_between_the_look_and_the_read_are_looked_for_again(place, tmp_path, monkeypatch):
    late, _ = attempt(place, tmp_path / "late.jsonl")
    append(tmp_path / "late.jsonl", b"[1]\n")
    late.let_go(500, 1.0)
    late._copy()
    look, looks = place.names, []

    def names(pattern):
        found = look(pattern)
        if not looks:
            looks.append(pattern)
            late.ended()
        return found

    monkeypatch.setattr(place, "names", names)
    assert fetched(place, tmp_path) == (b"[1]\n", [])
    again, _ = attempt(place, tmp_path / "again.jsonl")
    append(tmp_path / "again.jsonl", b"[2]\n")

    def completing(pattern):
        found = look(pattern)
        if len(looks) == 1:
            looks.append(pattern)
            again.complete("slice-000001", tmp_path / "again.jsonl")
        return found

    monkeypatch.setattr(place, "names", completing)
    assert fetched(place, tmp_path) == (b"[1]\n[2]\n", [])


def test_a_part_that_is_gone_is_named(place, tmp_path):
    one, _ = attempt(place, journal := tmp_path / "one.jsonl")
    for text in (b"[1]\n", b"[2]\n"):
        append(journal, text)
        one._copy()
    [first, second] = place.names("*.part")
    place.delete([first])
    with pytest.raises(Damaged, match=f"{second} is damaged: the file is missing, or one before it"):
        attempt(place, tmp_path / "other.jsonl")


def test_a_whole_part_that_breaks_off_is_named(place, tmp_path):
    one, _ = attempt(place, journal := tmp_path / "one.jsonl")
    append(journal, b"[1]\n")
    one.ended()
    [name] = place.names("*.part")
    for broken in (place.read(name)[:-1], b"", b"[3]\n", b"no json\n"):
        place.write(broken, name)
        with pytest.raises(Damaged, match=name):
            attempt(place, tmp_path / "other.jsonl")


class Attempts(RuleBasedStateMachine):
    """Attempts of one bundle that run at a time, with clocks of their own. Each line that one of them copied stays,
    once and in its order. What a lost one had let go stays, too."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(journal_backup, "MOST_PARTS", 2)
        self.folder = Path(tempfile.mkdtemp())
        self.place = Place(str(self.folder / "state"))
        self.running, self.lines, self.copied, self.lost_let_go, self.number = {}, {}, {}, set(), 0

    @rule(clock=st.integers(0, 5))
    def begin(self, clock):
        self.number += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("time.time", lambda: float(clock))
            one, _ = attempt(self.place, self.folder / f"{self.number}.jsonl")
        self.running[self.number], self.lines[self.number], self.copied[self.number] = one, [], 0

    def _one(self, data):
        return data.draw(st.sampled_from(sorted(self.running)))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def write(self, data):
        number = self._one(data)
        line = b"[%d,%d]\n" % (number, len(self.lines[number]))
        self.lines[number].append(line)
        append(self.folder / f"{number}.jsonl", line)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def copy(self, data):
        number = self._one(data)
        self.running[number]._copy()
        self.copied[number] = len(self.lines[number])

    @precondition(lambda self: self.running)
    @rule(data=st.data(), lost=st.booleans())
    def end(self, data, lost):
        number = self._one(data)
        one = self.running.pop(number)
        one.let_go(number, 1.0)
        if lost:
            self.lost_let_go.add(number)
        else:
            one.ended()
            self.copied[number] = len(self.lines[number])

    @invariant()
    def what_was_copied_is_found(self):
        content, let_go = fetched(self.place, self.folder)
        expected = sorted(line for number, lines in self.lines.items() for line in lines[: self.copied[number]])
        assert sorted(content.splitlines(keepends=True)) == expected
        for number, lines in self.lines.items():
            own = [line for line in content.splitlines(keepends=True) if line.startswith(b"[%d," % number)]
            assert own == lines[: self.copied[number]]
        assert {last for last, _ in let_go} == self.lost_let_go

    def teardown(self):
        self.patch.undo()
        shutil.rmtree(self.folder)


TestAttempts = Attempts.TestCase
TestAttempts.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


def test_parts_and_what_was_let_go_of_version_0_1_are_read(place, tmp_path):
    place.write(b"[1]\n", "slice-000001.1700000000000-aaaaaaaa-000000.part")
    place.write(b"[2]\n", "slice-000001.1700000000000-aaaaaaaa-000001.part")
    place.write(b"[3]\n", "slice-000001.1700000000005-bbbbbbbb-000000.part")
    place.write(b"[[500, 1.0]]", "slice-000001.let-go")
    one, let_go = attempt(place, journal := tmp_path / "one.jsonl")
    assert (journal.read_bytes(), let_go) == (b"[1]\n[2]\n[3]\n", [(500, 1.0)])
    append(journal, b"[4]\n")
    one.ended()
    assert fetched(place, tmp_path) == (b"[1]\n[2]\n[3]\n[4]\n", [(500, 1.0)])
    one.complete("slice-000001", journal)
    assert names(place) == ["slice-000001.jsonl"]


def test_own_parts_are_deleted_with_one_request(place, tmp_path, monkeypatch):
    one, _ = attempt(place, journal := tmp_path / "one.jsonl")
    for number in range(5):
        append(journal, b"[%d]\n" % number)
        one._copy()
    deleted, delete = [], place.delete
    monkeypatch.setattr(place, "delete", lambda names: (deleted.append(names), delete(names)))
    one.ended()
    assert [len(names) for names in deleted if names] == [1]
    assert len(names(place)) == 1


@pytest.fixture
def bucket(tmp_path):
    """A place whose requests are counted."""
    memory_files.REQUESTS.clear()
    return Place(f"mem://bucket/{tmp_path.name}")


def asked(sort):
    return [name.rpartition("/")[2] for what, name in memory_files.REQUESTS if what == sort]


def test_a_slice_of_hours_leaves_few_parts_and_needs_few_deletions(bucket, tmp_path):
    one, _ = attempt(bucket, journal := tmp_path / "one.jsonl")
    most = 0
    for number in range(1000):
        append(journal, b"[%d]\n" % number)
        one._copy()
        most = max(most, len(names(bucket)))
        if number % 101 == 0:
            assert fetched(bucket, tmp_path)[0] == journal.read_bytes()
    assert most <= MOST_PARTS + 1, "the one that takes the place of the others is written first"
    assert len(asked("delete")) <= 1000 / (MOST_PARTS - 1) + 1
    whole = journal.read_bytes()
    memory_files.REQUESTS.clear()
    next_one, _ = attempt(bucket, tmp_path / "other.jsonl")  # the first one has vanished
    append(tmp_path / "other.jsonl", b"[1000]\n")
    next_one.ended()
    assert len(asked("delete")) <= MOST_PARTS + 2
    assert len(names(bucket)) == 1
    assert fetched(bucket, tmp_path)[0] == whole + b"[1000]\n"


def test_parts_that_were_joined_and_not_deleted_are_not_read_twice(bucket, tmp_path, monkeypatch):
    one, _ = attempt(bucket, journal := tmp_path / "one.jsonl")

    def vanishes(names):
        raise OSError("the worker is lost")

    monkeypatch.setattr(bucket, "delete", vanishes)
    for number in range(MOST_PARTS):
        append(journal, b"[%d]\n" % number)
        one._copy()
    append(journal, b"[1000]\n")
    with pytest.raises(OSError, match="lost"):
        one._copy()
    monkeypatch.undo()
    assert len(names(bucket)) == MOST_PARTS + 1
    assert fetched(bucket, tmp_path)[0] == journal.read_bytes()


def test_an_attempt_that_ends_takes_nothing_that_another_has_joined_since(place, tmp_path):
    one, _ = attempt(place, tmp_path / "1.jsonl")
    for number in range(MOST_PARTS):
        append(tmp_path / "1.jsonl", b"[1,%d]\n" % number)
        one._copy()
    two, _ = attempt(place, tmp_path / "2.jsonl")
    append(tmp_path / "2.jsonl", b"[2,0]\n")
    for number in range(MOST_PARTS, 2 * MOST_PARTS):
        append(tmp_path / "1.jsonl", b"[1,%d]\n" % number)
        one._copy()
    two.ended()
    content, _ = fetched(place, tmp_path)
    expected = [*(b"[1,%d]\n" % number for number in range(2 * MOST_PARTS)), b"[2,0]\n"]
    assert content.splitlines(keepends=True) == expected


def test_parts_stay_where_their_journal_was_cut(bucket, tmp_path):
    one, _ = attempt(bucket, journal := tmp_path / "one.jsonl")
    for number in range(MOST_PARTS):
        append(journal, b"[%d]\n" % number)
        one._copy()
    before = fetched(bucket, tmp_path)[0]
    os.truncate(journal, 8)
    one._copy()
    assert fetched(bucket, tmp_path)[0] == before


def test_one_object_is_written_once_a_second_at_most(bucket, tmp_path, monkeypatch):
    """Records that need no request are let go one after the other."""
    now, written = [100.0], []
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    write = bucket.write
    monkeypatch.setattr(bucket, "write", lambda data, *name: (written.append(now[0]), write(data, *name)))

    def sleep(seconds):
        now[0] += seconds

    one = mirror(bucket, sleep=sleep)
    one.follow("slice-000001", tmp_path / "one.jsonl")
    for number in range(1, 6):
        one.let_go(100 * number, float(number))
        now[0] += 0.125
    assert [later - earlier for earlier, later in itertools.pairwise(written)] == [1.0] * 4
    one.follow("slice-000002", tmp_path / "two.jsonl")
    before = now[0]
    one.let_go(700, 7.0)
    assert now[0] == before, "another object"


def test_nobody_waits_for_a_file_of_this_machine(place, tmp_path):
    one = mirror(place, sleep=lambda seconds: pytest.fail("it waits"))
    one.follow("slice-000001", tmp_path / "one.jsonl")
    for number in range(1, 6):
        one.let_go(100 * number, float(number))


def test_a_worker_that_has_the_first_slices_fetches_the_others(place, journals):
    for number in (1, 2, 3):
        place.write(b"[%d]\n" % number, f"slice-00000{number}.jsonl")
    one = mirror(place)
    one.fetch(journals, first=3)
    assert (one.whole, journals("slice-000001").exists()) == ({"slice-000003"}, False)
    assert journals("slice-000003").read_bytes() == b"[3]\n"


def test_a_complete_slice_is_one_file(place, journals):
    one, journal = mirror(place), journals("slice-000001")
    one.follow("slice-000001", journal)
    journal.write_bytes(b"[1]\n")
    one.let_go(500, 1.0)
    one._copy()
    journal.write_bytes(b"[1]\n[2]\n")
    one.complete("slice-000001", journal)
    assert names(place) == ["slice-000001.jsonl"]
    assert place.read("slice-000001.jsonl") == b"[1]\n[2]\n"


def test_what_was_let_go_is_told_after_a_kill_and_not_after_an_end_in_order(place, journals):
    place.write(b"[0]\n", "slice-000001.jsonl")
    one = mirror(place)
    one.follow("slice-000002", journals("slice-000002"))
    one.let_go(10_500, 1.0)
    one.let_go(11_000, 6.0)
    assert mirror(place).fetch(journals) == {"slice-000002": [(10_500, 1.0), (11_000, 6.0)]}
    again = mirror(place)
    append(journals("slice-000002"), b"[1]\n")
    again.follow("slice-000002", journals("slice-000002"))
    again.let_go(11_500, 9.0)
    assert mirror(place).fetch(journals) == {"slice-000002": [(10_500, 1.0), (11_000, 6.0), (11_500, 9.0)]}
    again.ended()
    left = {"slice-000002": [(10_500, 1.0), (11_000, 6.0)]}
    assert mirror(place).fetch(journals) == left, "these may not have had their turn"
    again.complete("slice-000002", journals("slice-000002"))
    assert mirror(place).fetch(journals, first=2) == {}


def test_nothing_is_let_go_while_it_cannot_be_written(place, journals, monkeypatch):
    waits, write = [], place.write

    def failing(data, *name):
        if len(waits) < 3:
            raise OSError("no room")
        write(data, *name)

    monkeypatch.setattr(place, "write", failing)
    one = mirror(place, sleep=waits.append)
    one.follow("slice-000001", journals("slice-000001"))
    one.let_go(500, 1.0)
    assert waits == [1.0, 2.0, 4.0]
    [name] = place.names("slice-000001.*.let-go")
    assert json.loads(place.read(name)) == [[500, 1.0]]


def test_its_own_thread_copies(place, journals, monkeypatch):
    monkeypatch.setattr("beam_talonone.pipelines.distributed.journal_copies.journal_backup.COPY_EVERY", 0.01)
    written = threading.Event()
    write = place.write
    monkeypatch.setattr(place, "write", lambda data, *name: (write(data, *name), written.set()))
    one, journal = JournalBackup(place), journals("slice-000001")
    one.follow("slice-000001", journal)
    journal.write_bytes(b"[1]\n")
    assert written.wait(20)
    one.close()
    assert [place.read(name) for name in names(place)] == [b"[1]\n"]


def test_a_place_reads_what_it_wrote_and_nothing_of_what_is_not_there(place):
    assert place.read("a.json") is None
    assert names(place) == []
    place.write(b"1", "a.json")
    place.write(b"2", "a.json")
    place.write(b"3", "deep", "b.json")
    assert (place.read("a.json"), place.read("deep", "b.json")) == (b"2", b"3")
    assert "a.json" in names(place)
    place.delete(["a.json"])
    assert place.read("a.json") is None
