"""Where the dead letters and results of a stream go: lines of JSON in a folder, or messages of a topic."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from beam_talonone.schemas import jsonio
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.state.append_log import AppendLog
from beam_talonone.talonone.state.private_folder import make_private_folder
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.streaming.message_source import delivery_name
from beam_talonone.transforms.outputs.table_name import is_table_not_folder

_PATH = re.compile(
    r"projects/(?:[a-z0-9.-]+:)?(?:[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?|[0-9]+)"
    r"/(?P<what>topics|subscriptions)/(?!goog)[A-Za-z][A-Za-z0-9_.~+%-]{2,254}"
)
"""A project is known by its id or its number. An emulator also takes ids that are shorter than the real six."""
_FORM = re.compile(r"projects/[^/]+/(topics|subscriptions)/[^/]+")

LARGEST = 64 * 1024 * 1024
OLDEST = 3600.0
"""Bytes and seconds after which a folder's file is followed by a new one: what is finished can be moved away."""

RECENT = 86_400.0
"""Seconds: files written to since then may hold the dead letters of messages that are delivered again."""

STREAM = "stream.json"
"""A file beside the dead letters of a stream, which names the stream."""

Notice = Callable[[str], None]


class Sink(Protocol):
    """Takes lines, from any thread. `failure` is why it will never write them: a thread of it has ended."""

    @property
    def failure(self) -> StopRun | None:
        """Why no line is written any more; None while it works."""

    def write(self, line: dict[str, Any], attributes: dict[str, str], then: Callable[[], None]) -> None:
        """Write a line. `then` is called exactly once, by any thread, when the line is safely written."""

    def close(self) -> int:
        """Wait some seconds for what is under way; returns how many lines were not written."""


def is_topic(path: str) -> bool:
    """True for `projects/P/topics/T`, with names that can be."""
    return _kind(path) == "topics"


def is_subscription(path: str) -> bool:
    """True for `projects/P/subscriptions/S`, with names that can be."""
    return _kind(path) == "subscriptions"


def names_hint(path: str) -> str:
    """What to add to an error about a path that has the form of a topic or subscription, and a name that cannot be.

    >>> names_hint("projects/p/subscriptions/s")
    ': names have 3 to 255 characters and begin with a letter, but not with goog; projects are in small letters'
    >>> names_hint("orders")
    ''
    """
    if _PATH.fullmatch(path) or not _FORM.fullmatch(path):
        return ""
    return (
        ": names have 3 to 255 characters and begin with a letter, but not with goog; projects are in small letters"
    )


def _kind(path: str) -> str | None:
    match = _PATH.fullmatch(path)
    return None if match is None else match["what"]


def check_place(option: str, where: str) -> str:
    """`where`, if it is a topic or can be a folder. Raises ConfigurationError that names the `option`."""
    option = f"{option} {where}"
    if is_subscription(where):
        raise ConfigurationError(f"{option} is a subscription: name its topic, projects/P/topics/T, or a folder")
    if is_table_not_folder(where):
        raise ConfigurationError(
            f"{option} is a table, which only `stream` on Dataflow writes: name a topic with a BigQuery subscription,"
            " or a folder whose files `bq load` takes (docs/bigquery.md)"
        )
    if where.startswith("projects/") and not is_topic(where):
        raise ConfigurationError(
            f"{option} is not a topic: give projects/P/topics/T, or for a folder ./{where}{names_hint(where)}"
        )
    if "://" in where:
        raise ConfigurationError(f"{option} is neither a topic nor a folder of this machine")
    return where


