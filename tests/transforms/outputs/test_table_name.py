"""The forms in which people name a table."""

import re

import pytest

from beam_talonone.pipelines.cli.parameters.patterns import TABLE
from beam_talonone.transforms.outputs.table_name import is_table_not_folder, table_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("some-project:shop.results", "some-project:shop.results"),
        ("some-project.shop.results", "some-project:shop.results"),
        ("bq://some-project.shop.results", "some-project:shop.results"),
        ("bq://some-project:shop.results", "some-project:shop.results"),
        ("example.com:some-project:shop.dead-letters_2", "example.com:some-project:shop.dead-letters_2"),
        ("example.com:some-project.shop.dead-letters_2", "example.com:some-project:shop.dead-letters_2"),
    ],
)
def test_a_table_in_each_form(text: str, expected: str) -> None:
    name = table_name(text)
    assert str(name) == expected
    assert table_name(expected) == name
    assert re.fullmatch(TABLE, text), "the template takes it, too"


@pytest.mark.parametrize(
    "text",
    [
        "", "results", "shop.results", "projects/some-project/topics/t", "some-project:shop", "some-project:shop.",
        "bq://shop.results", "some-project:shop.results$20260501", "some-project:sh op.results",
        "some-project.shop.results.more", "gs://bucket/a.b.c", "SOME-PROJECT:shop.results", "tiny:shop.results",
        "`some-project.shop.results`", "./some-project.shop.results",
    ],
)  # fmt: skip
def test_other_texts_are_no_table(text: str) -> None:
    assert table_name(text) is None
    assert not re.fullmatch(TABLE, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("some-project:shop.results", True),
        ("bq://anything", True),
        ("bq:anything", True),
        ("some-project.shop.results", False),
        ("results", False),
        ("a:b", False),
    ],
)
def test_a_text_that_may_name_a_folder_is_left_to_folders(text: str, expected: bool) -> None:
    assert is_table_not_folder(text) is expected
