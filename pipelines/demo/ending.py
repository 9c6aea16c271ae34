"""The end of the demo: three commands to try on the folder that it leaves."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from beam_talonone.pipelines.terminal.command_line import command_line

PROGRAM = "beam-talonone"


class Attempt(NamedTuple):
    """A thing to try: its purpose, and the words of its command without the program."""

    purpose: str
    words: tuple[str, ...]


def things_to_try(output: Path) -> tuple[Attempt, ...]:
    """The commands that teach most about the demo in `output`. None needs the simulator, which has ended."""
    job = str(output / "backfill")
    return (
        Attempt("See why ten orders were refused:", ("dead-letters", job, "--reason", "session_closed")),
        Attempt(
            "Find the invalid orders before anything is sent, and see what an order becomes:",
            ("check", "--orders", str(output / "input" / "orders.jsonl"), "--show", "1"),
        ),
        Attempt("Open the run as a page:", ("report", job, "--open")),
    )


def ending_lines(output: Path, program: str) -> list[str]:
    """The end of the demo in `output`, line by line. `program` is the command as the shell finds it."""
    lines = ["", "three things to try:"]
    for number, attempt in enumerate(things_to_try(output), start=1):
        command = command_line(attempt.words).replace(PROGRAM, shlex.quote(program), 1)
        lines += [f"{number}. {attempt.purpose}", f"   {command}"]
    return [*lines, "To send your own orders to the simulator, follow docs/tutorial.md."]


def program_here() -> str:
    """The command as a shell in the current folder finds it: its path where the PATH does not lead to it.

    `make demo` runs the command of an environment that is not active.
    """
    own = Path(sys.argv[0])
    if not own.is_file() or own.name != PROGRAM:
        return PROGRAM  # run as a module, or from a test
    on_path = shutil.which(PROGRAM)
    return PROGRAM if on_path is not None and Path(on_path).resolve() == own.resolve() else str(own)
