"""The output folder of a job: who uses it, what the job was started with, and whether it may be resumed."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import sqlite3
import time
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.file_watch import FileWatch
from beam_talonone.pipelines.backfill.options import same_path, same_value
from beam_talonone.pipelines.report.recording.series_file import SERIES_FILE
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.state.private_folder import make_private_folder
from beam_talonone.talonone.state.sealed_lines import damaged
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.transforms.sources.opening import FileInfo

MANIFEST = "job.json"
DISTRIBUTED = "backfill on a runner"
"""The command in the manifest of a distributed backfill, whose shards keep their state apart."""

URL = "--base-url"
CHECK = "checksum"
DISK_ERRORS = (OSError, sqlite3.Error)
STATE, LOCK = "state", "lock"
OURS = (MANIFEST, "report.json", "report.html", "dead-letters", "results", "lookups", "differences.jsonl", STATE)


@dataclass
class JobFolder:
    """The folder, open and locked. `job` is the id that stands in dead letters."""

    root: Path
    job: str
    resumed: bool
    manifest: dict[str, Any] = field(default_factory=dict)
    _lock: int = -1

    def __post_init__(self) -> None:
        self.watch = FileWatch(self.root)
        """The files that must stay in place while the job runs."""
        self.watch.note(self.root / MANIFEST)

    @property
    def staging(self) -> Path:
        """The staging database. Its file is called `spool.sqlite`, as in version 0.1."""
        return self.root / "state" / "spool.sqlite"

    @property
    def series(self) -> Path:
        """The database with what the job did over time, for report.html."""
        return self.root / "state" / SERIES_FILE

    def journal(self, slice_name: str) -> Path:
        """The journal of one slice. After a kill, it outlives its slice; no other slice takes it for its own."""
        return self.root / "state" / f"journal-{slice_name}.jsonl"

    @property
    def read(self) -> Path:
        """A file that is there once the staging database is complete; it holds the number of things to do."""
        return self.root / "state" / "read"

    @property
    def report(self) -> Path:
        """report.json, which a job writes at its end, and at the end of each run with --limit."""
        return self.root / "report.json"

    @property
    def reported(self) -> Path:
        """A file with the checksum of report.json."""
        return self.root / "state" / "reported"

    def close(self) -> None:
        """Unlock the folder for other processes."""
        os.close(self._lock)


def open_job(
    root: Path, command: str, fixed: dict[str, Any], files: dict[str, list[FileInfo]], *, resume: bool,
    sent: Callable[[Path], bool] = lambda state: True,
) -> JobFolder:  # fmt: skip
    """Take the folder for a job, new or resumed.

    `fixed` are the options that must not change, `files` the input. `sent` returns for the state folder whether the
    job has sent anything: until then, the job may go to another URL.

    Raises ConfigurationError in these cases:

    * There is a job and `resume` is False, or there is none and `resume` is True.
    * Options or files differ from those the job was started with.
    * Another process is at work in the folder.
    * The folder cannot be made, is not on this machine, or is one whose files another user could exchange.
    """
    if ":/" in str(root):
        raise ConfigurationError(f"--output {root} must be a folder of this machine: the job keeps its journal there")
    manifest_path = root / MANIFEST
    check_begun(root, resume=resume)
    lock = lock_folder(root)
    requested = {"command": command, "options": fixed, "files": _files(files)}
    try:
        if not resume and _holds_job(root):  # one that began, and ended, before the folder was locked
            raise job_already(root)
        if resume:
            manifest = started_with(manifest_path.read_bytes(), manifest_path)
            _to_another_url(manifest, requested, manifest_path, sent)
            _compare(root, manifest, requested)
        else:
            manifest = {"job": uuid.uuid4().hex[:12], "started": time.time(), **requested}
            write_whole_file(manifest_path, signed(manifest))
        return JobFolder(root, manifest["job"], resume, manifest, lock)
    except BaseException:
        os.close(lock)
        raise


def journal_paths(state: Path) -> list[tuple[int, Path]]:
    """The journals in the state folder of a job, with the numbers of their slices, in order: of slices that are being
    sent, or that a killed run has left."""
    return [(int(path.stem.rpartition("-")[2]), path) for path in sorted(state.glob("journal-slice-*.jsonl"))]


def check_begun(root: Path, *, resume: bool) -> None:
    """Raises ConfigurationError for a folder with a job without `resume`, and for one without a job with it."""
    if not resume and _holds_job(root):
        raise job_already(root)
    if resume and not (root / MANIFEST).exists():
        raise no_job(root)


def _holds_job(root: Path) -> bool:
    """Whether a job has left anything. The lock alone is of a run that ended before its job began."""
    if any((root / name).exists() for name in OURS if name != STATE):
        return True
    return any(path.name != LOCK for path in (root / STATE).glob("*"))


def job_already(root: object) -> ConfigurationError:
    """The error for a folder with a job, without --resume."""
    return ConfigurationError(
        f"--output {root} holds a job already: add --resume to go on with it, or name another folder"
    )


def no_job(root: object) -> ConfigurationError:
    """The error for --resume in a folder without a job."""
    return ConfigurationError(
        f"--resume: there is no job in --output {root}: name the job's folder, or begin one without --resume"
    )


def discard(root: Path, *, existed: bool) -> None:
    """Remove a job that has sent nothing, and its folder `root` too, unless that `existed` before the job."""
    for path in (root / name for name in OURS):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not existed:
        with contextlib.suppress(OSError):  # somebody has put a file into it meanwhile
            root.rmdir()


def cannot_write(where: str, error: Exception, then: str) -> StopRun:
    """The error for a disk that cannot be written; `where` is the setting and its value, `then` what to do once that
    is repaired."""
    message = str(error).partition(" [while running")[0]  # Beam's words
    why = error.strerror if isinstance(error, OSError) and error.strerror else message
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        repair = "permit it"
    elif code in (errno.ENOSPC, errno.EDQUOT) or "full" in why:
        repair = "make room"
    else:
        repair = "repair this"
    return StopRun(f"{where} cannot be written: {why}; {repair}, {then}")


def decoded(data: bytes, where: object) -> Any:
    """The JSON value in a file of a job, which is at `where`. Raises ConfigurationError when it is damaged."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise ConfigurationError(
            f"{where} is damaged: put it back from a backup, or begin a new job in another folder, which sends again"
            " what was applied"
        ) from None


