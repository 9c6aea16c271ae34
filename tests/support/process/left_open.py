"""The files and engines that this process has open, as the system knows them."""

import os
import threading
from pathlib import Path


def open_files(folder: Path) -> set[str]:
    """The open files of a folder, relative to it."""
    links = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return {os.path.relpath(link, folder) for link in links if link.startswith(f"{folder}/")}


def engine_threads() -> int:
    """How many engines run."""
    return sum(thread.name == "talonone-engine" for thread in threading.enumerate())
