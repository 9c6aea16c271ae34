"""The checker of prose finds what its rules forbid, and nothing in code."""

import importlib.util
import inspect
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main

from beam_talonone.pipelines.cli.group import COMMANDS, function_of
from beam_talonone.pipelines.cli.main import app

DOCS = Path(__file__).parents[1] / "docs"


def load(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


prose = load("check_prose")
code = load("check_comments")
TABLE = tomllib.loads((DOCS / "prose.toml").read_text(encoding="utf-8"))
RULES = prose.rules_of(TABLE)
LONG = "One " + "word " * 30 + "more."


def found(text: str) -> list[tuple[int, str]]:
    return [(finding.line, finding.text) for finding in prose.findings(text, RULES)]


@pytest.mark.parametrize(
    "text",
    [
        "Acknowledged is a message when its outcome is known.",
        "What is in flight is written down.",
        "Whatever makes us fail is a dead letter too.",
        "Needed, but on Dataflow.",
        "Known is only the first.",
        "First a sentence. What it is built for is what people fear: an order lost.",
    ],
)
def test_inverted_sentences_are_found(text):
    [(line, message)] = found(text)
    assert line == 1
    assert message.startswith("sentence that begins with")


@pytest.mark.parametrize(
    "text",
    [
        "A message is acknowledged once its outcome is known.",
        "What is in flight?",
        "## What is in flight",
        "Required, except on Dataflow.",
        "Speed is a concern.",
        "Need is a noun.",
        "An invalid record is a dead letter. Dead letters go to a file.",
        "See [the courier page](courier.md) in `spool/courier.py`.".replace("[the courier page]", "[this page]"),
        "```\nwhoever, a courier, be it so\n```",
        "<!-- a courier\nof two lines -->",
        "Send it to the courierservice.",
    ],
)
def test_plain_sentences_and_code_are_not(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The courier sends it.", "courier"),
        ("## The Courier", "Courier"),
        ("| a | the courier |", "courier"),
        ("* Each letter is written.", "letter"),
        ("The request is in doubt.", "in doubt"),
        ("A mended record.", "mended"),
        ("The *spool* grows.", "spool"),
        ("It waits behind [its lane](x.md).", "lane"),
    ],
)
def test_banned_words_are_found_with_their_replacement(text, word):
    [(_, message)] = found(text)
    assert message.startswith(f'"{word}": ')
    assert message.split(": ", 1)[1] in TABLE["banned"].values()


def test_a_sentence_may_have_thirty_words():
    assert found("A b " * 14 + "the end.") == []
    [(line, message)] = found("Title\n\n" + "A b " * 14 + "is the end.")
    assert (line, message.split(";")[0]) == (3, "sentence of 31 words")


@pytest.mark.parametrize(
    "text", [f"* {LONG}", f"| {LONG} |", f"Short one. {LONG}", LONG.replace(" word more", "\nword more")]
)
def test_long_sentences_are_found_wherever_they_stand(text):
    assert any("sentence of 32 words" in message for _, message in found(text))


def test_a_sentence_ends_with_its_item_or_cell():
    half = "word " * 20
    assert found(f"* One {half}\n* Two {half}\n\n| {half} | {half} |\n\n{half}\n\n{half}\n") == []


def test_abbreviations_and_numbers_end_no_sentence():
    assert prose.sentences("Use e.g. A or 1.5 of it. Then stop.") == ["Use e.g. A or 1.5 of it.", "Then stop."]


def test_a_code_span_is_one_word():
    assert prose.length(prose.words_of("Run `make test ARGS=x -k y` and [read the page](a b c)")) == 6


def test_lines_are_measured_where_they_can_be_broken():
    link = f"[a b](https://example.com/{'x' * 120})"
    assert found(f"{link}\n\n* {link}\n\n| {'x, ' * 20} {'x' * 99} |\n\n```\n{'x ' * 80}\n```") == []
    assert found(f"{'x' * 60} {'x' * 59}") == []
    assert found(f"\n{'x' * 60} {'x' * 60}") == [(2, "line of 121 characters; at most 120")]


def test_lines_are_counted_through_code_and_comments():
    assert [line for line, _ in found("```\na\n```\n<!-- a\nb -->\nA courier.\nAnother line.")] == [6]


def test_pages_are_complained_of_by_name_and_line(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("Fine.\n\nA courier.\n")
    (tmp_path / "README.md").write_text("A courier.\n")
    rules = prose.rules_of(TABLE | {"exempt": ["README.md"]})
    assert list(prose.complaints(tmp_path, rules)) == ['docs/a.md:3: "courier": request sender']


def test_exemptions_that_are_not_needed_are_named(tmp_path):
    (tmp_path / "README.md").write_text("Fine.\n")
    rules = prose.rules_of(TABLE | {"exempt": ["README.md", "GONE.md"]})
    messages = list(prose.complaints(tmp_path, rules))
    assert messages == [
        "docs/prose.toml: README.md passes: remove it from `exempt`",
        "docs/prose.toml: GONE.md is exempt and does not exist",
    ]


def help_texts():
    """Where each help text stands, and the text: of the group, the commands and all their options."""
    group = typer.main.get_command(app)
    alone = typer.Typer(add_completion=False)
    for name in COMMANDS:
        alone.command(name)(function_of(name))
    for name, command in {"": group, **typer.main.get_command(alone).commands}.items():
        yield name, command.help or ""
        yield from ((f"{name} {option.opts[0]}", getattr(option, "help", None) or "") for option in command.params)


def test_help_texts_pass():
    texts = list(help_texts())
    assert len(texts) > 100
    assert [
        (where, finding.text)
        for where, text in texts
        for block in prose.blocks(inspect.cleandoc(text).splitlines())
        for finding in prose.block_findings(block, RULES)
    ] == []


def test_our_pages_pass():
    assert list(prose.complaints(DOCS.parent, RULES)) == []


CODE_RULES = prose.rules_of({**TABLE, "banned": {**TABLE["banned"], **TABLE["banned_in_code"]}})


def found_in_code(source: str) -> list[tuple[int, str]]:
    return [(finding.line, finding.text.split(":")[0]) for finding in code.findings(source, CODE_RULES)]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('"""A courier."""', 1),
        ('"""Fine.\n\nA courier.\n"""', 3),
        ('def f():\n    """Fine."""\n    # a courier\n', 3),
        ('class A:\n    b = 1\n    """A courier."""\n', 3),
        ("a = 1  # a courier\n", 1),
        ("# words of\n# a courier\n", 1),
    ],
    ids=["module", "paragraph", "comment", "attribute", "at the end of a line", "second line"],
)
def test_docstrings_and_comments_are_prose(source, line):
    assert found_in_code(source) == [(line, '"courier"')]


@pytest.mark.parametrize(
    "source",
    [
        'courier = "a courier"',
        '"""Fine.\n\n>>> courier = 1\n>>> courier\n1\n\nAlso fine.\n"""',
        '"""Fine.\n\n```\na courier\n```\n"""',
        "a = 1  # noqa: courier\n",
    ],
    ids=["code", "doctest", "block", "for a tool"],
)
def test_code_is_not(source):
    assert found_in_code(source) == []


def test_words_that_are_banned_in_code_only():
    assert found_in_code("# the caller is told\n") == [(1, '"is told"')]
    assert found("The caller is told.") == []
