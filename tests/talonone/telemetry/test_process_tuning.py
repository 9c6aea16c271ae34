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
print(same, gc.get_threshold()[0] == tuning.YOUNG, gc.get_freeze_count() > 0)
"""


@pytest.mark.parametrize(
    ("given", "calls", "shown"),
    [
        ("", "tuning.begin_process()", "False True False"),
        ("", "tuning.tune_process()", "False True True"),
        ("", "tuning.begin_process(); tuning.tune_process()", "False True True"),
        ("gc.set_threshold(50_000)", "tuning.begin_process(); tuning.tune_process()", "True False False"),
        ("gc.disable()", "tuning.begin_process(); tuning.tune_process()", "True False False"),
    ],
)
def test_settings_of_the_collector(given: str, calls: str, shown: str) -> None:
    code = SCRIPT.format(given=given, calls=calls)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == shown
