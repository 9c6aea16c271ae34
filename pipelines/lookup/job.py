"""Lookup: reads from a file of ids, on the way that a backfill writes, with the lines of what was read on disk."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from beam_talonone.pipelines.backfill.job import Backfill
from beam_talonone.pipelines.backfill.journal import Replayed
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.talonone.delivery.request_sender import SendOptions
from beam_talonone.talonone.requests.outcome import DONE
from beam_talonone.talonone.state.append_log import AppendLog
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.transforms.sources.opening import FileInfo

PIECE = 1 << 20


class Lookup(Backfill):
    """A backfill whose records are lookups. Their lines go to a file of the slice as they come, and from there to
    lookups/, in the order of the input."""

    doing, done = "reading", "lookups done"

    def _run(self, folder: JobFolder, files: dict[str, list[FileInfo]]) -> dict[str, Any]:
        report = super()._run(folder, files)
        self._notice(f"what was read: {folder.root / 'lookups'}")
        statuses = report["operations"].get(self.options.input.operation, {}).get("statuses", {})
        missing = statuses.get("404", 0)
        if missing:
            self._notice(f"{missing:,} of the answers were 404: not there")
        if missing and len(statuses) == 1:
            self._notice("nothing at all was found: is the path in --base-url (TALONONE_BASE_URL) right?")
        return report

    def _send_options(self, folder: JobFolder, name: str) -> SendOptions:
        return SendOptions(lines=LinesOnDisk(_lines_path(folder, name)))

    def _fold(self, folder: JobFolder, connection: Any, name: str, told: Replayed) -> None:
        super()._fold(folder, connection, name, told)
        places = [
            outcome.place
            for _, (outcome, _) in sorted(told.done.items())
            if outcome.end in DONE and outcome.place is not None
        ]
        copy_lines(_lines_path(folder, name), places, folder.root / "lookups" / f"{name}.jsonl")

    def _slice_ended(self, folder: JobFolder, name: str) -> None:
        _lines_path(folder, name).unlink(missing_ok=True)


def _lines_path(folder: JobFolder, name: str) -> Path:
    return folder.root / "state" / f"lines-{name}.jsonl"


class LinesOnDisk:
    """Appends lines to a file, each whole before its place is told; what a killed process left torn has no place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._one_at_a_time = asyncio.Lock()

    async def put(self, pieces: Iterator[bytes]) -> tuple[int, int]:
        """Append a line; returns its offset and length in bytes."""
        async with self._one_at_a_time:
            with closing(AppendLog(self._path)) as log:
                start = log.size
                for piece in pieces:
                    log.append(piece)
                    if len(piece) >= PIECE:
                        await asyncio.sleep(0)  # others must leave in time
                return start, log.size - start


def copy_lines(source: Path, places: list[tuple[int, int]], target: Path) -> None:
    """Write the lines that lie at `places` of `source`, in their order, to `target`: whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not places:
        target.unlink(missing_ok=True)
        return
    with source.open("rb") as lines:
        write_whole_file(target, _pieces(lines, places))


def _pieces(lines: BinaryIO, places: list[tuple[int, int]]) -> Iterator[bytes]:
    for offset, length in places:
        lines.seek(offset)
        while length > 0 and (piece := lines.read(min(PIECE, length))):
            yield piece
            length -= len(piece)
