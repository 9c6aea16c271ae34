"""Commands of ours as a person types them: quoted for a shell, without secrets, and with folders that are free. Pure,
but for a look at which folders exist."""

import re
import shlex
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from beam_talonone.talonone.telemetry.redact import without_keys

_SECRET = re.compile(r"(--[\w-]*(?:password|token|credential)[\w-]*=).+", re.IGNORECASE)
"""An option of Beam whose value is a secret."""


def command_line(words: Sequence[str]) -> str:
    """The command `words`, quoted for a shell. Options of Beam follow `--`; the values of secret ones are left out.

    >>> command_line(["backfill", "--orders", "my orders/*.csv", "--", "--db_password=1234"])
    "beam-talonone backfill --orders 'my orders/*.csv' -- --db_password=..."
    """
    end = words.index("--") if "--" in words else len(words)
    beam = [_SECRET.sub(r"\1...", word) for word in words[end:]]
    return without_keys(shlex.join(["beam-talonone", *words[:end], *beam]))


def free_folder(output: Path, purpose: str) -> Path:
    """A folder beside `output` that does not exist yet: `out-replay`, `out-replay-2`, ..."""
    name = f"{output.resolve().name}-{purpose}"
    paths = (output.resolve().parent / (name if number == 1 else f"{name}-{number}") for number in count(1))
    free = next(path for path in paths if not path.exists())
    # beside `.` and `..` there is no relative name
    return free if output.is_absolute() or output.name in ("", "..") else output.parent / free.name
