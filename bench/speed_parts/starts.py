"""What a command needs before it works, against the import of Beam alone."""

import sys
from collections.abc import Iterator
from pathlib import Path

from common.runs import run
from speed_parts.backfills import write_profiles
from speed_parts.pair import Pair


def starts(folder: Path, _: float) -> Iterator[Pair]:
    """The check of one record, which needs Beam, and the help, which does not."""
    profiles = write_profiles(folder / "profiles.jsonl", 1)
    command = str(Path(sys.executable).with_name("beam-talonone"))
    beam = run([sys.executable, "-c", "import apache_beam"])
    for name, words in {"check of one record": ["check", "--profiles", str(profiles)], "--help": ["--help"]}.items():
        ours = run([command, *words])
        yield Pair(f"{name}, s", beam.seconds, ours.seconds, beam.cpu, ours.cpu)
