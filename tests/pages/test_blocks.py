"""Blocks are read as pages write them, and outputs are compared line by line."""

import pytest

from pages.blocks import Block, blocks, shows


def test_blocks_of_a_page():
    page = 'Save:\n\n   ```json title="a.jsonl"\n   {}\n   ```\n\n```sh exits=3\nrun\n```\n\n```\nplain\n```\n'
    assert blocks(page) == [
        Block("json", "a.jsonl", 0, "{}\n"), Block("sh", None, 3, "run\n"), Block("", None, 0, "plain\n"),
    ]  # fmt: skip


OUTPUT = "first line\nsecond 42 line  \n\nlast (line)\n"


@pytest.mark.parametrize(
    "block",
    [
        "first line\n", "second 42 line\n", "second ... line\n", "last (line)\n", "...\nlast (line)\n",
        "first line\nsecond 42 line\n", "first line\n...\nlast (line)\n", "first line\n...\nsecond ...\n\nlast ...\n",
        "last (line)\n...\n",
    ],
)  # fmt: skip
def test_a_block_that_the_output_has(block):
    assert shows(OUTPUT, block)


@pytest.mark.parametrize(
    "block",
    [
        "first\n",
        "line\n",
        "first line\nlast (line)\n",
        "last (line)\nfirst line\n",
        "last .line.\n",
        "second ... 43\n",
    ],
)
def test_a_block_that_the_output_does_not_have(block):
    assert not shows(OUTPUT, block)
