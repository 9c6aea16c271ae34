"""The state of a shard of a backfill beside its output, on any file system: what survives the machine it runs on.

A shard writes a journal on its worker's disk (pipelines.backfill.sending.journal). The journal is copied as it grows,
into files `STATE/slice-000001.<who>-<number>.part`, each written once. A bundle that ends in the middle of a slice
replaces them by the journal so far, `slice-000001.<who>-whole.part`; for a complete slice there is the whole journal,
`slice-000001.jsonl`. A worker that vanishes takes the last seconds of its journal with it. So before records may
leave, `slice-000001.let-go` says up to which one they may, and since when. A record that was let go, and has no
outcome in the journal, may have been sent.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_talonone.pipelines.backfill.output_folder import decoded
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.telemetry.logs import say

log = logging.getLogger(__name__)

COPY_EVERY = 2.0
LONGEST_WAIT = 30.0
"""Seconds between two tries to write to a file system that fails."""

WHOLE = "-whole.part"
"""The end of the name of a part that holds all of the journal so far: earlier parts are no longer needed."""


class Place:
    """A folder, local or gs://. Its methods raise Beam's BeamIOError, or OSError."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine, or mounted there."""
        return "://" not in self.root

    def path(self, *names: str) -> str:
        """The path of what lies under these names in the folder, for messages and for Beam."""
        return "/".join([self.root, *names])

    def names(self, pattern: str) -> list[str]:
        """The names of the files that match, sorted."""
        [match] = FileSystems.match([self.path(pattern)])
        return sorted(file.path.rpartition("/")[2] for file in match.metadata_list)

    def read(self, *names: str) -> bytes | None:
        """The content of a file; None where there is none."""
        if not self.has(*names):
            return None
        with self.open(*names) as file:
            return bytes(file.read())

    def has(self, *names: str) -> bool:
        """Whether there is such a file."""
        return bool(FileSystems.exists(self.path(*names)))

    def open(self, *names: str) -> Any:
        """A file, open for reading."""
        return FileSystems.open(self.path(*names), compression_type=CompressionTypes.UNCOMPRESSED)

    def write(self, data: bytes | Iterable[bytes], *names: str) -> None:
        """Write a file whole, in one piece or several, over one that is there."""
        path = self.path(*names)
        if self.is_local:
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole_file(Path(path), data, concurrent=True)  # a runner may have a shard twice
            return
        with FileSystems.create(path, "application/json", CompressionTypes.UNCOMPRESSED) as file:
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)

    def delete(self, names: list[str]) -> None:
        """Delete files of the folder; nothing for no names."""
        if names:
            FileSystems.delete([self.path(name) for name in names])

    def persist(self, write: Callable[[], Any], sleep: Callable[[float], None] = time.sleep) -> None:
        """Call `write`, again and again while the file system fails."""
        wait = 1.0
        while True:
            try:
                write()
            except Exception as error:
                say(log, logging.WARNING, "cannot write; trying again", error=error, to=self.root, wait=wait)
                sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                return


