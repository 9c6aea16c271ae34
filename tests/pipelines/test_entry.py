"""A stop while the command's modules are imported: one line and 1, never a traceback."""

import signal
import subprocess
import sys

import pytest

STOPS_ITSELF = """
import importlib.abc, os, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "beam_talonone.pipelines.cli":
            os.kill(os.getpid(), {number})
        return None

sys.meta_path.insert(0, Finder())
from beam_talonone.pipelines.entry import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_modules_are_imported_is_one_line(number: signal.Signals) -> None:
    code = STOPS_ITSELF.format(number=int(number))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, f"beam-talonone: stopped by {number.name}\n")
