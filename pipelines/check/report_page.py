"""The answers of a check as one HTML file, in the style of report.html."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import cannot_write
from beam_talonone.pipelines.backfill.report import ignored
from beam_talonone.pipelines.check.answers import Answers, to_send
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.transforms.sources.opening import FileInfo, shown_name

COLUMNS = ("read", "to send", "invalid", "filtered", "duplicate")

FILES_SHOWN = 100
"""Input files that the page names."""


def check_target(path: Path) -> None:
    """Raise ConfigurationError for a path at which no page can be written, before the input is read."""
    if path.is_dir():
        raise ConfigurationError(f"--report: {path} is a folder: name a file, such as {path / 'check.html'}")
    if path.suffix.lower() not in (".html", ".htm"):  # so that a slip does not write over the input
        raise ConfigurationError(f"--report: {path} does not end in .html")
    if not path.parent.is_dir():
        raise ConfigurationError(f"--report: there is no folder {path.parent}: make it first")


def write_check_page(path: Path, answers: Answers, files: Mapping[str, Iterable[FileInfo]]) -> None:
    """Write the page to `path`, over an earlier one, readable by its owner alone. Raises StopRun."""
    try:
        write_whole_file(path, check_page(answers, files, time.time()).encode(), concurrent=True)
    except OSError as error:
        raise cannot_write(f"--report {path}", error, "or name another file") from error


def check_page(answers: Answers, files: Mapping[str, Iterable[FileInfo]], at: float) -> str:
    """The page as HTML. `files` are those of the input by kind, and `at` is now, in seconds since 1970."""
    from beam_talonone.pipelines.report import sections
    from beam_talonone.pipelines.report.page import static_page  # imports the template engine

    kinds = answers.report["kinds"]
    names = [(kind, shown_name(info.path)) for kind, infos in files.items() for info in infos]
    return static_page(
        "check.html.j2", answers=answers, as_of=sections.clock(at), columns=COLUMNS,
        kinds=[(kind, _cells(counts)) for kind, counts in kinds.items()],
        read=sum(counts["read"] for counts in kinds.values()),
        to_send=sum(to_send(counts) for counts in kinds.values()),
        invalid=sum(counts["invalid"] for counts in kinds.values()),
        requests=answers.request_count, files=names[:FILES_SHOWN], more_files=len(names[FILES_SHOWN:]),
        ignored={kind: ignored(counts) for kind, counts in answers.report["unknown_names"].items()},
    )  # fmt: skip


def _cells(counts: Mapping[str, int]) -> list[int]:
    return [to_send(counts) if name == "to send" else counts[name] for name in COLUMNS]