class JournalBackup:
    """Keeps the journals of one shard at `place`. `write` is used by one thread besides its own."""

    def __init__(self, place: Place, sleep: Callable[[float], None] = time.sleep) -> None:
        self._place = place
        self._who = _who(0)
        self._number = 0
        self._persist = partial(place.persist, sleep=sleep)
        self._lock = threading.Lock()
        self._following: tuple[str, Path] | None = None
        self._copied = 0
        self._let_go: list[tuple[int, float]] = []
        self.whole: set[str] = set()
        """Slices that were complete when their journals were fetched."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True)
        self._thread.start()

    def fetch(self, journals: Callable[[str], Path], first: int = 1) -> dict[str, list[tuple[int, float]]]:
        """Bring the journals of the slice number `first` and of those after it here, each to the path that `journals`
        returns for its slice.

        Returns what was let go of each slice that did not end in order: (last record, seconds since 1970). Raises
        Damaged where files are damaged or gone.
        """
        files = self._slices()
        begun = [name.split(".")[1] for names in files.values() for name in names if name.endswith(".part")]
        self._who = _who(max((int(who.partition("-")[0]) for who in begun), default=0))
        for number, slice_name in enumerate(sorted(files), 1):
            if slice_name != f"slice-{number:06d}":
                raise damaged(
                    self._place.path(f"slice-{number:06d}.jsonl"), ": the file is missing, although later ones exist"
                )
        for slice_name, names in sorted(files.items())[first - 1 :]:
            whole = f"{slice_name}.jsonl"
            if whole in names:
                self.whole.add(slice_name)
            parts = [whole] if whole in names else _needed(names)
            pieces = [piece for name in parts if (piece := self._place.read(name)) is not None]
            write_whole_file(journals(slice_name), pieces)
        let_go = {}
        for name in self._place.names("*.let-go"):
            let_go[name.removesuffix(".let-go")] = self._let_go_of(name)
        return let_go

    def follow(self, slice_name: str, journal: Path) -> None:
        """From now on, copy what is written to `journal`."""
        with self._lock:
            self._following = slice_name, journal
            self._copied = journal.stat().st_size if journal.exists() else 0
            self._let_go = self._let_go_of(f"{slice_name}.let-go")

    def let_go(self, last: int, at: float) -> None:
        """Records up to number `last` may leave when this returns. Waits while the file system fails."""
        if self._following is None:
            raise RuntimeError("nothing is let go before its journal is followed")
        slice_name = self._following[0]
        self._let_go.append((last, at))
        data = json.dumps(self._let_go).encode()
        self._persist(lambda: self._place.write(data, f"{slice_name}.let-go"))

    def ended(self) -> None:
        """Keep all of the journal in one piece, instead of its parts: the run of a slice has ended in order, and not
        all of it was sent."""
        if self._following is not None:
            slice_name, journal = self._following
            with self._lock:  # the copying thread writes no further part
                self._following = None
            data = journal.read_bytes() if journal.exists() else b""
            data = data[: data.rfind(b"\n") + 1]
            if data:
                self._keep_whole(slice_name, data)
            self._persist(lambda: self._place.delete(self._place.names(f"{slice_name}.let-go")))

    def _keep_whole(self, slice_name: str, data: bytes) -> None:
        whole = f"{slice_name}.{self._who}{WHOLE}"
        self._persist(lambda: self._place.write(data, whole))
        parts = f"{slice_name}.*.part"  # those of a later attempt stay
        self._persist(lambda: self._place.delete([name for name in self._place.names(parts) if name < whole]))

    def complete(self, slice_name: str, journal: Path) -> None:
        """Keep the journal of a complete slice in one piece, instead of its parts."""
        self._persist(lambda: self._place.write(journal.read_bytes(), f"{slice_name}.jsonl"))
        self._persist(lambda: self._place.delete(self._place.names(f"{slice_name}.*.part")))
        self._persist(lambda: self._place.delete(self._place.names(f"{slice_name}.let-go")))
        self._following = None

    def close(self) -> None:
        """End the copying thread; `ended` or `complete` copies what is left before."""
        self._over.set()
        self._thread.join()

    def _let_go_of(self, name: str) -> list[tuple[int, float]]:
        data = self._place.read(name)
        entries = [] if data is None else decoded(data, self._place.path(name))
        try:
            return [(int(last), float(at)) for last, at in entries]
        except (TypeError, ValueError):
            raise damaged(self._place.path(name), "") from None

    def _slices(self) -> dict[str, list[str]]:
        files: dict[str, list[str]] = {}
        for name in [*self._place.names("slice-*.jsonl"), *self._place.names("slice-*.part")]:
            files.setdefault(name.partition(".")[0], []).append(name)
        return files

    def _run(self) -> None:
        while not self._over.wait(COPY_EVERY):
            try:
                self._copy()
            except Exception as error:  # it is tried again, from where it was
                say(log, logging.WARNING, "the journal cannot be copied", error=error, to=self._place.root)

    def _copy(self) -> None:
        """Copy the whole lines that the journal has got since."""
        with self._lock:
            if self._following is None or not self._following[1].exists():
                return
            slice_name, journal = self._following
            with journal.open("rb") as file:
                file.seek(self._copied)
                data = file.read()
            data = data[: data.rfind(b"\n") + 1]
            if data:
                self._place.write(data, f"{slice_name}.{self._who}-{self._number:06d}.part")
                self._number += 1
                self._copied += len(data)


def _who(last: int) -> str:
    """A new name, which sorts behind those that begin with the milliseconds `last`: also where the clock of another
    machine was ahead."""
    return f"{max(int(time.time() * 1000), last + 1):013d}-{uuid.uuid4().hex[:8]}"


def _needed(names: list[str]) -> list[str]:
    """The parts of a journal: from the last one on that holds all before it."""
    parts = [name for name in names if name.endswith(".part")]
    whole = [index for index, name in enumerate(parts) if name.endswith(WHOLE)]
    return parts[whole[-1] :] if whole else parts
