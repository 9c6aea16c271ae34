"""The reference pages are current, and what they say of the code holds."""

import pytest

from beam_talonone.pipelines.cli.command_table import COMMANDS
from beam_talonone.pipelines.terminal import exit_codes
from beam_talonone.schemas.reasons import AMBIGUOUS, Reason, Replay
from beam_talonone.simulator.exchange.faults import COMMON, EFFECTS, FAULTS, LIMITS, parse_fault
from beam_talonone.talonone import errors
from tests.test_prose import load

generate = load("generate_reference")


@pytest.mark.parametrize("name", generate.PAGES)
def test_the_pages_are_current(name):
    assert (generate.FOLDER / name).read_text(encoding="utf-8") == generate.PAGES[name](), "run `make docs`"


def test_a_table_escapes_bars_and_marks_options():
    assert (
        generate.table(["a", "b"], [["x|y", generate.code("p", "q")]])
        == "| a | b |\n|---|---|\n| x\\|y | `p`, `q` |\n"
    )
    assert (
        generate.with_code("set --max-future, `--rate` or /healthz") == "set `--max-future`, `--rate` or `/healthz`"
    )


def test_every_reason_says_what_it_means_and_what_to_do():
    assert [reason for reason in Reason if not (reason.stages and reason.meaning and reason.action)] == []
    assert {reason for reason in Reason if not reason.definite} == AMBIGUOUS
    # after an ambiguous outcome, a corrected record would leave under the key of the first request
    assert {reason.replay for reason in AMBIGUOUS} == {Replay.UNCHANGED, Replay.PROTECTED}


def test_every_fault_and_parameter_has_a_description():
    assert list(EFFECTS) == list(FAULTS)
    assert list(LIMITS) == list(COMMON)
    assert all(f"`{name}`" in EFFECTS["latency"] for name in FAULTS["latency"])
    assert parse_fault("5xx:share=0.02,status=503").status == 503  # the example of the module


def test_exit_codes_have_meanings():
    codes = {exit_codes.FINISHED, exit_codes.STOPPED, exit_codes.USAGE, exit_codes.DEAD_LETTERS}
    assert set(exit_codes.MEANINGS) == codes == {0, 1, 2, 3}
    assert exit_codes.OF_COMMANDS.keys() <= COMMANDS.keys()
    assert {number for meanings in exit_codes.OF_COMMANDS.values() for number in meanings} <= codes


def test_every_error_is_on_the_page():
    named = {each.__name__ for each in vars(errors).values() if isinstance(each, type)}
    page = generate.exit_codes_page()
    assert {name for name in named if f"`{name}`" not in page} == set()
