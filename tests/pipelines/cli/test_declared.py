"""The declared options: all that commands take, each with its heading, help, default and commands."""

import inspect

import pytest

from beam_talonone.pipelines.cli.declared import MISSING, all_options, options_of
from beam_talonone.pipelines.cli.group import COMMANDS, function_of
from beam_talonone.pipelines.cli.main import run
from beam_talonone.pipelines.cli.parameters.groups import groups_of

OPTIONS = {(option.spelling, commands): option for option, commands in all_options()}
ON_FILES = ("backfill", "replay", "check", "lookup", "verify", "stream")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_nothing_but_groups(name: str) -> None:
    function = function_of(name)
    assert set(groups_of(function)) == set(inspect.signature(inspect.unwrap(function)).parameters)
    declared = [option.name for option in options_of(name)]
    assert declared == [*inspect.signature(function).parameters, "debug", "version"]


def test_every_option_has_a_heading_and_a_help_of_whole_sentences() -> None:
    assert len(OPTIONS) > 70
    assert [option.name for option in OPTIONS.values() if not option.section] == []
    # the help of --fault ends with an example to type
    endless = {option.name for option in OPTIONS.values() if not (option.info.help or "").endswith(".")}
    assert endless == {"fault"}


@pytest.mark.parametrize(
    ("spelling", "commands", "default"),
    [
        ("--rate N", ("backfill", "replay", "check", "lookup", "verify", "stream", "demo"), "100"),
        ("--output DIR", ("backfill", "replay", "lookup", "verify"), ""),
        ("--profile-mode bulk|rules", ("backfill", "replay", "check", "stream"), "bulk"),
        ("--unknown-fields refuse|ignore", ON_FILES, ""),
        ("--remember S", ("stream",), "691200"),
        ("--bodies/--no-bodies", ("simulate",), "True"),
        ("--results", ("backfill", "replay"), ""),
        ("--results", ("check",), ""),
        ("--results TOPIC|DIR", ("stream",), ""),
        ("OPERATION", ("lookup",), ""),
        ("--debug", tuple(COMMANDS), ""),
    ],
)
def test_an_option_is_shown_with_its_commands_and_default(
    spelling: str, commands: tuple[str, ...], default: str
) -> None:
    assert OPTIONS[spelling, commands].shown_default == default


def test_a_required_option_has_no_default() -> None:
    required = {option.name for option in OPTIONS.values() if option.default is MISSING}
    assert required == {"output", "input", "operation", "dead_letters", "places", "folder"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_lists_each_option_under_its_heading(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    listed = capsys.readouterr().out
    for option in options_of(name)[:-2]:
        heading = option.section if option.spelling.startswith("--") else "Arguments"
        section = listed.split(f"\n{heading}:\n", 1)[1].split("\n\n", 1)[0]
        assert option.spelling.split("/")[0].split(" ")[0] in section.split()
