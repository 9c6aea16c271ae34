"""Writing report.html into the folder of a job, at its end and on request."""

from pathlib import Path

from beam_talonone.pipelines.report.collect import collect
from beam_talonone.pipelines.report.model import PageData
from beam_talonone.pipelines.report.page import page
from beam_talonone.talonone.state.whole_file import write_whole_file

REPORT_PAGE = "report.html"


def write_page(folder: Path, *, running: bool | None = None) -> Path:
    """Write report.html of the job in `folder`; returns its path. `running` is as `collect` has it.

    Raises ConfigurationError for a folder without a job, and OSError where the page cannot be written.
    """
    return write_collected(collect(folder, running=running))


def write_collected(data: PageData) -> Path:
    """Write report.html with `data` into the folder of the job; returns its path. Raises OSError."""
    path = Path(data.folder) / REPORT_PAGE
    write_whole_file(path, page(data).encode(), concurrent=True)
    return path
