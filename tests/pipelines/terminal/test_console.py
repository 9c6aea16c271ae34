"""The lines that a command prints when its job has ended."""

import io
from types import SimpleNamespace

from rich.console import Console

from beam_talonone.pipelines.backfill.sending.tally import Tally
from beam_talonone.pipelines.terminal.console import run_shown


class Job:
    """A job that ends at once."""

    things, engine, confirm = "records", None, None
    tally = Tally("checking", total=2, ended=2)

    def run(self):
        return {"kinds": {"orders": {"agree": 2}}, "reasons": {}}


def test_the_lines_are_those_that_the_command_makes(tmp_path):
    written = io.StringIO()
    console = Console(file=written)
    options = SimpleNamespace(output=tmp_path)
    report = run_shown(
        console, lambda options, notice: Job(), options, lambda report, examples, width: [f"agree: {report['kinds']}"]
    )
    assert report == Job().run()
    assert "agree: {'orders': {'agree': 2}}" in written.getvalue()
    assert f"{tmp_path}/report.json" in written.getvalue().replace("\n", "")


def test_the_page_is_named_once_and_only_where_it_was_written(tmp_path):
    options = SimpleNamespace(output=tmp_path)
    for expected in (0, 1):
        written = io.StringIO()
        run_shown(Console(file=written), lambda options, notice: Job(), options, lambda *_: [])
        assert written.getvalue().replace("\n", "").count(f"{tmp_path}/report.html") == expected
        (tmp_path / "report.html").touch()
