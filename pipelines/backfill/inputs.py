"""The files that the options of a job name."""

from collections.abc import Callable
from functools import partial

from beam_talonone.pipelines.backfill.options import NAMED, InputOptions
from beam_talonone.pipelines.terminal.interruptible import interruptible
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.formats.errors import SourceError
from beam_talonone.transforms.sources.files import inputs_of
from beam_talonone.transforms.sources.matching import match_files
from beam_talonone.transforms.sources.opening import FileInfo


def join_key(name: str) -> str:
    """The key of a join among the files of a job, which have those of the kinds too."""
    return f"join {name}"


def match_inputs(options: InputOptions, notice: Callable[[str], None]) -> dict[str, list[FileInfo]]:
    """The files of each kind, and those of each join under `join NAME`. `notice` gets lines about what is odd.

    Raises ConfigurationError for a glob without a match, and for a format that cannot be read.
    """
    files = {}
    patterns_of = {**options.globs, **{join_key(name): patterns for name, patterns in options.joins.items()}}
    for kind, patterns in patterns_of.items():
        option = NAMED.get(kind, f"--{kind}")
        odd: list[str] = []
        shown = patterns if isinstance(patterns, str) else ", ".join(patterns)
        try:
            files[kind] = interruptible(partial(match_files, patterns, odd.append), f"looking for {shown}")
            list(inputs_of(kind, files[kind], options.format, options.dialect))
        except SourceError as error:
            raise ConfigurationError(f"{option}: {error}") from None
        for line in odd:
            notice(f"{option}: {line}")
    return files
