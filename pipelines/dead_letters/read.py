"""Dead letters read from the files of a job or a stream, local or gs://, one at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from beam_talonone.pipelines.backfill.output_folder import MANIFEST
from beam_talonone.pipelines.replay.replayable import Replayability, replayability
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.kinds import LETTERS
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.formats.errors import NoSuchInput, SourceError, UnknownFormat
from beam_talonone.transforms.formats.shard import Shard
from beam_talonone.transforms.outputs.sinks import STREAM, is_subscription
from beam_talonone.transforms.sources.matching import match_files
from beam_talonone.transforms.sources.opening import Format
from beam_talonone.transforms.sources.shards import read_shard

FOLDER = "dead-letters"
"""The folder of dead letters in the folder of a job, and in the state folder of a stream."""


class _Line(msgspec.Struct):
    """The fields of a dead letter that are shown, of any type: people edit dead letters. Others are skipped."""

    kind: Any = None
    id: Any = None
    stage: Any = None
    reason: Any = None
    detail: Any = None
    pointer: Any = None
    operation: Any = None
    status: Any = None
    attempts: Any = None
    failed_at: Any = None
    job: Any = None
    source: Any = msgspec.UNSET


_NEEDED = ("kind", "reason", "source")
"""The fields without which a line is no dead letter."""

_DECODER = msgspec.json.Decoder(_Line, float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A line of a dead-letter file: its bytes, and its fields without `record`."""

    raw: Raw
    line: bytes
    fields: dict[str, Any]

    def replayability(self) -> Replayability:
        """Whether a replay sends anything of it."""
        return replayability(self.raw)

    def record(self) -> bytes:
        """The JSON of its record; empty if it has none."""
        return jsonio.parts(self.line).get("record", b"")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no dead letter, or the place from which a file cannot be read, with the problem."""

    file: str
    position: int
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.position}: {self.problem}"


def dead_letter_files(places: Sequence[str], notice: Callable[[str], None]) -> list[str]:
    """The files of dead letters at `places`, each once: files, globs, or folders, local or gs://.

    A folder is that of a job or stream, or holds the files itself. The list is empty for folders without dead
    letters. `notice` gets a line about each empty file. Raises ConfigurationError for a place without files.
    """
    files: dict[str, None] = {}
    for place in places:
        if is_subscription(place):
            raise ConfigurationError(f"{place} is a subscription: `beam-talonone replay` pulls its dead letters")
        try:
            found = match_files(place, notice) if _names_files(place) else _in_folder(place, notice)
        except SourceError as error:
            raise ConfigurationError(str(error)) from None
        files.update((info.path, None) for info in found)
    return list(files)


def read_dead_letters(files: Sequence[str]) -> Iterator[DeadLetter | BadLine]:
    """The lines of files of dead letters, in order, one in memory at a time. Raises Interrupted after a signal."""
    for path in files:
        for raw in read_shard(Shard(LETTERS, path, Format("jsonl"))):
            STOP.check()
            yield _dead_letter(raw)


def _dead_letter(raw: Raw) -> DeadLetter | BadLine:
    if raw.line is None or raw.broken is not None:
        return BadLine(raw.file, raw.position, raw.broken or "it cannot be read")
    try:
        raw.line.decode()  # the decoder skips what it need not read, whatever its bytes are
        line = _line(raw.line)
    except (ValueError, RecursionError) as error:
        return BadLine(raw.file, raw.position, f"not a dead letter: {error}")
    missing = [name for name in _NEEDED[:2] if not isinstance(getattr(line, name), str)]
    if line.source is msgspec.UNSET:
        missing.append("source")
    if missing:
        return BadLine(raw.file, raw.position, f"not a dead letter: it has no {', '.join(missing)}")
    return DeadLetter(raw, raw.line, msgspec.structs.asdict(line))


def _line(data: bytes) -> _Line:
    """The fields of a JSON object. A value that cannot be read, such as a number without bounds, stands as its text:
    a replay takes the dead letter all the same. Raises ValueError for anything but an object."""
    with suppress(msgspec.DecodeError, RecursionError, InvalidOperation):
        return _DECODER.decode(data)
    parts = jsonio.parts(data)
    return _Line(**{name: _readable(name, parts[name]) for name in _Line.__struct_fields__ if name in parts})


def _readable(name: str, part: bytes) -> Any:
    try:
        return jsonio.loads(part)
    except ValueError:
        if name in _NEEDED:
            raise
        return part.decode()


def _names_files(place: str) -> bool:
    if "://" not in place:
        return not Path(place).is_dir()
    return any(character in place for character in "*?[{") or place.endswith((".jsonl", ".gz"))


def _in_folder(place: str, notice: Callable[[str], None]) -> list[Any]:
    """The files of a folder: those in its `dead-letters/`, else those named `dead-letters-*`, else all."""
    folder = place.rstrip("/") or place
    for pattern in (f"{folder}/{FOLDER}/*.jsonl", f"{folder}/{FOLDER}-*.jsonl", f"{folder}/*.jsonl"):
        with suppress(NoSuchInput, UnknownFormat):
            return match_files(pattern, notice)
    known = (MANIFEST, STREAM, FOLDER)
    if "://" not in place and any((Path(place) / name).exists() for name in known):
        return []
    raise ConfigurationError(f"{place}: no dead letters there: name the --output of a job, or files")
