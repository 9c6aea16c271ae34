"""The exit codes of the commands, and their meanings: the rows of docs/reference/exit-codes.md."""

from collections.abc import Mapping
from typing import Final

FINISHED: Final = 0
STOPPED: Final = 1
USAGE: Final = 2
DEAD_LETTERS: Final = 3

MEANINGS: Mapping[int, str] = {
    FINISHED: "finished",
    DEAD_LETTERS: "finished, with dead letters",
    STOPPED: "stopped early; nothing is lost, and the message gives the command that continues",
    USAGE: "wrong usage or configuration; nothing was sent",
}
"""The meaning of each code, in the order of the page."""

OF_COMMANDS: Mapping[str, Mapping[int, str]] = {
    "check": {DEAD_LETTERS: "finished; some records are invalid"},
    "dead-letters": {DEAD_LETTERS: "finished; some lines are not dead letters"},
    "mappings": {DEAD_LETTERS: "finished; some records of the sample are invalid"},
    "stream": {
        FINISHED: "stopped by SIGTERM or Ctrl-C",
        STOPPED: "the stream cannot continue; nothing is lost, start it again",
    },
    "verify": {DEAD_LETTERS: "finished, with differences or dead letters"},
}
"""By command, the codes that have a more exact meaning."""
