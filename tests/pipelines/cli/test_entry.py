"""A stop while the command's modules are imported: one line and 1 (0 for a stream), never a traceback."""

import signal
import subprocess
import sys

import pytest

STOPS_ITSELF = """
import importlib.abc, os, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "{module}":
            os.kill(os.getpid(), {number})
        return None

sys.meta_path.insert(0, Finder())
from beam_talonone.pipelines.cli.entry import main
main()
"""


CLI = "beam_talonone.pipelines.cli"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("module", "words", "expected"),
    [
        (f"{CLI}.main", (), 1),
        (f"{CLI}.main", ("backfill", "--yes"), 1),
        (f"{CLI}.main", ("stream",), 0),
        (f"{CLI}.main", ("--debug", "stream"), 0),
        (f"{CLI}.commands.backfill", ("backfill", "--yes"), 1),
        (f"{CLI}.commands.simulate", ("simulate",), 1),
        (f"{CLI}.commands.stream", ("stream",), 0),
        ("beam_talonone.simulator.server.serve", ("simulate", "--port", "0"), 1),
    ],
)
def test_a_stop_while_modules_are_imported_is_one_line(
    number: signal.Signals, module: str, words: tuple[str, ...], expected: int
) -> None:
    code = STOPS_ITSELF.format(number=int(number), module=module)
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (expected, f"beam-talonone: stopped by {number.name}\n")
