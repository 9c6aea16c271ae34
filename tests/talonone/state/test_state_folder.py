"""The folder of a stream: one process at a time, one deployment, and whether the last one ended in order."""

import json
import os
import signal
import subprocess
import sys

import pytest

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state.state_folder import open_state

URL = "https://one.example"

HOLDS = """
import sys, time
from pathlib import Path
from beam_talonone.talonone.state.state_folder import open_state
open_state(Path(sys.argv[1]), sys.argv[2]).begins()
print("open", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that has the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path / "state", URL], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"open\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_new_folder_is_made(tmp_path):
    state = open_state(tmp_path / "a" / "state", URL)
    assert not state.unclean
    assert {path.parent for path in (state.store, state.log, state.dead_letters)} == {state.root}
    assert state.root.is_dir()
    state.close()


@pytest.mark.parametrize("in_order", [True, False])
def test_whether_the_last_one_ended_in_order_is_told(tmp_path, in_order):
    first = open_state(tmp_path, URL)
    first.begins()
    if in_order:
        first.ended_in_order()
    first.close()
    for _ in range(2):  # also after one that was killed before it could do anything
        second = open_state(tmp_path, URL)
        assert second.unclean is not in_order
        if in_order:
            second.begins()
            second.ended_in_order()
        second.close()


def test_one_that_failed_before_it_read_anything_leaves_things_as_they_were(tmp_path):
    open_state(tmp_path, URL).close()
    clean = open_state(tmp_path, URL)
    assert not clean.unclean
    clean.begins()
    clean.close()
    open_state(tmp_path, URL).close()
    assert open_state(tmp_path, URL).unclean


def test_one_process_at_a_time_and_the_next_one_knows_of_the_kill(tmp_path, holder):
    with pytest.raises(ConfigurationError, match="another stream uses this folder"):
        open_state(tmp_path / "state", URL)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    state = open_state(tmp_path / "state", URL)
    assert state.unclean
    state.close()


def test_a_folder_belongs_to_one_deployment(tmp_path):
    open_state(tmp_path, URL).close()
    with pytest.raises(ConfigurationError, match=r"belongs to a stream to https://one\.example, not to https://two"):
        open_state(tmp_path, "https://two.example")
    again = open_state(tmp_path, URL)  # who was refused has not kept it
    again.close()


def test_who_was_refused_leaves_no_mark(tmp_path):
    first = open_state(tmp_path, URL)
    first.ended_in_order()
    first.close()
    with pytest.raises(ConfigurationError):
        open_state(tmp_path, "https://two.example")
    again = open_state(tmp_path, URL)
    assert not again.unclean
    again.close()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}'])
def test_a_manifest_that_is_none_is_said_and_not_overwritten(tmp_path, content):
    (tmp_path / "stream.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"stream\.json was not written by a stream"):
        open_state(tmp_path, URL)
    assert (tmp_path / "stream.json").read_text() == content


def test_a_process_that_died_while_it_wrote_the_manifest_leaves_none(tmp_path):
    (tmp_path / "stream.json.half").write_text('{"--base')
    open_state(tmp_path, URL).close()
    assert json.loads((tmp_path / "stream.json").read_text()) == {"--base-url": URL}


@pytest.mark.parametrize(
    ("path", "expected"),
    [("gs://bucket/state", "is not a folder of this machine"), ("{file}/state", "cannot be used: Not a directory")],
)
def test_a_folder_that_cannot_be(tmp_path, path, expected):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ConfigurationError, match=f"--state .*{expected}"):
        open_state(type(tmp_path)(path.format(file=file)), URL)


def test_how_the_last_records_ended_is_known_to_the_next_process(tmp_path):
    first = open_state(tmp_path, URL)
    assert first.last_ends() == {}
    first.keep_last_ends({"orders": "0110", "events": ""})
    first.close()
    second = open_state(tmp_path, URL)
    assert second.last_ends() == {"orders": "0110", "events": ""}
    second.close()


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[]", b'{"orders": 7}', b'{"orders": "012"}'])
def test_last_ends_that_are_damaged_are_named(tmp_path, data):
    state = open_state(tmp_path, URL)
    (tmp_path / "ends.json").write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"ends\.json is damaged: delete it"):
        state.last_ends()
    state.close()
