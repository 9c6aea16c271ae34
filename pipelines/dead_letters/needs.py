"""What dead letters need to be sent again: the mapping that made their records, none, or one that they lacked."""

import glob
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from beam_talonone.pipelines.dead_letters.examples import MOST_READ
from beam_talonone.pipelines.dead_letters.read import FOLDER, DeadLetter, read_dead_letters
from beam_talonone.pipelines.mappings.shapes import Shape, likely_shape
from beam_talonone.pipelines.report.recording.series_file import SERIES_FILE, read_series
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.reasons import Stage
from beam_talonone.talonone.errors import Interrupted
from beam_talonone.transforms.formats.errors import SourceError

MOST_REPLAYS = 100
"""Replays of replays that are followed back to the job with the mapping."""


SAMPLE = 200
"""Dead letters in which the shape of a preset is looked for."""


class Needs(NamedTuple):
    """How many of the first dead letters of a job a replay sends with a mapping only, without one only, or after a
    correction. Those that it never sends, such as of unreadable files, are not counted."""

    mapped: int = 0
    unmapped: int = 0
    others: int = 0


def needs_of(folder: Path) -> Needs | None:
    """Those of the dead letters in the folder of a job; None where there are none, or where they cannot be read."""
    mapped = unmapped = others = 0
    letters = False
    try:
        for letter in _first_of(folder, MOST_READ):
            letters, replay = True, letter.replayability()
            mapped += replay.needs_mapping
            unmapped += replay.refuses_mapping
            others += not (replay.needs_mapping or replay.refuses_mapping or replay.lost)
    except (OSError, SourceError, Interrupted):  # the job has ended well, whatever happens here
        return None
    return Needs(mapped, unmapped, others) if letters else None


def shapes_of(folder: Path) -> dict[str, Shape]:
    """By kind, the shape of foreign documents that the first invalid records have which no mapping made."""
    records: dict[str, list[Any]] = {}
    try:
        for letter in _first_of(folder, SAMPLE):
            if letter.fields.get("stage") == Stage.VALIDATE.value:
                records.setdefault(letter.fields["kind"], []).append(jsonio.loads(letter.record() or b"null"))
    except (OSError, SourceError, Interrupted, ValueError):
        return {}
    shapes = {kind: likely_shape(documents) for kind, documents in records.items()}
    return {kind: shape for kind, shape in shapes.items() if shape is not None}


def _first_of(folder: Path, most: int) -> Iterator[DeadLetter]:
    """The dead letters in the first `most` lines of the folder of a job."""
    files = sorted(str(path) for path in (folder / FOLDER).glob("*.jsonl"))
    return (line for line in islice(read_dead_letters(files), most) if isinstance(line, DeadLetter))


def mapped_before(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of the job with a mapping whose dead letters the replay with `settings` took; empty where it is
    not known."""
    for _ in range(MOST_REPLAYS):
        settings = next(_runs_before(settings), {})
        if not settings or settings.get("--mapping"):
            return settings
    return {}


def _runs_before(settings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The settings of the jobs that wrote the files of dead letters that `settings` name."""
    patterns = settings.get("DEAD_LETTERS_GLOB") or ()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        if "://" in pattern:
            continue
        files = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern))
        for folder in dict.fromkeys(Path(path).parent.parent for path in files):
            runs = read_series(folder / "state" / SERIES_FILE).runs
            if runs:
                yield runs[-1].settings
