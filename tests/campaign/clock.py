"""A clock of the system that jumps, for one command: libfaketime, loaded into its processes."""

import glob
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), "")
"""The library, as Debian installs it; empty if it is not there."""
TESTS = Path(__file__).parents[1]
SITE = """import errno, time
_sleep = time.sleep
def sleep(seconds):
    try:
        _sleep(seconds)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
time.sleep = sleep
from campaign.file_watch import watch_files
watch_files()
"""
"""Loaded into the command, so that it stops at moments. And under libfaketime 0.9.10, a sleep that begins after its
end fails with EINVAL. Systems without the library return at once. A busy machine shows the difference.
"""
CLOCK, UNCHANGED = "clock", "+0\n"
"""The file that says by how many seconds the clock differs, and its content before the first jump."""
FURTHEST = 36_000.0
"""Seconds by which the clock differs at most from the real time."""


def no_faketime() -> str | None:
    """Why the clock cannot be set."""
    return None if FAKETIME else "libfaketime is missing: apt install libfaketime"


def jumping_clock(folder: Path, rng: random.Random) -> tuple[dict[str, str], Callable[[], None]]:
    """The environment for a command whose clock jumps, and a function that ends the jumps and restores the time.

    The clock of the command jumps up to once in 0.2 s, forward and back. The monotonic clock does not.
    """
    clock, following = folder / CLOCK, folder / "clock-next"
    ended = threading.Event()

    def set_clock(seconds: float) -> None:
        following.write_text(f"{seconds:+.0f}\n")
        following.replace(clock)  # the library must never read a half-written file

    def jump() -> None:
        while not ended.wait(rng.uniform(0.2, 1.0)):
            set_clock(rng.uniform(-FURTHEST, FURTHEST))

    def stop() -> None:
        ended.set()
        thread.join()
        set_clock(0)

    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE)
    set_clock(0)
    thread = threading.Thread(target=jump, daemon=True)
    thread.start()
    environment = {
        "LD_PRELOAD": FAKETIME,
        "PYTHONPATH": os.pathsep.join(map(str, (site, TESTS))),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return environment, stop
