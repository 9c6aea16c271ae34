"""The end of the demo: commands that are read by the command line, spelled as a shell finds them."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from beam_talonone.pipelines.cli.command_table import COMMANDS
from beam_talonone.pipelines.demo.ending import ending_lines, program_here, things_to_try
from beam_talonone.schemas.reasons import Reason


def test_each_thing_to_try_has_a_command_of_its_own():
    attempts = things_to_try(Path("demo-output"))
    names = [attempt.words[0] for attempt in attempts]
    assert len(names) == len(set(names)) == 3
    assert set(names) <= COMMANDS.keys()
    [reason] = [attempt.words[-1] for attempt in attempts if "--reason" in attempt.words]
    assert Reason(reason)


def test_commands_can_be_copied_from_the_lines():
    lines = ending_lines(Path("my demo"), "/opt/a b/beam-talonone")
    commands = [shlex.split(line) for line in lines if line.startswith("   ")]
    assert commands == [["/opt/a b/beam-talonone", *attempt.words] for attempt in things_to_try(Path("my demo"))]
    assert commands[0][2] == "my demo/backfill"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bin" / "beam-talonone"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    monkeypatch.setattr(sys, "argv", [str(path), "demo"])
    return path


def test_a_program_on_the_path_is_named_alone(program: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(program.parent))
    assert program_here() == "beam-talonone"


@pytest.mark.parametrize("another", [False, True])
def test_a_program_elsewhere_is_named_by_its_path(
    program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, another: bool
):
    other = tmp_path / "other"
    other.mkdir()
    if another:
        (other / "beam-talonone").write_text("#!/bin/sh\n")
        (other / "beam-talonone").chmod(0o700)
    monkeypatch.setenv("PATH", str(other) + os.pathsep)
    assert program_here() == str(program)


def test_a_module_is_named_as_the_program(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/main.py", "demo"])
    assert program_here() == "beam-talonone"
