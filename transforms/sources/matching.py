"""The files that a pattern matches, local or gs://, without marker files and hidden files."""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import product

from apache_beam.io.filesystem import FileSystem
from apache_beam.io.filesystems import FileSystems

from beam_talonone.transforms.formats.errors import CannotList, NoSuchInput, UnknownFormat
from beam_talonone.transforms.sources.opening import STDIN, FileInfo, in_words, shown_name

Notice = Callable[[str], None]

_GLOB = re.compile(r"[*?\[]")
_BRACES = re.compile(r"\{([^{}/]*,[^{}/]*)\}")
_MARKER = re.compile(
    r"_SUCCESS|_temporary|_metadata|_common_metadata|_delta_log|_spark_metadata|_(committed|started)_.*"
)
MOST_ALTERNATIVES = 10_000


def match_files(patterns: str | Sequence[str], notice: Notice = lambda line: None) -> list[FileInfo]:
    """The files that the patterns (paths or globs, local or gs://) match, each once.

    They are in the order of the patterns, and sorted by path within a pattern. `*` stays within a folder, `**` does
    not, and `{a,b}` is either. A path that exists is that file, even with special characters. Marker and hidden files
    are skipped if a glob matches them. `notice` receives a line about each skipped folder and each empty file.

    Raises NoSuchInput for a pattern without a match, CannotList if a place cannot be listed, and UnknownFormat for
    the path of a folder.
    """
    files: dict[str, FileInfo] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        for info in _match(pattern, notice):
            files.setdefault(info.path if isinstance(patterns, str) else _identity(info.path), info)
    return list(files.values())


def _identity(path: str) -> str:
    return path if "://" in path else os.path.realpath(path)


def _match(pattern: str, notice: Notice) -> list[FileInfo]:
    folders: set[str] = set()
    skipped: set[str] = set()
    files: dict[str, FileInfo] = {}
    for choice in _alternatives(pattern):
        for info in _remote(choice, skipped) if "://" in choice else _local(choice, skipped, folders):
            files[info.path] = info
    if not files and folders:
        example = os.path.join(min(folders), "*.jsonl")
        raise NoSuchInput(f"{pattern}: no file matches, only folders: name their files, for example {example}")
    if not files and skipped:
        raise NoSuchInput(
            f"{pattern}: no file matches but marker and hidden files, which are no data, for example {min(skipped)}:"
            " to read such a file, name it in full"
        )
    if not files:
        raise NoSuchInput(f"{pattern}: {STDIN if pattern == '-' else 'no file matches'}")
    for folder in sorted(folders):
        notice(f"{folder} is a folder and is left out: name its files to read them")
    infos = [files[path] for path in sorted(files)]
    for info in infos:
        if info.size == 0 and info.modified is not None:
            notice(f"{info.path} is empty")
    return infos


def _alternatives(pattern: str) -> list[str]:
    """The pattern with each choice of `{a,b}`; the pattern itself if it is a path that exists."""
    if not _BRACES.search(pattern) or ("://" not in pattern and os.path.lexists(pattern)):
        return [pattern]
    if "://" in pattern and _exists(pattern):
        return [pattern]
    pieces = _BRACES.split(pattern)  # text, content of braces, text, ...
    choices = [piece.split(",") if number % 2 else [piece] for number, piece in enumerate(pieces)]
    alternatives = [
        "".join(chosen) for _, chosen in zip(range(MOST_ALTERNATIVES + 1), product(*choices), strict=False)
    ]
    if len(alternatives) > MOST_ALTERNATIVES:
        raise CannotList(f"{pattern}: more than {MOST_ALTERNATIVES:,} alternatives in braces")
    return list(dict.fromkeys(alternatives))


