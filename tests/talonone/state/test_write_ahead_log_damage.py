"""A damaged log is reported with its place and the remedy; a long one is not rewritten all the time."""

import re

import pytest

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.talonone.requests.outcome import End, Outcome
from beam_talonone.talonone.state import log_entries, write_ahead_log
from beam_talonone.talonone.state.log_entries import LAST_APPEND, entries
from beam_talonone.talonone.state.pending_overlay import PendingOverlay
from beam_talonone.talonone.state.sealed_lines import LENGTH, sealed
from beam_talonone.talonone.state.store import Store
from beam_talonone.talonone.state.write_ahead_log import WriteAheadLog

NOW = 1_800_000_000.0
UNCLEAR = Outcome(End.DEAD, "retries_exhausted", "no answer")
APPLIED = Outcome(End.APPLIED, status=204)


def event(number):
    fields = {"event_id": f"e-{number}", "type": "v", "customer_id": "c", "event_time": "2026-05-01T12:00:00Z"}
    return build("events", parse("events", fields).record, BuildOptions())


def opened(path):
    return WriteAheadLog(path, PendingOverlay(Store()))


def leaves(log, number, outcome=None, at=NOW):
    work = event(number)
    log.sent(number, work)
    log.on_start([(number, 0)], 0, at)
    if outcome is not None:
        log.job_ended(number, outcome, at)
        log.ended(work, outcome, at) if outcome is APPLIED else log.forget(work, outcome)


@pytest.fixture
def lines(tmp_path):
    """The lines of a log of many requests."""
    log = opened(tmp_path / "log.jsonl")
    for number in range(50):
        leaves(log, number)
    log.close()
    return (tmp_path / "log.jsonl").read_bytes().splitlines(keepends=True)


DAMAGED = {
    "a bit": lambda line: line.replace(b'["s"', b'["s\\x'),
    "no UTF-8": lambda line: line.replace(b'"s"', b'"\xff"'),
    "cut": lambda line: line[:20],
    "zeros": lambda line: bytes(len(line)),
    "another line": lambda line: b'["y","a"]\n',
    "another type": lambda line: b'["s",5,0,0,1.0]\n',
    "no digest": lambda line: b'["d","no hex","ab",1.0]\n',
    "no marks": lambda line: b'["v",[],1.0]\n',
    "no bulk": lambda line: b'["b",[],0,1.0]\n',
    "no object": lambda line: b"17\n",
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_line_is_named_and_what_stands_before_it_can_be_kept(tmp_path, lines, what):
    path = tmp_path / "log.jsonl"
    # more than a killed process may have been copying behind it
    path.write_bytes(b"".join([*lines[:3], DAMAGED[what](lines[3]), *lines[4:]]))
    before = path.read_bytes()
    with pytest.raises(ConfigurationError) as raised:
        opened(path)
    byte = sum(map(len, lines[:3]))
    assert str(raised.value).startswith(f"{path} is damaged in line 4 (byte {byte}): ")
    assert path.read_bytes() == before, "it is left as it is"
    command = re.search(r"`truncate -s (\d+) (.+)`", str(raised.value))
    assert command is not None
    assert command[2] == str(path)
    path.write_bytes(before[: int(command[1])])
    log = opened(path)
    assert len(log.open) == 3
    log.close()


def test_each_changed_digit_is_found(tmp_path, lines):
    """An identity with another digit is that of another record: this one would be sent twice."""
    path = tmp_path / "log.jsonl"
    whole = b"".join(lines[:5])
    for at in range(len(lines[0]), len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ConfigurationError, match="is damaged in line"):
            opened(path)


@pytest.mark.parametrize("order", [[0, 2, 3], [0, 2, 1, 3], [0, 1, 1, 2], [1, 2]])
def test_a_line_that_is_not_in_its_place_is_found(tmp_path, lines, order):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lines[number] for number in order))
    with pytest.raises(ConfigurationError, match="is damaged in line"):
        opened(path)


