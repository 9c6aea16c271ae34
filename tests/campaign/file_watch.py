"""Inside the process of the command: logs the phases of its job, and stops the process at a moment of a phase.

A phase shows in what the process does with files: Python's audit events, and its writes to a journal. The
process stops itself (SIGSTOP) just before it opens, renames or removes a file, and stands still until the plan has
done its part. So a plan meets a phase of milliseconds without luck, also on a busy machine. The log holds a line for
each phase that began in this process, and one for each stop.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Final, NamedTuple

SETTING: Final = "CAMPAIGN_FILE_WATCH"
"""The variable of the environment with the file for the log, and the moments, as JSON."""
STOP: Final = "stop"
STARTING, READING, PREPARING, SENDING, FOLDING, REPORTING = (
    "starting", "reading", "preparing", "sending", "folding", "reporting",
)  # fmt: skip

BEGINS: Final = (
    (READING, "sqlite3.connect", "*/state/spool.sqlite"),
    (PREPARING, "os.rename", "*/state/read"),
    (SENDING, "write", "*/state/journal-*.jsonl"),
    (FOLDING, "open", "*/dead-letters/slice-*.half"),
    (REPORTING, "os.remove", "*/state/reported"),
    ("finished", "os.rename", "*/report.html"),
)
"""The phases in their order, each with the event that begins it. A resumed run folds what is there before it sends:
that still belongs to its start."""


class Moment(NamedTuple):
    """The moment just before the `nth` event of a phase whose file matches `name`. A rename has the new name."""

    phase: str
    event: str
    name: str
    nth: int = 1


def setting(log: str, moments: Sequence[Moment]) -> Mapping[str, str]:
    """The environment for a process that logs its phases to the file `log`, and stops at each moment in turn."""
    return {SETTING: json.dumps([log, moments])}


def watch_files() -> None:
    """Log and stop this process as its environment says. A process without the setting goes on as it is."""
    value = os.environ.pop(SETTING, None)  # processes that this one starts have other phases
    if value is not None:
        log, moments = json.loads(value)
        _watch(log, [Moment(*moment) for moment in moments])


def _watch(log: str, moments: list[Moment]) -> None:
    write, pid, lock = os.write, os.getpid(), threading.RLock()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    phases = [STARTING, *(phase for phase, _, _ in BEGINS)]
    phase, count = STARTING, 0
    write(file, f"{STARTING}\n".encode())

    def happened(event: str, path: str) -> None:
        nonlocal phase, count
        if os.getpid() != pid:  # a fork of this process
            return
        with lock:
            for begun, by, name in BEGINS:
                later = phases.index(begun) > phases.index(phase) and (begun != FOLDING or phase == SENDING)
                if by == event and later and fnmatch(path, name):
                    phase = begun
                    write(file, f"{phase}\n".encode())
            if moments and moments[0][:2] == (phase, event) and fnmatch(path, moments[0].name):
                count += 1
                if count >= moments[0].nth:
                    count = 0
                    write(file, f"{STOP} {' '.join(map(str, moments.pop(0)))}\n".encode())
                    os.kill(pid, signal.SIGSTOP)

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.remove", "os.rename", "sqlite3.connect"):
            happened(event, str(arguments[event == "os.rename"]))

    def watched_write(descriptor: int, data: bytes) -> int:
        happened("write", _path_of(descriptor))
        return write(descriptor, data)

    sys.addaudithook(audit)
    os.write = watched_write  # type: ignore[assignment]


def _path_of(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""
