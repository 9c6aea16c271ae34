"""The first dead letter of each reason, for the end of a run."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.dead_letters.aggregate import Example, example_of
from beam_talonone.pipelines.dead_letters.read import FOLDER, BadLine, read_dead_letters
from beam_talonone.schemas.reasons import Skip
from beam_talonone.talonone.errors import Interrupted
from beam_talonone.transforms.formats.errors import SourceError

MOST_READ = 20_000
"""Dead letters that are read for examples, in less than a second: a reason that begins later has none."""


def first_examples(output: Path, report: Mapping[str, Any]) -> dict[tuple[str, str], Example]:
    """The first dead letter in the job's folder `output` of each kind and reason in `report`, as far as it is soon
    found. Empty where the files cannot be read."""
    wanted = {(kind, reason) for kind, reasons in report["reasons"].items() for reason in {*reasons} - {*Skip}}
    examples: dict[tuple[str, str], Example] = {}
    files = sorted(str(path) for path in (output / FOLDER).glob("*.jsonl"))
    try:
        for line in islice(read_dead_letters(files), MOST_READ):
            if isinstance(line, BadLine):
                continue
            key = str(line.fields.get("kind")), str(line.fields.get("reason"))
            if key in wanted:
                wanted.discard(key)
                examples[key] = example_of(line.fields)
            if not wanted:
                break
    except (OSError, SourceError, Interrupted):  # the job has ended well, whatever happens here
        pass
    return examples
