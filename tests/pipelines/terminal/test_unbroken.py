"""A terminal or pipe that is gone."""

import os
from typing import TextIO

import pytest

from beam_talonone.pipelines.terminal.unbroken import Unbroken


def broken_pipe() -> TextIO:
    reading, writing = os.pipe()
    os.close(reading)
    return open(writing, "w", buffering=1)


def test_what_nobody_reads_is_lost_and_nothing_else() -> None:
    stream = Unbroken(broken_pipe(), OSError)
    print("one", file=stream)  # type: ignore[arg-type]
    print("two", file=stream, flush=True)  # type: ignore[arg-type]
    stream.flush()
    stream.close()


def test_a_full_disk_is_told_where_it_matters() -> None:
    with open("/dev/full", "w") as full:
        stream = Unbroken(full, BrokenPipeError)
        stream.write("a request")
        with pytest.raises(OSError, match="No space"):
            stream.flush()
        quiet = Unbroken(full, OSError)
        quiet.flush()  # what is left of it, too
        quiet.write("a notice")
