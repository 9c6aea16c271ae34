"""The command `report`: write the page of a job, tell where it is and where the job stands, and open it."""

import sys
import webbrowser
from pathlib import Path

from beam_talonone.pipelines.backfill.output_folder import cannot_write
from beam_talonone.pipelines.report import sections
from beam_talonone.pipelines.report.collect import collect
from beam_talonone.pipelines.report.write import REPORT_PAGE, write_collected
from beam_talonone.pipelines.terminal.logs import notice
from beam_talonone.talonone.telemetry.logs import printable_line


def show_page(folder: Path, *, browser: bool) -> int:
    """Write report.html of the job in `folder`; print its path on stdout, and the state of the job on stderr.

    With `browser`, open the page. Returns the exit code. Raises ConfigurationError for a folder without a job, and
    StopRun where the page cannot be written.
    """
    data = collect(folder)
    try:
        path = write_collected(data)
    except OSError as error:
        raise cannot_write(str(folder / REPORT_PAGE), error, "and run the command again") from error
    why = sections.why(data)
    state = sections.state_text(data, sections.total_of(data.report, "dead_lettered"))
    notice(f"the {data.command} in {folder} is {state}{f': {why}' if why else ''}")
    if data.state.progress in ("stopped", "limited"):
        for step in data.steps[:1]:
            notice(f"{step.text} {step.command}".strip())
    print(printable_line(str(path)) if sys.stdout.isatty() else path)
    if browser:
        open_page(path)
    return 0


def open_page(path: Path) -> None:
    """Open a page in the browser of the person at the terminal; a notice says where there is none."""
    if not _opened(path):
        notice("there is no browser to open it with", "WARNING")


def _opened(path: Path) -> bool:
    try:
        return webbrowser.open(path.resolve().as_uri())
    except (webbrowser.Error, OSError):
        return False
