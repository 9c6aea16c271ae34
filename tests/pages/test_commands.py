"""Every command of the pages is run by a test, or parsed and listed with the reason."""

import pytest

from beam_talonone.pipelines.cli.command_table import COMMANDS
from pages.blocks import blocks
from pages.commands import (
    GUIDES,
    ONLY_PARSED,
    OTHERS_NOT_RUN,
    PAGES,
    ROOT,
    RUN,
    TUTORIAL,
    Command,
    all_commands,
    commands_of,
    inline_commands,
    parse,
)

ALL = all_commands()


def test_commands_of_a_page():
    page = (
        "```\nbeam-talonone check --orders 'a b' \\\n    --show 1 > out.txt   # shows one\nbeam-talonone: x\n```\n"
        "```bash\n.venv/bin/beam-talonone simulate --port 8080 &\nls\n  beam-talonone mappings show x | less\n```\n"
    )
    assert [command.words for command in commands_of("page.md", page)] == [
        ("check", "--orders", "a b", "--show", "1"), ("simulate", "--port", "8080"), ("mappings", "show", "x"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    ["check --order a.jsonl", "backfill --orders a", "mappings draw", "simulate --port x", "nothing --orders a"],
)
def test_a_wrong_command_does_not_parse(words):
    with pytest.raises(Exception, match=r"."):
        parse(tuple(words.split()))


def test_words_that_a_page_leaves_out_may_be_missing():
    parse(("backfill", "...", "--rate", "20"))
    with pytest.raises(Exception, match="--rated"):
        parse(("backfill", "...", "--rated", "20"))


@pytest.mark.parametrize("command", ALL, ids=lambda command: f"{command.page}: {' '.join(command.words)[:60]}")
def test_every_command_of_the_pages_is_one_of_the_program(command):
    assert parse(command.words) == command.words[0]


PLACEHOLDERS = {"COMMAND", "N", "MORE", "..."}
"""Words within a text that stand for others, in commands that are not whole."""


def test_every_command_within_a_text_is_one_of_the_program():
    commands = [c for c in inline_commands() if not PLACEHOLDERS & set(c.words) and "--help" not in c.words]
    assert len(commands) > 30
    for command in commands:
        parse((*command.words, "..."))  # the text has only the words that it is about


@pytest.mark.parametrize(("name", "example"), [(n, e) for n, row in COMMANDS.items() for e in row.examples])
def test_every_example_of_the_help_is_one_of_the_program(name, example):
    [command] = commands_of("help", f"```\nbeam-talonone {example}\n```\n")
    parse(command.words)
    assert command.words[0] == name


def is_run(command: Command) -> bool:
    """Whether a test runs the command as it stands on its page: see the constants of pages/commands.py."""
    guide = command.page in GUIDES and (command.block.language == "sh" or command.block.title is not None)
    tutorial = command.page == TUTORIAL and command.block.language == "sh" and command.words[0] != "simulate"
    return guide or tutorial or (command.page in RUN and command.only_parsed is None)


def test_every_command_is_run_or_listed():
    assert len(ALL) > 60
    assert [command[::2] for command in ALL if not is_run(command) and command.only_parsed is None] == []


def test_what_is_listed_is_on_a_page_and_not_run():
    listed = {(page, begin) for page, begins in ONLY_PARSED.items() for begin in begins}
    used = {
        (command.page, begin)
        for command in ALL
        for begin in ONLY_PARSED.get(command.page, {})
        if " ".join(command.words).startswith(begin) and not is_run(command)
    }
    assert used == listed


def test_other_blocks_of_shell_commands_are_run_or_listed():
    others = {
        path.relative_to(ROOT).as_posix()
        for path in PAGES
        for block in blocks(path.read_text(encoding="utf-8"))
        if block.language == "sh" and block.title is None and "beam-talonone " not in block.text
    }
    assert others - {*GUIDES, TUTORIAL, *RUN} == OTHERS_NOT_RUN.keys()
