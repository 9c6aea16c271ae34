"""What a terminal and a log show of a run, drawn into memory."""

import io
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pyte
import pytest
from rich.console import Console
from support.run_snapshots import OUTAGE, READING, SENDING, STORM

from beam_talonone.pipelines.backfill.sending.tally import KindTally, Tally
from beam_talonone.pipelines.terminal import logs
from beam_talonone.pipelines.terminal.progress import show
from beam_talonone.pipelines.terminal.progress.show import Frame, ProgressShown, read, styled, way_of
from beam_talonone.talonone.engine.status import EngineStatus
from beam_talonone.talonone.errors import StopRun

STATUS = EngineStatus(100.0, 100.0, 64, 300.0, in_flight=2, requests=7, answered=True)
ESCAPE = "\x1b["


class Terminal:
    """A terminal in memory: what is written to `console` is on the screen of pyte."""

    def __init__(self, width=80, height=24, **more):
        self.written = io.StringIO()
        self.console = Console(file=self.written, force_terminal=True, width=width, height=height, **more)
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self._screen)

    def rows(self):
        """The rows of the screen that are not empty."""
        self._stream.feed(self.written.getvalue().replace("\n", "\r\n"))
        self.written.seek(0)
        self.written.truncate()
        return [row.rstrip() for row in self._screen.display if row.strip()]


class Run:
    """A run that is sending, as far as its progress sees it."""

    things = "records"

    def __init__(self, status=STATUS):
        self.tally = Tally("sending", total=1000, already=100, ended=350, dead=2, dead_before=1)
        self.tally.kinds = {"orders": KindTally(400, 900), "profiles": KindTally(50, 100)}
        self.engine = SimpleNamespace(status=lambda: status)


def with_api(state):
    return replace(SENDING, api=state)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", logs.FORMAT):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_a_run_is_read():
    run = Run()
    reading = read(run.tally, run.things, 5.0, run.engine)
    assert (reading.total, reading.before, reading.ended, reading.dead_letters) == (1000, 100, 350, 3)
    assert [(kind.kind, kind.done, kind.total) for kind in reading.kinds] == [
        ("orders", 400, 900), ("profiles", 50, 100),
    ]  # fmt: skip
    assert reading.engine == STATUS


def test_a_frame_replaces_the_one_before():
    terminal = Terminal()
    frame = Frame(terminal.console)
    for shown in (READING, SENDING, SENDING):
        frame.draw(shown)
    assert terminal.rows()[0] == "sending  43 %  2,150 of 5,000 records  0:00:21 elapsed  0:00:28 left"
    assert len(terminal.rows()) == 5
    frame.close()
    assert len(terminal.rows()) == 5, "the last one stays"


def test_a_line_that_is_printed_meanwhile_stands_above():
    terminal = Terminal()
    frame = Frame(terminal.console)
    frame.draw(SENDING)
    terminal.console.print("beam-talonone: a notice")
    frame.draw(SENDING)
    frame.close()
    rows = terminal.rows()
    assert rows[0] == "beam-talonone: a notice"
    assert rows[1].startswith("sending  43 %")
    assert len(rows) == 6


@pytest.mark.parametrize("width", [10, 40, 80])
def test_frames_of_any_width_leave_nothing_behind(width):
    terminal = Terminal(width, 60)
    frame = Frame(terminal.console)
    for shown in (SENDING, with_api(OUTAGE), SENDING):
        frame.draw(shown)
    rows = terminal.rows()
    assert len([row for row in rows if row.startswith("sending")]) == 1
    assert max(map(len, rows)) < width


def test_another_width_is_used_with_the_next_frame():
    terminal = Terminal(80)
    frame = Frame(terminal.console)
    frame.draw(SENDING)
    terminal.console.width = 40
    frame.draw(SENDING)
    assert "sending  43 %  2,150 of 5,000 records" in terminal.rows()


def test_trouble_stands_out():
    assert "yellow" in str(styled(with_api(STORM), 80, ascii_only=False).spans[-1].style)
    assert "green" in str(styled(SENDING, 80, ascii_only=False).spans[-1].style)


def test_without_colours():
    terminal = Terminal(no_color=True)
    Frame(terminal.console).draw(with_api(STORM))
    assert "\x1b[33m" not in terminal.written.getvalue()
    assert "\x1b[1;33m" not in terminal.written.getvalue()
    assert "API: 429: slowed to 83/s" in terminal.rows()


