"""A shard between two bundles: its records beside the output, and what a worker keeps of it on its own disk.

The staging database of a shard is written once, to `STATE/staged.sqlite.gz`, before anything is sent. A worker that
sends the shard copies it, and keeps the copy for the next bundle. A copy is never wrong, only behind: what other
workers have sent since is in their journals (pipelines.distributed.journal_copies.journal_backup).
"""

import atexit
import threading
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import JobFolder
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.talonone.engine.engine import Engine
from beam_talonone.talonone.errors import StopRun
from beam_talonone.talonone.state.temporary_files import TemporaryFolder
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.transforms.runtime.engines import EngineConfig, make_engine
from beam_talonone.transforms.runtime.process_registry import PROCESS, Kind

STAGED = "staged.sqlite.gz"
"""The name of the file with the records of a shard."""

KEPT = 4
"""The copies that a worker keeps of shards that it is not sending: other workers may send them by now."""

PREFIX = "beam-talonone-shard-"
"""The begin of the names of the folders with copies."""

PIECE = 1 << 20
GZIP = 31
"""The `wbits` of zlib that mean gzip."""


def save_staged(place: Place, staging: Path) -> None:
    """Write the staging database of a shard to `place`, which is its state beside the output. Nobody may have it
    open."""
    place.write(_packed(staging), STAGED)


def fetch_staged(place: Place, staging: Path) -> None:
    """Copy the staging database of a shard to `staging`. Raises StopRun where `place` has none, or a damaged one."""
    path, again = place.path(STAGED), "--resume stages the records again"
    if not place.has(STAGED):
        raise StopRun(f"{path} is missing; {again}")
    try:
        write_whole_file(staging, _unpacked(place))
    except zlib.error as error:
        raise StopRun(f"{path} is damaged ({error}); {again}") from None


def _packed(path: Path) -> Iterator[bytes]:
    packing = zlib.compressobj(1, zlib.DEFLATED, GZIP)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield packing.compress(piece)
    yield packing.flush()


def _unpacked(place: Place) -> Iterator[bytes]:
    unpacking = zlib.decompressobj(GZIP)
    with place.open(STAGED) as file:
        while piece := file.read(PIECE):
            yield unpacking.decompress(piece)
    yield unpacking.flush()
    if not unpacking.eof:
        raise zlib.error("the file breaks off")


class ShardCopy:
    """A worker's copy of a shard: the folder of its small backfill, and the engine that sends it, or None."""

    def __init__(self, disk: TemporaryFolder, folder: JobFolder) -> None:
        self._disk, self.folder = disk, folder
        self._engine: tuple[EngineConfig, Engine] | None = None

    @classmethod
    def empty(cls, job: str, started: float, within: Path | None) -> "ShardCopy":
        """A copy without a staging database, in a new folder of `within`, or of the disk for temporary files. Removes
        the copies that killed workers left there."""
        disk = TemporaryFolder(PREFIX, within)
        root = disk.path / "job"
        for folder in (root, root / "state"):
            folder.mkdir(mode=0o700)
        return cls(disk, JobFolder(root, job, True, {"started": started}))

    def engine_for(self, config: EngineConfig) -> Engine:
        """The engine that is there, if it has this configuration; else a new one. An engine with another share of the
        rate gets this one: it keeps its connections, and what it knows. Raises as make_engine does."""
        if self._engine is not None:
            before, engine = self._engine
            if before == config:
                return engine
            if before == _with_share_of(config, before):
                engine.change_share(config.settings.rate, config.settings.phase)
                self._engine = config, engine
                return engine
        self.close_engine()
        engine = make_engine(config)
        self._engine = config, engine
        return engine

    def close_engine(self) -> None:
        """End the engine, if there is one."""
        if self._engine is not None:
            self._engine[1].close()
        self._engine = None

    def close(self) -> None:
        """End the engine, and remove the folder."""
        self.close_engine()
        self._disk.close()


def _with_share_of(config: EngineConfig, other: EngineConfig) -> EngineConfig | None:
    """`config` with the rate and the phase of `other`; None where a service grants the rate."""
    if config.rate_service is not None:
        return None
    share = other.settings
    return replace(config, settings=replace(config.settings, rate=share.rate, phase=share.phase))


class ShardCopies:
    """The copies that this process keeps for later bundles of a job. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[int, ShardCopy] = {}
        self._over = False

    def take(self, shard: int) -> ShardCopy | None:
        """The copy of a shard, now the caller's alone; None where there is none."""
        with self._lock:
            return self._kept.pop(shard, None)

    def keep(self, shard: int, copy: ShardCopy) -> None:
        """Keep a copy for the next bundle. The oldest ones are closed when there are too many."""
        with self._lock:
            closed = [copy] if self._over else []
            if not self._over:
                replaced = self._kept.pop(shard, None)
                self._kept[shard] = copy
                closed += [replaced] if replaced is not None else []
                while len(self._kept) > KEPT:
                    closed.append(self._kept.pop(next(iter(self._kept))))
        for old in closed:
            old.close()

    def close(self) -> None:
        """Close all copies, and those that come later."""
        with self._lock:
            kept, self._over = list(self._kept.values()), True
            self._kept.clear()
        for copy in kept:
            copy.close()


SHARD_COPIES = Kind[str, ShardCopies]("copies of shards", ShardCopies.close)
"""By the output of the job."""


def copies_for(output: str) -> ShardCopies:
    """The copies of this process. They end with the scope of the run, or else with the process."""

    def make() -> ShardCopies:
        made = ShardCopies()
        atexit.register(made.close)
        return made

    copies: ShardCopies = PROCESS.obtain(SHARD_COPIES, output, make)
    return copies
