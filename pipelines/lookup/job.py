"""Lookup: reads from a file of ids, sent as a backfill sends its writes, with the answers as lines on disk."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from beam_talonone.pipelines.backfill.job import JobRun
from beam_talonone.pipelines.backfill.job_kind import JobKind, Report
from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.backfill.sending.active_job import ActiveJob, Slice
from beam_talonone.pipelines.backfill.sending.journal import JournalContent
from beam_talonone.pipelines.backfill.sending.send_slices import SliceSteps, send_slices
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.requests.outcome import DONE
from beam_talonone.talonone.state.append_log import AppendLog
from beam_talonone.talonone.state.whole_file import write_whole_file

PIECE = 1 << 20
"""Bytes that are written or copied at a time."""


def lookup_job(options: BackfillOptions, notice: Callable[[str], None]) -> JobRun:
    """A job whose records are lookups. The lines of a slice go to a file of its own as answers arrive, and from there
    to lookups/, in the order of the input. Raises ConfigurationError for a base URL that is none."""
    return JobRun(options, notice, JobKind(doing="looking up", things="lookups", send=_send, finished=_tell_results))


def _send(job: ActiveJob) -> None:
    send_slices(job, SliceSteps(send_options=_read_options, folded=_copy_slice, complete=_delete_lines))


def _tell_results(job: ActiveJob, report: Report) -> None:
    job.notice(f"the answers: {job.folder.root / 'lookups'}")
    statuses = report["operations"].get(job.options.input.operation, {}).get("statuses", {})
    missing = statuses.get("404", 0)
    if missing:
        job.notice(f"{missing:,} of the answers {'was' if missing == 1 else 'were'} 404 (not found)")
    if missing and len(statuses) == 1:
        job.notice("no lookup found anything: check the path in --base-url (TALONONE_BASE_URL)")


def _read_options(job: ActiveJob, part: Slice) -> SendOptions:
    return SendOptions(lines=LinesOnDisk(_lines_path(job.folder, part)))


def _copy_slice(job: ActiveJob, part: Slice, recorded: JournalContent) -> None:
    places = [
        outcome.place
        for _, (outcome, _) in sorted(recorded.done.items())
        if outcome.end in DONE and outcome.place is not None
    ]
    copy_lines(_lines_path(job.folder, part), places, job.folder.root / "lookups" / f"{part.name}.jsonl")


def _delete_lines(job: ActiveJob, part: Slice) -> None:
    _lines_path(job.folder, part).unlink(missing_ok=True)


def _lines_path(folder: JobFolder, part: Slice) -> Path:
    return folder.root / "state" / f"lines-{part.name}.jsonl"


class LinesOnDisk:
    """Appends lines to a file. A line has a place once it is whole: one that a killed process left torn has none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()

    async def put(self, pieces: Iterator[bytes]) -> tuple[int, int]:
        """Append a line; returns its offset and length in bytes. Raises OSError when the disk is full."""
        async with self._lock:
            with closing(AppendLog(self._path)) as log:
                start = log.size
                for piece in pieces:
                    log.append(piece)
                    if len(piece) >= PIECE:
                        await asyncio.sleep(0)  # others must leave in time
                return start, log.size - start


def copy_lines(source: Path, places: list[tuple[int, int]], target: Path) -> None:
    """Write the lines at `places` (offset and length in bytes) of `source`, in their order, to `target`: whole or not
    at all. Without places, `target` is removed."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