def test_the_last_frame_of_a_good_end_does_not_say_stopped():
    terminal, run = Terminal(), Run()
    with ProgressShown(terminal.console, run, "bar"):
        run.engine = SimpleNamespace(
            status=lambda: EngineStatus(100.0, 100.0, 64, answered=True, ending=StopRun("x"))
        )
    assert terminal.rows()[-1] == "API: answers"


def test_the_last_frame_of_a_bad_end_says_why():
    terminal = Terminal()
    status = EngineStatus(100.0, 100.0, 64, answered=True, ending=StopRun("x"))
    with pytest.raises(StopRun), ProgressShown(terminal.console, Run(status), "bar"):
        raise StopRun("x")
    assert terminal.rows()[-1] == "API: stopped"


def test_a_question_is_asked_below_the_last_frame(monkeypatch):
    monkeypatch.setattr(show, "LOOK_EVERY", 0.001)
    terminal = Terminal()
    with ProgressShown(terminal.console, Run(), "bar") as shown, shown.paused():
        terminal.console.print("go on?")
        before = terminal.written.getvalue()
        assert terminal.written.getvalue() == before, "nothing is drawn over the question"
    assert "go on?" in terminal.rows()


def test_none_shows_nothing():
    terminal = Terminal()
    with ProgressShown(terminal.console, Run(), "none"):
        pass
    assert terminal.rows() == []


@pytest.mark.parametrize("way", ["plain", "json"])
def test_a_log_has_no_control_characters(way, monkeypatch, capsys):
    monkeypatch.setattr(show, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(show, "PLAIN_EVERY", 0.0)
    monkeypatch.setattr(show, "JSON_EVERY", 0.0)
    ProgressShown(Terminal().console, Run(), way)._look()
    line = capsys.readouterr().err
    assert line.startswith("beam-talonone: sending: 45 %, 450 of 1,000 records, ")
    assert ESCAPE not in line


@pytest.mark.parametrize("ended", [0, 3, 5])
def test_a_log_has_the_start_of_the_sending_however_late_it_is_noticed(ended, capsys):
    run = Run()
    run.tally = Tally("starting", total=5)
    with ProgressShown(Terminal().console, run, "plain"):
        run.tally.begin_doing(already=0)
        run.tally.ended = ended
    assert capsys.readouterr().err == ("beam-talonone: sending: 5 records to do, 0:00:00 elapsed\n")


def test_a_frame_like_the_one_before_is_not_drawn_again():
    terminal = Terminal()
    frame = Frame(terminal.console)
    frame.draw(SENDING)
    terminal.rows()
    frame.draw(SENDING)
    assert terminal.written.getvalue() == ""
    frame.draw(with_api(STORM))
    assert terminal.rows()[-1] == "API: 429: slowed to 83/s"


def test_an_error_before_anything_was_read_leaves_no_frame():
    terminal, run = Terminal(), Run()
    run.tally = Tally()
    with pytest.raises(StopRun), ProgressShown(terminal.console, run, "bar"):
        raise StopRun("x")
    assert terminal.rows() == []


def test_the_last_frame_has_no_speeds():
    terminal, run = Terminal(), Run()
    with ProgressShown(terminal.console, run, "bar"):
        run.tally.ended = 900
    assert terminal.rows()[0] == "sending  100 %  1,000 of 1,000 records  0:00:00 elapsed"
    assert terminal.rows()[-2] == "0 in flight  3 dead letters  0 retries"


def test_a_line_of_json_has_the_facts(monkeypatch, capsys):
    monkeypatch.setenv(logs.FORMAT, "json")
    monkeypatch.setattr(show, "JSON_EVERY", 0.0)
    ProgressShown(Terminal().console, Run(), "json")._look()
    line = json.loads(capsys.readouterr().err)
    assert (line["severity"], line["progress"]["done"], line["progress"]["api"]["state"]) == ("INFO", 450, "ok")
    assert line["message"].startswith("sending: 45 %, 450 of 1,000 records, ")


@pytest.mark.parametrize(
    ("progress", "is_terminal", "term", "log_format", "way"),
    [
        ("auto", True, "xterm", "", "bar"),
        ("auto", True, "dumb", "", "plain"),
        ("auto", False, "xterm", "", "plain"),
        ("auto", True, "xterm", "json", "plain"),
        ("bar", False, "xterm", "", "plain"),
        ("bar", True, "dumb", "", "plain"),
        ("bar", True, "xterm", "", "bar"),
        ("plain", True, "xterm", "", "plain"),
        ("none", True, "xterm", "", "none"),
        ("json", True, "xterm", "", "json"),
    ],
)
def test_which_way(progress, is_terminal, term, log_format, way, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv(logs.FORMAT, log_format)
    assert way_of(progress) == way
