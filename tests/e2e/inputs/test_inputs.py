"""The files that a command reads of those that the user names, and what the user sees of it."""

import json
import os

from e2e.harness import cli


def profiles(folder, name, *ids):
    path = folder / name
    path.write_text(
        "".join(json.dumps({"customer_id": one, "event_time": "2026-05-01T12:00:00Z"}) + "\n" for one in ids)
    )
    return path


def test_repeated_inputs_are_read_once_and_what_is_odd_is_named(tmp_path):
    profiles(tmp_path, "a.jsonl", "C-1")
    profiles(tmp_path, "b[1].jsonl", "C-2")
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "_SUCCESS").touch()
    ended = cli("check", "--profiles", tmp_path / "b[1].jsonl", "--profiles", tmp_path / "*", "--show", 9)
    assert ended.code == 0, ended.err
    assert [json.loads(line)["id"] for line in ended.out.splitlines()] == ["C-2", "C-1"]
    assert f"--profiles: {tmp_path}/empty.jsonl is empty" in ended.err
    assert f"--profiles: {tmp_path}/folder.jsonl is a folder and is left out" in ended.err
    os.mkfifo(tmp_path / "pipe.jsonl")
    os.symlink("nowhere", tmp_path / "link.jsonl")
    ended = cli("check", "--profiles", tmp_path / "*.jsonl")
    assert ended.code == 3
    assert "2 unreadable_file" in ended.err
    assert "pipe.jsonl:1: this is a named pipe, not a file" in ended.err
    assert "link.jsonl:1: this is a link to nowhere, which cannot be reached" in ended.err


def test_files_that_are_all_empty_end_well(tmp_path):
    (tmp_path / "empty.jsonl").touch()
    ended = cli("check", "--orders", tmp_path / "*.jsonl")
    assert (ended.code, ended.out) == (0, "")
    assert "empty.jsonl is empty" in ended.err
