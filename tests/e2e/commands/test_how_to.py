"""The tutorial and the how-to guides followed exactly: their files, and their commands in their order, against the
simulator.

A block with a `title` is a file. Commands are in blocks `sh`; `exits=3` behind it is the exit code of the last one.
A block `text` behind a block of commands is what they print. Blocks of other languages, such as `bash`, name what a
test cannot reach, and are not run.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages.blocks import blocks, shows

from e2e.harness import KEY, simulator

DOCS = Path(__file__).parents[3] / "docs"
GUIDES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]


def run_guide(guide: Path, folder: Path, environment: dict[str, str]) -> int:
    """Write the files and run the commands of a guide. Returns the number of blocks of commands."""
    run, output = 0, ""
    for block in blocks(guide.read_text(encoding="utf-8")):
        if block.title is not None:
            file = folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            run += 1
            done = subprocess.run(
                ["sh", "-eu", "-c", block.text], check=False, cwd=folder, env=environment, text=True, timeout=300,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            output = done.stdout
            assert done.returncode == block.exits, f"{block.text}{output}"
            assert "Traceback" not in output
        elif block.language == "text":
            assert shows(output, block.text), f"{block.text}\nis not in\n{output}"
    return run


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_a_guide(guide, tmp_path):
    with simulator() as talonone:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",  # both streams of a command in the order of a terminal
            "BROWSER": "true",  # `report --open` opens nothing
            "TALONONE_BASE_URL": talonone.url,
            "TALONONE_API_KEY": KEY,
        }
        assert run_guide(guide, tmp_path, environment) > 0
