"""The files and engines that this process has open, as the system knows them."""

import os
import threading
from pathlib import Path


def open_files(folder: Path) -> set[str]:
    """The open files of a folder, relative to it."""
    links = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return {os.path.relpath(link, folder) for link in links if link.startswith(f"{folder}/")}


def engine_threads() -> set[threading.Thread]:
    """The threads of all engines that run; compare them with those from before a test."""
    return {thread for thread in threading.enumerate() if thread.name == "talonone-engine"}