def _local(pattern: str, skipped: set[str], folders: set[str]) -> Iterator[FileInfo]:
    if os.path.lexists(pattern):
        if os.path.isdir(pattern):
            of_a_job = os.path.join(pattern, "dead-letters")
            example = os.path.join(of_a_job if os.path.isdir(of_a_job) else pattern, "*.jsonl")
            raise UnknownFormat(f"{pattern} is a folder: name its files, for example {example}")
        yield _info(pattern)
        return
    if not _GLOB.search(pattern):
        return
    start = pattern[: _first_glob(pattern)].rpartition("/")
    folder = start[0] + start[1]
    try:
        for path in _walk(folder, pattern[len(folder) :].split("/"), skipped):
            if os.path.isdir(path):
                folders.add(shown_name(path))
            else:
                yield _info(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise CannotList(f"{pattern}: {error.filename or folder} cannot be listed: {error.strerror}") from None


def _first_glob(pattern: str) -> int:
    match = _GLOB.search(pattern)
    return len(pattern) if match is None else match.start()


def _walk(folder: str, parts: list[str], skipped: set[str]) -> Iterator[str]:
    """The paths below `folder` (with its slash, or empty) that match the rest of a pattern, split at slashes."""
    part, *rest = parts
    if "**" in part:
        yield from _walk_deep(folder, "", "/".join(parts), skipped)
        return
    if rest and not _GLOB.search(part):
        if os.path.isdir(folder + part):
            yield from _walk(f"{folder}{part}/", rest, skipped)
        return
    pattern = _compiled(part)
    for name in _names(folder):
        if pattern.match(name) is None:
            continue
        path = folder + name
        if not _is_data(name, part):
            skipped.add(shown_name(path))
        elif not rest:
            yield path
        elif os.path.isdir(path):
            yield from _walk(f"{path}/", rest, skipped)


def _walk_deep(top: str, below: str, pattern: str, skipped: set[str]) -> Iterator[str]:
    """As `_walk`, for a pattern that matches at any depth. Links to folders are not followed, because of cycles."""
    last = pattern.rpartition("/")[2]
    for name in _names(top + below):
        path = top + below + name
        folder = os.path.isdir(path)
        matches = _compiled(pattern).match(below + name) is not None
        if not _is_data(name, last):
            if matches:
                skipped.add(shown_name(path))
            continue
        if folder and not os.path.islink(path):
            yield from _walk_deep(top, f"{below}{name}/", pattern, skipped)
        elif matches:
            yield path


def _names(folder: str) -> list[str]:
    return sorted(os.listdir(folder or "."))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(FileSystem.translate_pattern(pattern))


def _is_data(name: str, part: str) -> bool:
    """Whether a name that a `part` of a pattern matches is data, or a folder with data.

    A hidden name is, if the part spells out its first character.
    """
    if name[:1] in "._" and part[:1] == name[:1]:
        return True
    return not name.startswith(".") and not name.endswith(".crc") and _MARKER.fullmatch(name) is None


def is_data_path(path: str) -> bool:
    """Whether no part of a path is the name of a marker or hidden file, as those that a glob skips."""
    return all(_is_data(name, "*") for name in path.split("/") if name)


def _info(path: str) -> FileInfo:
    """The size and time of a file. Both are unknown if it is not a regular file or cannot be examined."""
    try:
        status = os.stat(path)
    except OSError:
        return FileInfo(shown_name(path), 0)
    if not stat.S_ISREG(status.st_mode):
        return FileInfo(shown_name(path), 0)
    return FileInfo(shown_name(path), status.st_size, status.st_mtime or None)


def _exists(path: str) -> bool:
    try:
        return bool(FileSystems.exists(path))
    except Exception:  # the match reports the error
        return False


def _remote(pattern: str, skipped: set[str]) -> Iterator[FileInfo]:
    try:
        if _GLOB.search(pattern) and _exists(pattern):
            entries: Iterable[object] = [FileSystems.get_filesystem(pattern).metadata(pattern)]
            start = len(pattern)
        else:
            [result] = FileSystems.match([pattern])
            entries = result.metadata_list
            start = pattern[: _first_glob(pattern)].rfind("/") + 1
    except Exception as error:
        raise CannotList(f"{pattern}: cannot be listed: {in_words(error)}") from error
    for data in entries:
        path, size = data.path, data.size_in_bytes  # type: ignore[attr-defined]
        if start < len(pattern) and not _is_remote_data(path, size, pattern, start):
            skipped.add(shown_name(path))
            continue
        modified = data.last_updated_in_seconds or None  # type: ignore[attr-defined]
        yield FileInfo(shown_name(path), size, modified)


def _is_remote_data(path: str, size: int, pattern: str, start: int) -> bool:
    if path.endswith("/") and not size:
        return False
    names, parts = path[start:].split("/"), pattern[start:].split("/")
    if len(names) != len(parts):
        parts = [parts[-1]] * len(names)
    return all(_is_data(name, part) for name, part in zip(names, parts, strict=True) if name)
