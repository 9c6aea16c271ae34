"""The few short lines that are printed of a failure. A file has the whole output, with the whole input."""

import re

MOST_LINES = 60
"""Lines that are printed of a failure, its last ones."""

LONGEST = 300
"""Characters that are printed of a line, from its two ends."""

_PROGRESS = re.compile(r"#\d+\s+(INITED|NEW|REDUCE|RELOAD|pulse|BINGO|DONE)\b|INFO: |stat::|MS: \d|0x[0-9a-f]{2},")
"""What libFuzzer says of its search, and the bytes of an input, which are in a file of its own."""


def short(line: str) -> str:
    """A line of at most about LONGEST characters: its begin and its end.

    >>> short("x" * 5_000).strip("x")
    ' ... 4,700 characters ... '
    """
    if len(line) <= LONGEST + 40:
        return line
    begin, end = LONGEST * 2 // 3, LONGEST - LONGEST * 2 // 3
    return f"{line[:begin]} ... {len(line) - begin - end:,} characters ... {line[-end:]}"


def digest(output: str) -> str:
    """The lines of a failed process that tell why it failed: a traceback, an example, where the input is kept."""
    lines = [short(line) for line in output.splitlines() if line.strip() and not _PROGRESS.match(line)]
    left_out = len(lines) - MOST_LINES
    return "\n".join([f"... {left_out:,} lines before", *lines[-MOST_LINES:]] if left_out > 0 else lines)
