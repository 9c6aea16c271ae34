"""The command `report`: the page is written, its path printed, and the state of the job told."""

import sys
import webbrowser
from pathlib import Path

import pytest
from support.report_job import SETTINGS, Order, add_series, build_job

from beam_talonone.pipelines.report.show import show_page
from beam_talonone.talonone.errors import StopRun

HALF = [Order(1), Order(2, None)]


def test_the_path_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = build_job(tmp_path / "out", [Order(1)])
    assert show_page(folder, browser=False) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{folder}/report.html\n"
    assert shown.err == f"beam-talonone: the backfill in {folder} is finished\n"
    assert (folder / "report.html").stat().st_mode & 0o777 == 0o600


def test_a_terminal_gets_the_path_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = build_job(tmp_path / "out\x1b]0;x\x07", [Order(1)])
    show_page(folder, browser=False)
    assert capsys.readouterr().out == f"{folder}/report.html\n", "a program gets the name as it is"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show_page(folder, browser=False)
    assert capsys.readouterr().out == f"{tmp_path}/out\\x1b]0;x\\x07/report.html\n"


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied", "out/report.html.1.half")

    folder = build_job(tmp_path / "out", [Order(1)])
    monkeypatch.setattr("beam_talonone.pipelines.report.show.write_collected", forbidden)
    with pytest.raises(StopRun, match=r"out/report\.html cannot be written: Permission denied; permit it, and run"):
        show_page(folder, browser=False)


def test_a_killed_job_is_told_with_the_command_that_resumes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = build_job(tmp_path / "out", HALF, report=False)
    add_series(folder, ended=None, settings={**SETTINGS, "command line": "beam-talonone backfill --output out"})
    show_page(folder, browser=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"beam-talonone: the backfill in {folder} is stopped at 50 %: It was killed, or its machine stopped.",
        "beam-talonone: The job was killed or ended early. Continue it with: beam-talonone backfill --output out"
        " --resume",
    ]


@pytest.mark.parametrize("browser", [True, False])
def test_a_browser_is_opened_where_there_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, browser: bool
) -> None:
    folder = build_job(tmp_path / "a job", [Order(1)])
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or browser)
    assert show_page(folder, browser=True) == 0
    assert opened == [f"file://{tmp_path}/a%20job/report.html"]
    assert ("no browser" in capsys.readouterr().err) is not browser
