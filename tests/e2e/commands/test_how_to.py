"""The how-to guides followed exactly: their files, and their commands in their order, against the simulator.

A block with a `title` is a file. Commands are in blocks `sh`; `exits=3` behind it is the exit code of the last one.
Blocks of other languages, such as `bash`, name what a test cannot reach, and are not run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

from e2e.harness import KEY, simulator

FOLDER = Path(__file__).parents[3] / "docs" / "how-to"
GUIDES = sorted(FOLDER.glob("*.md"))
FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block of code of a guide."""

    language: str
    title: str | None
    exits: int
    text: str


def blocks(page: str) -> list[Block]:
    """The blocks of a page, in their order."""
    result = []
    for _, language, about, text in FENCE.findall(page):
        title = re.search(r'title="([^"]+)"', about)
        exits = re.search(r"exits=(\d)", about)
        result.append(Block(language, title and title[1], int(exits[1]) if exits else 0, dedent(text)))
    return result


def test_blocks_of_a_page():
    page = 'Save:\n\n   ```json title="a.jsonl"\n   {}\n   ```\n\n```sh exits=3\nrun\n```\n'
    assert blocks(page) == [Block("json", "a.jsonl", 0, "{}\n"), Block("sh", None, 3, "run\n")]


def run_guide(guide: Path, folder: Path, environment: dict[str, str]) -> int:
    """Write the files and run the commands of a guide. Returns the number of blocks of commands."""
    run = 0
    for block in blocks(guide.read_text(encoding="utf-8")):
        if block.title is not None:
            file = folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            run += 1
            done = subprocess.run(
                ["sh", "-eu", "-c", block.text], check=False, cwd=folder, env=environment, capture_output=True,
                timeout=300, text=True,
            )  # fmt: skip
            assert done.returncode == block.exits, f"{block.text}{done.stdout}{done.stderr}"
            assert "Traceback" not in done.stderr
    return run


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_guide(guide, tmp_path):
    with simulator() as talonone:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TALONONE_BASE_URL": talonone.url,
            "TALONONE_API_KEY": KEY,
        }
        assert run_guide(guide, tmp_path, environment) > 0
