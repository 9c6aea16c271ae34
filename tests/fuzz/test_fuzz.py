"""The command that fuzzes: its surfaces, what it prints, and that it finds a fault."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import strategies as st

from fuzz.__main__ import arguments, fuzz, fuzz_one, main, properties, surfaces
from fuzz.failure import LONGEST, MOST_LINES, digest
from fuzz.fuzzed import Fuzzed, fuzzed


def test_each_surface_has_properties() -> None:
    assert surfaces()
    for surface in surfaces():
        names = [each.name for each in properties(surface)]
        assert names
        assert len(names) == len(set(names))


def test_an_unknown_surface_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--only", "quake"])
    assert "quake" in capsys.readouterr().err


def test_the_list(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--list", "--only", "journal"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("journal\n  ")


def small(number: int) -> None:
    assert number < 1_000_000


def test_a_fault_is_found_and_examples_are_counted() -> None:
    broken = Fuzzed("small", {"number": st.integers(0, 1 << 40)}, small)
    with pytest.raises(AssertionError):
        fuzz_one(broken, 60.0, 1)
    assert broken.checked
    broken.from_bytes()(bytes(64))


def test_a_property_is_a_test_of_few_examples() -> None:
    seen = []

    def collect(number: int) -> None:
        seen.append(number)

    fuzzed(examples=5, number=st.integers())(collect)()
    assert len(seen) == 5


def test_a_failure_is_printed_in_few_short_lines() -> None:
    search = [f"#{number}\tNEW    cov: 7 exec/s: 3" for number in range(1_000)]
    told = ["=== Uncaught Python exception: ===", f"AssertionError: {b'x' * 300_000!r} is not a dead letter", *search]
    shown = digest("\n".join([*["frame"] * 100, *told])).splitlines()
    assert len(shown) == MOST_LINES + 1
    assert max(map(len, shown)) < 2 * LONGEST
    assert shown[0] == f"... {102 - MOST_LINES} lines before"
    assert shown[-1].startswith("AssertionError: b'xxx")
    assert shown[-1].endswith("' is not a dead letter")


def test_all_that_a_failed_process_printed_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = "y" * 5_000
    failed = subprocess.CompletedProcess([], 77, stdout="", stderr=printed)
    monkeypatch.setattr(subprocess, "run", lambda *words, **options: failed)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert fuzz("journal", arguments(["--property", "a_torn_journal_goes_on", "--seed", "7"])) == 1
    [path] = tmp_path.iterdir()
    shown = capsys.readouterr().out
    assert path.read_text() == printed
    assert f"all that was printed: {path}" in shown
    assert len(shown) < 1_000


def test_an_example_in_a_file_is_checked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "crash-1"
    path.write_bytes(bytes(64))
    monkeypatch.setattr(sys, "argv", ["fuzz", "--one", "journal", "a_torn_journal_goes_on", "--input", str(path)])
    assert main() == 0


@pytest.mark.slow
@pytest.mark.parametrize("word", ["deep", "answer", "Avro", "number", "cell"])
def test_small_input_that_claims_much_needs_little_memory(word: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "fuzz", "--bombs", word]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert word in done.stdout


@pytest.mark.slow
def test_a_run_prints_a_line_for_each_property() -> None:
    words = ["--only", "journal", "--property", "torn", "--seconds", "0.1", "--plain"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "fuzz", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "a_torn_journal_goes_on" in done.stdout
    assert "examples" in done.stdout
