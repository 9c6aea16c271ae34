"""The declared options: all that commands take, each with its heading, help, default and commands."""

import inspect

import pytest

from beam_talonone.pipelines.cli.command_table import COMMANDS
from beam_talonone.pipelines.cli.declared import MISSING, all_options, options_of
from beam_talonone.pipelines.cli.group import actions_of, function_of
from beam_talonone.pipelines.cli.main import run
from beam_talonone.pipelines.cli.parameters.groups import groups_of

OPTIONS = {(option.spelling, commands): option for option, commands in all_options()}
ON_FILES = ("backfill", "replay", "check", "lookup", "verify", "stream")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_nothing_but_groups(name: str) -> None:
    functions = [function_of(name), *actions_of(name).values()]
    for function in functions:
        assert set(groups_of(function)) == set(inspect.signature(inspect.unwrap(function)).parameters)
    declared = [option.name for option in options_of(name)]
    parameters = [parameter for function in functions for parameter in inspect.signature(function).parameters]
    assert declared == [*parameters, "debug", "version"]


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
        ("--results TOPIC|DIR|TABLE", ("stream",), ""),
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
    assert required == {
        "output",
        "input",
        "operation",
        "dead_letters",
        "places",
        "name",
        "sample",
        "mapping",
        "folder",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_lists_each_option_under_its_heading(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = []
    for words in [(action,) for action in actions_of(name)] or [()]:
        assert run([name, *words, "--help"]) == 0
        listed.append(capsys.readouterr().out)
    for option in options_of(name)[:-2]:
        heading = option.section if option.spelling.startswith("--") else "Arguments"
        parts = [text.split(f"\n{heading}:\n", 1)[1] for text in listed if f"\n{heading}:\n" in text]
        words_listed = [word for part in parts for word in part.split("\n\n", 1)[0].split()]
        assert option.spelling.split("/")[0].split(" ")[0] in words_listed
