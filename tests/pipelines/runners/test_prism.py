"""The engine of local streams as a process: found, started, and never left behind."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismJobServer
from e2e.harness import wait_until
from streams.harness.tools import find_prism as the_prism
from streams.harness.tools import needed

from beam_talonone.pipelines.runners import prism as module
from beam_talonone.pipelines.runners.prism import Prism, find_prism, prism_binary, prism_for
from beam_talonone.pipelines.runners.runner import beam_options
from beam_talonone.talonone.errors import ConfigurationError, StopRun


@pytest.fixture(scope="module")
def binary():
    return str(needed(the_prism))


@pytest.fixture(autouse=True)
def _no_other(tmp_path, monkeypatch):
    """Neither a Prism of this machine nor a download into its home."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(PrismJobServer, "BIN_CACHE", str(tmp_path / "cache"))


def program(path, text="#!/bin/sh\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def started(location, tmp_path):
    return Prism(PipelineOptions([]), location, tmp_path / "prism.log")


def test_where_it_is_found(tmp_path, monkeypatch):
    assert prism_binary(None) is None, "then Beam downloads it"
    home = program(tmp_path / "home/go/bin/prism")
    assert prism_binary(None) == home
    on_path = program(tmp_path / "bin/prism")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert prism_binary(None) == on_path
    own = program(tmp_path / "own/prism")
    assert prism_binary(own) == own
    assert prism_binary("https://example.com/prism.zip") is None
    monkeypatch.chdir(tmp_path / "own")
    assert prism_binary("prism") == own, "a name is a file here, not the one on PATH"


@pytest.mark.parametrize("what", ["missing", "folder", "text"])
def test_a_location_without_a_program_is_said(tmp_path, what):
    location = tmp_path / what
    if what == "folder":
        location.mkdir()
    elif what == "text":
        location.write_text("no program")
    with pytest.raises(ConfigurationError, match=f"--prism-location {location} is not an executable file"):
        started(str(location), tmp_path)


def test_it_listens_in_a_session_of_its_own_until_it_is_stopped(binary, tmp_path):
    engine = started(binary, tmp_path)
    try:
        assert engine.ended() is None
        assert os.getsid(engine.pid) == engine.pid != os.getsid(0), "a Ctrl-C at the terminal does not reach it"
        assert lives(engine.pid)
    finally:
        engine.stop()
    assert engine.ended() == -signal.SIGKILL
    engine.stop()
    assert not lives(engine.pid)


def test_no_code_of_ours_runs_between_fork_and_exec(tmp_path, monkeypatch):
    """It might wait for ever for a lock of another thread, of gRPC for example."""
    given = {}

    def popen(words, **more):
        given.update(more)
        raise OSError(2, "No such file or directory", words[0])

    monkeypatch.setattr(module.subprocess, "Popen", popen)
    with pytest.raises(StopRun):
        started(program(tmp_path / "prism"), tmp_path)
    assert given["start_new_session"] is True
    assert "preexec_fn" not in given


RUNS = """
import sys, time
from pathlib import Path
from apache_beam.options.pipeline_options import PipelineOptions
from beam_talonone.pipelines.runners.prism import Prism
print(Prism(PipelineOptions([]), sys.argv[1], Path(sys.argv[2])).pid, flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_it_dies_with_whoever_started_it(binary, tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", RUNS, binary, tmp_path / "log"], stdout=subprocess.PIPE)
    try:
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.kill()
        parent.wait()
        wait_until(lambda: not lives(pid), "it has died, too", timeout=10.0)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def lives(pid):
    """A process that has ended may wait, as a zombie, for somebody to take note of it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo first; echo 'flag provided but not defined: -x' >&2; exit 2", "flag provided but not defined: -x"),
        ("exit 1", "it wrote no output"),
        ("printf 'caf\\351\\n'; exit 1", "caf\ufffd"),
        ("head -c 5000 /dev/zero | tr '\\0' x; exit 1", "x" * 300),
    ],
)
def test_one_that_ends_at_once_is_said_in_its_own_words(tmp_path, script, expected):
    with pytest.raises(StopRun) as raised:
        started(program(tmp_path / "prism", f"#!/bin/sh\n{script}\n"), tmp_path)
    assert str(raised.value) == f"Prism did not start: {expected}"


def test_its_output_is_in_a_private_folder_that_is_removed_also_where_a_killed_one_left_it(tmp_path, monkeypatch):
    temporary, seen = tmp_path / "temporary", tmp_path / "seen"
    (temporary / "beam-talonone-prism-left").mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    location = program(tmp_path / "prism", f"#!/bin/sh\nls -l {temporary} > {seen}\nexit 1\n")
    options = PipelineOptions(["--prism_location", location])
    with pytest.raises(StopRun), prism_for(options, None):
        pass
    [line] = seen.read_text().splitlines()[1:]
    assert line.startswith("drwx------")
    assert "left" not in line
    assert not list(temporary.iterdir())


def test_one_that_never_listens_is_not_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "START_TIMEOUT", 1.0)
    pid = tmp_path / "pid"
    with pytest.raises(StopRun, match="did not start"):
        started(program(tmp_path / "prism", f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n"), tmp_path)
    assert not lives(int(pid.read_text()))


def test_a_program_of_another_machine(tmp_path):
    location = tmp_path / "prism"
    location.write_bytes(b"\x7fELF\x00 of another machine")
    location.chmod(stat.S_IRWXU)
    with pytest.raises(StopRun, match=f"Prism did not start: {location}: Exec format error"):
        started(str(location), tmp_path)


def test_one_that_cannot_be_downloaded(tmp_path):
    with pytest.raises(StopRun, match=r"Prism was not found, and it cannot be downloaded .*go install"):
        started("http://127.0.0.1:1/prism.zip", tmp_path)


def test_prism_is_found_where_a_stream_finds_it(tmp_path, monkeypatch):
    from apache_beam.options.pipeline_options import PrismRunnerOptions

    program = tmp_path / "prism"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = beam_options(("--runner=PrismRunner",))
    find_prism(found)
    assert found.view_as(PrismRunnerOptions).prism_location == str(program)
    with pytest.raises(ConfigurationError, match="is not an executable file"):
        find_prism(beam_options(("--runner=PrismRunner", f"--prism_location={tmp_path}/none")))
