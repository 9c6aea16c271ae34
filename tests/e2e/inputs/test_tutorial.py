"""A tutorial followed exactly: docs/import-an-export.md, its files, and its commands in their order."""

import os
import re
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

from e2e.harness import KEY, simulator

PAGE = (Path(__file__).parents[3] / "docs" / "import-an-export.md").read_text(encoding="utf-8")
BLOCKS = [
    (name, dedent(text)) for name, text in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
]


def block(language):
    [text] = [text for name, text in BLOCKS if name == language]
    return text


COMMANDS = [
    line for name, text in BLOCKS if name == "sh" for line in text.splitlines()
    if line.startswith("beam-talonone ") and " simulate " not in line
]  # fmt: skip


def test_the_tutorial(tmp_path):
    (tmp_path / "customers.csv").write_bytes(block("text").encode("latin-1"))
    (tmp_path / "orders.json").write_text(block("json"))
    with simulator() as talonone:
        environment = {**os.environ, "TALONONE_BASE_URL": talonone.url, "TALONONE_API_KEY": KEY}
        for command in COMMANDS:
            words = command.replace(
                "beam-talonone", shlex.join([sys.executable, "-m", "beam_talonone.pipelines.cli.main"])
            )
            done = subprocess.run(
                words, check=False, shell=True, cwd=tmp_path, env=environment, capture_output=True, timeout=120
            )
            assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
            if " draft " in command:
                drafted = (tmp_path / "customers.yaml").read_text()
                assert 'encoding: "cp1252"' in drafted
                edited = block("yaml").replace('delimiter: ";"', 'delimiter: ";"\n  encoding: cp1252')
                (tmp_path / "customers.yaml").write_text(edited)
        profiles, sessions = talonone.profiles(), talonone.sessions()
    assert profiles["0017"]["attributes"] == {
        "Email": "ann@example.com", "City": "Köln", "Tier": "gold", "Birthday": "1959-08-13",
    }  # fmt: skip
    assert profiles["0018"]["attributes"] == {"Email": "bob@example.com", "City": "Zürich"}
    [item] = sessions["820982911946154508"]["cartItems"]
    assert (item["quantity"], item["returnedQuantity"], item["price"]) == (3, 1, Decimal("8.5"))
    assert "115310627314723954" in profiles
