"""How a command ends with one line, whatever keeps it from its output folder."""

from pathlib import Path

import pytest

from beam_talonone.pipelines.cli import main
from beam_talonone.pipelines.terminal.exit_codes import STOPPED


def test_a_folder_that_cannot_be_looked_into_hides_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", denied)
    words = ["backfill", "--orders", "orders.jsonl", "--output", str(tmp_path)]
    assert main._stopped("the reason", False, words) == STOPPED
    assert capfd.readouterr().err == "beam-talonone: the reason\n"
