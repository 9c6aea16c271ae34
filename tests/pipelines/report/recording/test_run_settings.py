"""The settings of a run, as its page shows them."""

from dataclasses import replace
from pathlib import Path

import pytest

from beam_talonone.pipelines.backfill.options import BackfillOptions, InputOptions, SendingOptions
from beam_talonone.pipelines.report.recording.run_settings import API_KEY, COMMAND_LINE, run_settings
from beam_talonone.talonone.telemetry.redact import keep_secret

OPTIONS = BackfillOptions(
    InputOptions({"orders": "o-*.jsonl"}), SendingOptions("https://x.example", rate=50.0), Path("out")
)


def test_settings_go_by_the_names_of_the_command_line() -> None:
    settings = run_settings(OPTIONS, ["pytest"])
    assert (settings["--orders"], settings["--rate"], settings["--base-url"]) == (
        "o-*.jsonl", 50.0, "https://x.example",
    )  # fmt: skip
    assert settings[API_KEY] == "from the environment variable TALONONE_API_KEY"
    assert COMMAND_LINE not in settings


def test_a_secret_is_named_by_its_option() -> None:
    secret = replace(OPTIONS, sending=replace(OPTIONS.sending, api_key_secret="projects/p/secrets/s"))
    settings = run_settings(secret, ())
    assert (settings["--api-key-secret"], API_KEY in settings) == ("projects/p/secrets/s", False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["/bin/beam-talonone", "backfill", "--orders", "o-*.jsonl"], "beam-talonone backfill --orders 'o-*.jsonl'"),
        (["beam-talonone", "demo"], None),
        (["backfill"], None),
    ],
)
def test_the_command_line_is_shown_where_it_is_that_of_the_job(words: list[str], line: str | None) -> None:
    assert run_settings(OPTIONS, words).get(COMMAND_LINE) == line


def test_a_key_in_the_command_line_is_not_shown() -> None:
    key = keep_secret("settings-key-8452")
    assert key not in str(run_settings(OPTIONS, ["beam-talonone", "backfill", f"--orders={key}"]))


def test_a_key_in_another_setting_is_not_shown() -> None:
    key = keep_secret("settings-key-8453")
    options = replace(OPTIONS, sending=replace(OPTIONS.sending, base_url=f"https://talon.example/{key}"))
    options = replace(options, input=replace(OPTIONS.input, globs={"orders": (key, "orders.jsonl")}))
    settings = run_settings(options, ["beam-talonone", "backfill"])
    assert settings["--base-url"] == "https://talon.example/[key]"
    assert key not in str(settings)


def test_a_secret_of_beam_in_the_command_line_is_not_shown() -> None:
    words = ["beam-talonone", "backfill", "--orders", "o", "--", "--sdk_token=7412-secret"]
    assert "7412-secret" not in str(run_settings(OPTIONS, words))
