"""The state of a shard of a backfill beside its output, on any file system: what survives the machine it runs on.

A shard writes a journal on its worker's disk (pipelines.backfill.sending.journal). The lines that an attempt adds are
copied as they come, in parts (journal_parts beside this module). Where an attempt has many parts, a new one takes the
place of all. An attempt that ends in the middle of a slice replaces its own parts, and those that it had read, by
one whole part. A complete slice has a whole journal, `STATE/slice-000001.jsonl`.

A worker that vanishes takes the last seconds of its journal with it. So before records may leave,
`slice-000001.<attempt>.let-go` says up to which one they may, and since when. A record that was let go, and has no
outcome in the journal, may have been sent. An attempt that ends in order deletes its own file; those of attempts that
vanished stay until the slice is complete, as their records may not have had their turn.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import decoded
from beam_talonone.pipelines.distributed.journal_copies.journal_parts import (
    WHOLE,
    Fetched,
    Incomplete,
    LetGo,
    attempt_of,
    earliest,
    merged,
    packed,
    part_name,
)
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.telemetry.logs import say

log = logging.getLogger(__name__)

COPY_EVERY = 2.0
MOST_PARTS = 16
"""Parts of an attempt, at most. Then one part takes the place of all: a slice may take hours."""

BETWEEN_WRITES = 1.0
"""Seconds between two writes of one object. Cloud Storage refuses more of one name."""

READS = 10
"""Times that the files of a state are listed, where one is gone before it is read: another attempt ends meanwhile."""


class JournalBackup:
    """Keeps the journals of one shard at `place`, for one attempt. Used by one thread besides its own."""

    def __init__(self, place: Place, sleep: Callable[[float], None] = time.sleep) -> None:
        self._place = place
        self._who = _who(0)
        self._persist, self._sleep = partial(place.persist, sleep=sleep), sleep
        self._lock = threading.Lock()
        self._following: tuple[str, Path] | None = None
        self._fetched: dict[str, Fetched] = {}
        self._copied = self._parts = 0
        self._mark = ""
        """The end of the name of the part that took the place of others: a or b."""
        self._let_go: LetGo = []
        self._let_go_at = float("-inf")
        self.whole: set[str] = set()
        """Slices that were complete when their journals were fetched."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def fetch(self, journals: Callable[[str], Path], first: int = 1) -> dict[str, LetGo]:
        """Bring the journals of the slice number `first` and of those after it here, each to the path that `journals`
        returns for its slice.

        Returns what was let go of each slice that did not end in order. Raises Damaged where files are damaged or
        gone.
        """
        for _ in range(READS):
            try:
                return self._fetch(journals, first)
            except Incomplete as error:
                missing = str(error)
        raise damaged(self._place.path(missing), ": the file is missing, or one before it")

    def _fetch(self, journals: Callable[[str], Path], first: int) -> dict[str, LetGo]:
        names = self._place.names("slice-*")  # all with one look: files take the place of others
        slices = sorted({name.partition(".")[0] for name in names if name.endswith((".jsonl", ".part"))})
        for number, slice_name in enumerate(slices, 1):
            if slice_name != f"slice-{number:06d}":
                raise damaged(
                    self._place.path(f"slice-{number:06d}.jsonl"), ": the file is missing, although later ones exist"
                )
        begun = [attempt_of(name) for name in names if name.endswith(".part")]
        self._who = _who(max((int(who.partition("-")[0]) for who in begun), default=0))
        for slice_name in slices[first - 1 :]:
            whole, parts = f"{slice_name}.jsonl", f"{slice_name}."
            if whole in names:
                write_whole_file(journals(slice_name), self._read(whole))
                self.whole.add(slice_name)
                continue
            read = [name for name in names if name.startswith(parts) and name.endswith(".part")]
            lines = merged(read, self._read, lambda name: damaged(self._place.path(name), ""))
            write_whole_file(journals(slice_name), list(lines.values()))
            lengths = tuple((attempt, len(own)) for attempt, own in lines.items())
            self._fetched[slice_name] = Fetched(frozenset(read), lengths)
        let_go: dict[str, LetGo] = {}
        for name in names:
            slice_name = name.partition(".")[0]
            if name.endswith(".let-go") and slice_name >= f"slice-{first:06d}" and slice_name not in self.whole:
                let_go.setdefault(slice_name, []).extend(self._let_go_of(name))
        return {slice_name: earliest(entries) for slice_name, entries in let_go.items()}

    def follow(self, slice_name: str, journal: Path) -> None:
        """From now on, copy what is written to `journal` behind what was fetched of it."""
        with self._lock:
            self._following = slice_name, journal
            self._copied = self._fetched.setdefault(slice_name, Fetched()).size
            self._let_go, self._let_go_at, self._parts = [], float("-inf"), 0

    def let_go(self, last: int, at: float) -> None:
        """Records up to number `last` may leave when this returns. Waits while the file system fails, and until
        BETWEEN_WRITES have passed since the call before: records that need no request are let go quickly."""
        if self._following is None:
            raise RuntimeError("nothing is let go before its journal is followed")
        name = self._own_let_go(self._following[0])
        self._let_go.append((last, at))
        data = json.dumps(self._let_go).encode()
        wait = self._let_go_at + BETWEEN_WRITES - time.monotonic()
        if wait > 0 and not self._place.is_local:
            self._sleep(wait)
        self._persist(lambda: self._place.write(data, name))
        self._let_go_at = time.monotonic()

    def ended(self, least: int = 0) -> None:
        """Keep all of the journal in one piece, instead of its parts: the run of a slice has ended, and not all of it
        was sent. A journal that somebody has removed, or cut to less than `least` bytes, changes nothing: what was
        copied stays, and what was let go may have been sent."""
        if self._following is None:
            return
        slice_name, journal = self._following
        with self._lock:  # the copying thread writes no further part
            self._following = None
        data = _whole_lines(journal)
        if data is None and not (least or self._copied or self._let_go):
            return  # it was never opened
        if data is None or len(data) < max(least, self._copied):
            say(log, logging.WARNING, "the journal was removed or cut; its copy stays as it is", path=journal)
            return
        fetched = self._fetched[slice_name]
        lines, begin = {}, 0
        for attempt, length in fetched.lengths:
            lines[attempt] = data[begin : begin + length]
            begin += length
        if len(data) > begin:
            lines[self._who] = data[begin:]
            content, whole = packed(lines), f"{slice_name}.{self._who}{WHOLE}"
            self._persist(lambda: self._place.write(content, whole))
            self._persist(lambda: self._delete_parts(slice_name, fetched.names))
        own = self._own_let_go(slice_name)
        self._persist(lambda: self._place.delete(self._place.names(own)))

    def _delete_parts(self, slice_name: str, fetched: frozenset[str]) -> None:
        """Delete the parts in the whole part: those that were fetched, and one's own. Other attempts may have written
        others."""
        own = f"{slice_name}.{self._who}-0"
        names = self._place.names(f"{slice_name}.*.part")
        pattern = [f"{own}*.part"] if any(name.startswith(own) for name in names) else []  # one request, not hundreds
        self._place.delete([*fetched.intersection(names), *pattern])

    def complete(self, slice_name: str, journal: Path, least: int = 0) -> None:
        """Keep the journal of a complete slice in one piece, instead of all parts. Raises Damaged when somebody has
        removed it, or cut it to less than `least` bytes."""
        data = _whole_lines(journal)
        if data is None or len(data) < max(least, self._copied):
            raise damaged(journal, ": the file was removed or cut")
        self._persist(lambda: self._place.write(data, f"{slice_name}.jsonl"))
        self._following = None
        for pattern in (f"{slice_name}.*.part", f"{slice_name}.*let-go"):
            self._persist(partial(self._delete_all, pattern))

    def _delete_all(self, pattern: str) -> None:
        if self._place.names(pattern):
            self._place.delete([pattern])

    def close(self) -> None:
        """End the copying thread. `ended` or `complete` keeps the rest of the journal before."""
        self._over.set()
        self._thread.join()

    def _own_let_go(self, slice_name: str) -> str:
        return f"{slice_name}.{self._who}.let-go"

    def _read(self, name: str) -> bytes:
        data = self._place.read(name)
        if data is None:
            raise Incomplete(name)
        return data

    def _let_go_of(self, name: str) -> LetGo:
        entries = decoded(self._read(name), self._place.path(name))
        try:
            return [(int(last), float(at)) for last, at in entries]
        except (TypeError, ValueError):
            raise damaged(self._place.path(name), "") from None

    def copy(self) -> None:
        """Return when all that the journal holds is copied. Waits while the file system fails."""
        self._persist(self._copy)

    def _run(self) -> None:
        while not self._over.wait(COPY_EVERY):
            try:
                self._copy()
            except Exception as error:  # it is tried again, from where it was
                say(log, logging.WARNING, "the journal cannot be copied", error=error, to=self._place.root)

    def _copy(self) -> None:
        """Copy the whole lines that the journal has got since. Where the attempt has many parts, write all its lines
        into a new one, and delete the others. It has a new name: other attempts delete the parts that they read."""
        with self._lock:
            if self._following is None or not self._following[1].exists():
                return
            slice_name, journal = self._following
            fetched, joined = self._fetched[slice_name].size, self._parts >= MOST_PARTS
            begin = fetched if joined else self._copied
            with journal.open("rb") as file:
                file.seek(begin)
                data = file.read()
            data = data[: data.rfind(b"\n") + 1]
            if begin + len(data) <= self._copied:
                return
            size, mark = begin + len(data) - fetched, "b" if self._mark == "a" else "a"
            version = f"{size}{mark}" if joined else ""
            self._place.write(data, part_name(slice_name, self._who, begin - fetched, version))
            if joined:
                self._delete_all(f"{slice_name}.{self._who}-*[!{mark}].part")  # one request, and not for the new one
                self._parts, self._mark = 0, mark
            self._copied = begin + len(data)
            self._parts += 1


def _whole_lines(journal: Path) -> bytes | None:
    """The whole lines of a journal; None if the file is missing."""
    try:
        data = journal.read_bytes()
    except FileNotFoundError:
        return None
    return data[: data.rfind(b"\n") + 1]


def _who(last: int) -> str:
    """A new name, which sorts behind those that begin with the milliseconds `last`: also where the clock of another
    machine was ahead."""
    return f"{max(int(time.time() * 1000), last + 1):013d}-{uuid.uuid4().hex[:8]}"
