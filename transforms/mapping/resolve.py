"""What `--mapping` names: a preset, a file, or a Python function."""

import importlib
import re
import sys
from importlib.resources import files
from pathlib import Path

from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.transforms.mapping.errors import MappingFileError
from beam_talonone.transforms.mapping.files.nodes import MAX_BYTES
from beam_talonone.transforms.mapping.files.targets import close
from beam_talonone.transforms.mapping.mapping import FileMapping, FunctionMapping
from beam_talonone.transforms.mapping.result import Mapping

_PRESETS = files("beam_talonone.transforms.mapping") / "presets"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", re.ASCII)


def presets() -> list[str]:
    """The names of the mappings that come with the connector."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _PRESETS.iterdir() if entry.name.endswith(".yaml"))


def preset_text(name: str) -> str:
    """The file of a preset, to start an own mapping from. Raises MappingFileError for a name that is none."""
    if name not in presets():
        raise MappingFileError(
            f"no preset is called {name}{close(name, presets())}; there are {', '.join(presets())}"
        )
    return (_PRESETS / f"{name}.yaml").read_text(encoding="utf-8")


def resolve_mapping(given: str) -> Mapping:
    """The mapping that `NAME`, `FILE` or `pkg.mod:func` stands for. Raises MappingFileError, which names `given`.

    A path that exists is that file. Only a function runs code: its module is imported.

    >>> resolve_mapping("shopify").name
    'shopify'
    """
    if _is_file(given):
        return _loaded(given, _text(Path(given)))
    if given == "-":
        raise MappingFileError("-: a mapping is not read from standard input: name its file")
    if _FUNCTION.fullmatch(given):
        return _function(given)
    if "/" in given or given.endswith((".yaml", ".yml")):
        raise MappingFileError(f"{given}: no such mapping file")
    return _loaded(given, preset_text(given))


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except OSError:  # longer than a file name may be
        return False


def _loaded(name: str, text: str) -> Mapping:
    try:
        return FileMapping(name, text)
    except MappingFileError as error:
        place = name if error.line is None else f"{name}:{error.line}"
        raise MappingFileError(f"{place}: {error.message}") from None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise MappingFileError(f"{path}: a mapping file has at most {MAX_BYTES >> 10} KiB")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise MappingFileError(f"{path}:{line}: not UTF-8 text: save the file as UTF-8") from None
    except OSError as error:
        raise MappingFileError(f"{path}: cannot be read: {error}") from None


def _function(given: str) -> Mapping:
    module_name, _, name = given.partition(":")
    if str(Path.cwd()) not in sys.path:  # a command's own path lacks the folder in which it is run
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise MappingFileError(f"{given}: {module_name} cannot be imported: {error_line(error)}") from None
    function = getattr(module, name, None)
    if not callable(function):
        raise MappingFileError(f"{given}: {module_name} has no function {name}")
    return FunctionMapping(given, function)