def started_with(data: bytes, where: object) -> dict[str, Any]:
    """The manifest in `data`, which was read from `where`. Raises ConfigurationError when it is damaged."""
    manifest = decoded(data, where)
    if (
        not isinstance(manifest, dict)
        or not {"job", "started", "command", "options"} <= set(manifest)
        or not isinstance(manifest["options"], dict)
        or not isinstance(manifest.get("files", {}), dict)
        or not isinstance(manifest["started"], int | float)
    ):
        raise ConfigurationError(f"{where} is not the manifest of a job: name the folder of a job, or another folder")
    if manifest.get(CHECK, _check_of(manifest)) != _check_of(manifest):
        raise damaged(where, "")
    return manifest


def signed(manifest: dict[str, Any]) -> bytes:
    """The bytes of a manifest's file, with a checksum; version 0.1 wrote none."""
    return json.dumps({**manifest, CHECK: _check_of(manifest)}, indent=2).encode()


def _check_of(manifest: dict[str, Any]) -> str:
    rest = {name: value for name, value in manifest.items() if name != CHECK}
    return f"{zlib.crc32(json.dumps(rest, sort_keys=True).encode()):08x}"


def lock_folder(root: Path) -> int:
    """Lock a job's folder for this process; returns the file descriptor whose closing unlocks it.

    Raises ConfigurationError when another process has locked it, when the folder cannot be made, and when
    another user could exchange its files.
    """
    try:
        for folder in (root, root / STATE):
            make_private_folder(folder, "--output")
    except OSError as error:
        why = "it is a file, so name a folder" if isinstance(error, FileExistsError) else error.strerror
        raise ConfigurationError(f"--output {root} cannot be made: {why}") from None
    lock = os.open(root / STATE / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise ConfigurationError(f"another process is at work in --output {root}") from None
    return lock


def _files(files: dict[str, list[FileInfo]]) -> dict[str, list[list[Any]]]:
    return {kind: [[info.path, info.size, info.modified] for info in infos] for kind, infos in sorted(files.items())}


def _to_another_url(
    manifest: dict[str, Any], requested: dict[str, Any], path: Path, sent: Callable[[Path], bool]
) -> None:
    """Take over the URL of this run, where the job has sent nothing to the other one."""
    url = requested["options"].get(URL)
    if manifest["options"].get(URL) == url or sent(path.parent / "state"):
        return
    changed = {**manifest, "options": {**manifest["options"], URL: url}}
    _compare(path.parent, changed, requested)
    manifest["options"][URL] = url
    write_whole_file(path, signed(manifest))


def _compare(root: Path, manifest: dict[str, Any], requested: dict[str, Any]) -> None:
    compare_options(str(root), manifest, requested)
    if _spelled_alike(manifest.get("files")) != _spelled_alike(requested["files"]):
        raise input_changed(root, manifest["command"], _changed(manifest.get("files", {}), requested["files"]))


def _spelled_alike(files: Any) -> Any:
    if not isinstance(files, dict):
        return files
    return {kind: [[same_path(path), *facts] for path, *facts in entries] for kind, entries in files.items()}


def input_changed(root: object, command: str, changed: str) -> ConfigurationError:
    """The error for the input of a job in `root` that is not as it was; `changed` says what is different."""
    then = "begin again in another --output"
    if command in ("backfill", DISTRIBUTED):
        then = (
            f"correct the records in {root}/dead-letters and send them with `beam-talonone replay`, or begin a new"
            " job in another --output, which sends all records again: events, and returns without their order, act"
            " twice after 24 hours"
        )
    return ConfigurationError(
        f"the input has changed since the job in {root} was started ({changed}). Put the files back as they were to"
        f" resume, or {then}"
    )


def compare_options(root: str, manifest: dict[str, Any], requested: dict[str, Any]) -> None:
    """Raises ConfigurationError where the job in `root` is of another command, or has other options."""
    if manifest["command"] != requested["command"]:
        raise ConfigurationError(f"--output {root} holds a {manifest['command']}, not a {requested['command']}")
    for name in sorted({*manifest["options"], *requested["options"]}):
        before, now = manifest["options"].get(name), requested["options"].get(name)
        if not same_value(name, before, now):
            raise ConfigurationError(
                f"{name} was {_shown(before)} when the job in {root} was started and is {_shown(now)} now:"
                " resume with the same value, or start a new job in another folder"
            )


def _shown(value: Any) -> str:
    return "not given" if value is None or value is False else "given" if value is True else repr(value)


def _changed(before: dict[str, list[list[Any]]], now: dict[str, list[list[Any]]]) -> str:
    old = {same_path(path): facts for entries in before.values() for path, *facts in entries}
    new = {same_path(path): facts for entries in now.values() for path, *facts in entries}
    for path in sorted({*old, *new}):
        if path not in new:
            return f"{path} is gone"
        if path not in old:
            return f"{path} is new"
        if old[path] != new[path]:
            return f"{path} has another size or time"
    return "the files are matched in another order"