def test_a_log_of_version_0_1_has_no_checksums(tmp_path, lines):
    path = tmp_path / "log.jsonl"
    old = [line[: -LENGTH - 1] + b"\n" for line in lines]
    path.write_bytes(b"".join(old) + b'["s","torn' + bytes(40))
    log = opened(path)
    assert len(log.open) == 50
    log.close()
    assert sorted(path.read_bytes().splitlines()) == sorted(b"".join(lines).splitlines()), (
        "it is written anew with them"
    )
    for mixed in ([old[0], *lines[1:]], [*lines[:3], old[3], *lines[4:]], [lines[0], old[1]]):
        path.write_bytes(b"".join(mixed))
        with pytest.raises(ConfigurationError, match="is damaged in line"):
            opened(path)


@pytest.mark.parametrize("zeros", [0, 5, LAST_APPEND])
@pytest.mark.parametrize("left", [1, 30, -1])
def test_a_torn_last_line_is_left_out(tmp_path, lines, left, zeros):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join(lines[:9]) + lines[9][:left] + bytes(zeros))
    log = opened(path)
    assert len(log.open) == (10 if left == -1 else 9)
    log.close()


def test_holes_in_what_a_killed_process_was_copying_are_left_out(tmp_path, lines):
    path = tmp_path / "log.jsonl"
    hole = lines[8][:10] + bytes(len(lines[8]) - 20) + lines[8][-10:]
    path.write_bytes(b"".join(lines[:8]) + hole + lines[9] + bytes(4_000))
    log = opened(path)
    assert len(log.open) == 9
    log.close()


def test_what_stays_is_not_written_anew_again_and_again(tmp_path, monkeypatch):
    monkeypatch.setattr(write_ahead_log, "LARGE", 2_000)
    log = opened(tmp_path / "log.jsonl")
    sizes = []
    for number in range(400):
        leaves(log, number, UNCLEAR)
        before = log.size
        log.cut_if_large()
        if log.size < before or (log._large != write_ahead_log.LARGE and (not sizes or log._large != sizes[-1])):
            sizes.append(log._large)
    assert len(log.open) == 400
    assert 3 <= len(sizes) <= 8, "each time it has doubled"
    assert sizes == sorted(sizes)
    for number in range(400):
        log.forget(event(number), Outcome(End.DEAD, "refused"))
    for number in range(1_000, 1_400):
        leaves(log, number, APPLIED)
        log.cut_if_large()
    assert log._large == write_ahead_log.LARGE, "when it has ended it is short again"
    log.close()


def test_what_is_too_old_to_come_again_is_left_out_when_it_is_written_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(write_ahead_log, "LARGE", 1)
    monkeypatch.setattr(write_ahead_log.time, "time", lambda: NOW)
    log = opened(tmp_path / "log.jsonl")
    leaves(log, 0, UNCLEAR, at=NOW - 9 * 86_400.0)
    leaves(log, 1, UNCLEAR)
    leaves(log, 2, at=NOW - 9 * 86_400.0)
    log.cut_if_large()
    assert set(log.open) == {event(1).identity.hex(), event(2).identity.hex()}, "one of them is under way still"
    log.close()


@pytest.mark.parametrize(("rest", "is_damage"), [(b"x" * 200, True), (b"\0" * 5_000, False), (b"x" * 50, False)])
def test_a_line_without_an_end_is_damage_and_not_read_whole(tmp_path, monkeypatch, rest, is_damage):
    monkeypatch.setattr(log_entries, "LONGEST_LINE", 100)
    path = tmp_path / "log.jsonl"
    path.write_bytes(sealed(b"[1]")[0] + rest)
    if is_damage:
        with pytest.raises(ConfigurationError, match=r"log.jsonl is damaged in line 2 \(byte 13\)"):
            list(entries(path))
    else:
        assert [entry for _, entry in entries(path)] == [[1]]
