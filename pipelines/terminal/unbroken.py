"""stdout and stderr whose reader may go away: what is said is lost then, and the work is not."""

import os
import sys
from typing import Any, TextIO, cast


class Unbroken:
    """A text stream that takes what cannot be written for written, where the error is one of `ignored`."""

    def __init__(self, stream: TextIO, ignored: type[OSError]) -> None:
        self._stream, self._ignored = stream, ignored

    def write(self, text: str) -> int:
        """Write `text`, or drop it on an ignored error. Returns its length in both cases."""
        try:
            return self._stream.write(text)
        except self._ignored:
            return len(text)

    def flush(self) -> None:
        """Flush the stream. After an ignored error, it writes to the null device from then on."""
        try:
            self._stream.flush()
        except self._ignored:
            # what is in the buffer would fail again when the interpreter ends, and change the exit code
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def unbroken() -> None:
    """Let stderr of this process take everything, and stdout what a closed pipe does not take.

    Streams that were closed before the process began are opened on the null device: otherwise the next file that the
    process opens, such as a database, would be its stderr.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # the lowest free number is that of the closed stream, as they are opened in their order
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115
    if not isinstance(sys.stderr, Unbroken):
        sys.stderr = cast(TextIO, Unbroken(sys.stderr, OSError))
    if not isinstance(sys.stdout, Unbroken):
        sys.stdout = cast(TextIO, Unbroken(sys.stdout, BrokenPipeError))
