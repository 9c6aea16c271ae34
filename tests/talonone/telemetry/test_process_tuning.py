"""The garbage collector of a process: few pauses, and what the user has set stays. Each case has its own process."""

import subprocess
import sys

import pytest

SCRIPT = """
import gc
from beam_talonone.talonone.telemetry import process_tuning as tuning
{given}
before = gc.isenabled(), gc.get_threshold()
{calls}
same = before == (gc.isenabled(), gc.get_threshold())
print(same, gc.get_threshold()[0], gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(
    ("given", "calls", "shown"),
    [
        ("", "tuning.begin_process()", "False 1000000 False"),
        ("", "tuning.tune_process()", "False 60000 True"),
        ("", "tuning.begin_process(); tuning.tune_process()", "False 60000 True"),
        ("gc.set_threshold(70_000)", "tuning.begin_process(); tuning.tune_process()", "True 70000 False"),
        ("gc.disable()", "tuning.begin_process(); tuning.tune_process()", "True 700 False"),
    ],
)
def test_settings_of_the_collector(given: str, calls: str, shown: str) -> None:
    code = SCRIPT.format(given=given, calls=calls)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == shown


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc keeps the memory")
def test_free_memory_goes_back_to_the_system() -> None:
    """In a process of its own: what else this one holds would keep pages alive."""
    code = """
from pathlib import Path
from beam_talonone.talonone.telemetry.process_tuning import give_back_memory
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1])
kept = [bytes(100_000) for _ in range(2000)]
last = bytes(100_000)  # above the others, so that the heap cannot shrink by itself
del kept
before = resident()
give_back_memory()
print(before - resident())
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(ended.stdout) > 10_000, "pages, of the 48,000 that were freed"
