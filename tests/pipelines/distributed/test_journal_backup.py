"""The journal beside the output: what is there when a worker vanishes, and what is fetched by the next."""

import json
import threading

import pytest

from beam_talonone.pipelines.distributed.journal_backup import JournalBackup, Place


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
        one = mirror(place)
        one.fetch(journals)
        one.follow("slice-000001", journal)
        append(journal, text)
        one._copy()
        journal.unlink()
    assert [place.read(name) for name in names(place)] == [b"[1]\n", b"[2]\n", b"[3]\n"]
    mirror(place).fetch(journals)
    assert journal.read_bytes() == b"[1]\n[2]\n[3]\n"


def test_a_run_that_ends_in_the_middle_of_a_slice_leaves_one_file(place, journals):
    journal = journals("slice-000001")
    for text in (b"[1]\n", b"[2]\n", b'[3]\n["torn'):
        one = mirror(place)
        one.fetch(journals)
        one.follow("slice-000001", journal)
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
    one = mirror(place)
    one.follow("slice-000002", journals("slice-000002"))
    one.let_go(10_500, 1.0)
    one.let_go(11_000, 6.0)
    assert mirror(place).fetch(journals) == {"slice-000002": [(10_500, 1.0), (11_000, 6.0)]}
    again = mirror(place)
    again.follow("slice-000002", journals("slice-000002"))
    again.let_go(11_500, 9.0)
    assert mirror(place).fetch(journals) == {"slice-000002": [(10_500, 1.0), (11_000, 6.0), (11_500, 9.0)]}
    again.ended()
    assert mirror(place).fetch(journals) == {}


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
    assert json.loads(place.read("slice-000001.let-go")) == [[500, 1.0]]


def test_its_own_thread_copies(place, journals, monkeypatch):
    monkeypatch.setattr("beam_talonone.pipelines.distributed.journal_backup.COPY_EVERY", 0.01)
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