def sink_for(where: str, name: str, notice: Notice, setting: str | None = None) -> Sink:
    """The sink at `where`, a topic or a folder, for `name` (`dead-letters`, `results`). Errors name the `setting`,
    which is `--name` by default.

    `notice` receives lines for a person, from any thread. Raises ConfigurationError for a value that is neither, and
    for a folder that cannot be written to, or whose files another user could exchange.
    """
    option = setting or f"--{name}"
    check_place(option, where)
    if is_topic(where):
        from beam_talonone.transforms.outputs.topic import TopicSink  # the client of Pub/Sub takes a second to import

        return TopicSink(where, name.replace("-", " "), notice)
    option = f"{option} {where}"
    folder = Path(where)
    try:
        make_private_folder(folder, setting or f"--{name}")
    except OSError as error:
        raise ConfigurationError(f"{option} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"{option} cannot be written to")
    return FolderSink(folder, name)


class FolderSink:
    """Appends lines to `folder/NAME-<start of the process, UTC>-<pid>.jsonl`, each with one write: a process that is
    killed leaves at most its last line torn. Files that follow have a number behind.

    A line is with the operating system when `write` returns: it survives the end of the process, by whatever cause.
    `write` raises OSError when the disk is full; nothing of the line is left then. `clock` gives seconds since 1970.
    """

    failure: StopRun | None = None

    def __init__(self, folder: Path, name: str, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder, clock
        began = datetime.fromtimestamp(_process_start(), UTC).strftime("%Y%m%dT%H%M%SZ")
        self._stem = f"{name}-{began}-{os.getpid()}"
        self._lock = threading.Lock()
        self._number = 0
        self._log: AppendLog | None = None
        self._path = folder
        self._since = 0.0

    def write(self, line: dict[str, Any], attributes: dict[str, str], then: Callable[[], None]) -> None:
        """See Sink. A file has no place for `attributes`; the line says the same."""
        data = jsonio.dumps(line) + b"\n"
        with self._lock, self._named_in_errors():
            self._open_log().append(data)
        then()

    def close(self) -> int:
        """End the file, synced to disk. Returns 0: no line waits."""
        with self._lock, self._named_in_errors():
            self._end_file()
        return 0

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        """A block whose OSErrors name the file: the system names none for a file that is open."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or str(self._path)
            raise

    def _open_log(self) -> AppendLog:
        """The file to append to. A file that is large or old ends, and so does one that was moved away: its new owner
        may have read it already."""
        if self._log is not None:
            old = self._log.size >= LARGEST or self._clock() - self._since >= OLDEST
            if not old and self._is_there(self._log):
                return self._log
            self._end_file()
        self._log, self._since = self._begin_file(), self._clock()
        return self._log

    def _is_there(self, log: AppendLog) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), log.stat())
        except FileNotFoundError:
            return False

    def _begin_file(self) -> AppendLog:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            self._number += 1
            follows = "" if self._number == 1 else f"_{self._number:04d}"  # sorts behind the first
            self._path = self._folder / f"{self._stem}{follows}.jsonl"
            try:  # processes of two containers may have the same pid and start
                return AppendLog(self._path, exclusive=True)
            except FileExistsError:
                continue

    def _end_file(self) -> None:
        if self._log is not None:
            log, self._log = self._log, None
            with closing(log):
                log.sync()


def _process_start() -> float:
    """Seconds since 1970; where the system does not tell, now."""
    try:
        since_boot = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.time()


class _Source(msgspec.Struct):
    subscription: str
    message_id: str
    file: str | None = None


class _Line(msgspec.Struct):
    source: _Source


def message_ids(folder: Path, name: str) -> set[tuple[str, str]]:
    """The `delivery_name` of the messages that the lines of a FolderSink `name` in `folder` came from.

    Reads the files of the last day, at most their last 64 MiB. After a restart, the ids show which redelivered
    messages have a dead letter already. Other lines, and lines torn by a kill, are left out.
    """
    decoder = msgspec.json.Decoder(_Line)
    ids = set()
    for line in _last_lines(folder, name):
        try:
            source = decoder.decode(line).source
        except (msgspec.DecodeError, UnicodeError):
            continue
        ids.add(delivery_name(source.subscription, source.message_id, source.file))
    return ids


def _last_lines(folder: Path, name: str) -> Iterator[bytes]:
    """The newest file comes first."""
    left = LARGEST
    files = [(path.stat(), path) for path in folder.glob(f"{name}-*.jsonl") if path.is_file()]
    recent = [(stat, path) for stat, path in files if stat.st_mtime > time.time() - RECENT]
    for stat, path in sorted(recent, key=lambda file: file[0].st_mtime, reverse=True):
        if left <= 0:
            return
        with path.open("rb") as lines:
            if stat.st_size > left:
                lines.seek(stat.st_size - left - 1)
                lines.readline()
            yield from lines
        left -= stat.st_size


def say_whose(folder: Path, state: Path | None, job: str) -> None:
    """Write beside a stream's dead letters which stream wrote them. A replay then finds in its store, which is in
    `state`, what was sent since. `state` is None without a store."""
    whose = {"state": None if state is None else str(state.resolve()), "job": job}
    write_whole_file(folder / STREAM, json.dumps(whose).encode() + b"\n", concurrent=True)


def already_dead_lettered(sink: Sink, folder: Path, state: Path, job: str) -> dict[tuple[str, str], float]:
    """The messages that have a dead letter in the folder of `sink`, with the time of this call. None for a topic.

    Notes beside them whose dead letters they are: see `say_whose`. Raises OSError when the disk is full.
    """
    if not isinstance(sink, FolderSink):
        return {}
    ids = dict.fromkeys(message_ids(folder, "dead-letters"), time.time())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    say_whose(folder, state.resolve(), job)
    return ids


def whose(folder: Path) -> Path | None:
    """The state folder of the stream whose dead letters are in `folder`; None if it is not recorded or is gone."""
    try:
        owner = json.loads((folder / STREAM).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    state = owner.get("state") if isinstance(owner, dict) else None
    return Path(state) if isinstance(state, str) and Path(state).is_dir() else None
