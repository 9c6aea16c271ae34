"""A stop while the command's modules are imported: one line and 1 (0 for a stream), never a traceback."""

import signal
import subprocess
import sys

import pytest

STOPS_ITSELF = """
import importlib.abc, os, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "beam_talonone.pipelines.cli.main":
            os.kill(os.getpid(), {number})
        return None

sys.meta_path.insert(0, Finder())
from beam_talonone.pipelines.cli.entry import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("words", "expected"), [((), 1), (("backfill", "--yes"), 1), (("stream",), 0), (("--debug", "stream"), 0)]
)
def test_a_stop_while_modules_are_imported_is_one_line(
    number: signal.Signals, words: tuple[str, ...], expected: int
) -> None:
    code = STOPS_ITSELF.format(number=int(number))
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (expected, f"beam-talonone: stopped by {number.name}\n")
