"""A tutorial followed exactly: docs/import-an-export.md, its files, and its commands in their order."""

import os
import re
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from textwrap import dedent

from beam_talonone.transforms.mapping.mapping import FileMapping
from e2e.harness import KEY, simulator

PAGE = (Path(__file__).parents[3] / "docs" / "import-an-export.md").read_text(encoding="utf-8")
BLOCKS = [
    (name, dedent(text)) for name, text in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
]


def texts(language):
    """The blocks in a language, in their order."""
    return [text for name, text in BLOCKS if name == language]


COMMANDS = [
    line for name, text in BLOCKS if name == "sh" for line in text.splitlines()
    if line.startswith("beam-talonone ") and " simulate " not in line
]  # fmt: skip


def test_the_tutorial(tmp_path):
    customers, ordered = texts("text")
    [orders] = texts("json")
    (tmp_path / "customers.csv").write_bytes(customers.encode("latin-1"))
    (tmp_path / "bestellungen.csv").write_text(ordered, encoding="utf-8")
    (tmp_path / "orders.json").write_text(orders)
    edited_customers, edited_orders = texts("yaml")
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
            if " draft customers" in command:
                drafted = (tmp_path / "customers.yaml").read_text()
                assert 'encoding: "cp1252"' in drafted
                edited = edited_customers.replace('delimiter: ";"', 'delimiter: ";"\n  encoding: cp1252')
                (tmp_path / "customers.yaml").write_text(edited)
            elif " draft bestellungen" in command:
                drafted = (tmp_path / "bestellungen.yaml").read_text(encoding="utf-8")
                assert FileMapping("drafted", drafted).table == FileMapping("edited", edited_orders).table
                assert '# Words that are not known: "in Klärung".' in drafted
                (tmp_path / "bestellungen.yaml").write_text(edited_orders, encoding="utf-8")
        profiles, sessions = talonone.profiles(), talonone.sessions()
    assert profiles["0017"]["attributes"] == {
        "Email": "ann@example.com", "City": "Köln", "Tier": "gold", "Birthday": "1959-08-13",
    }  # fmt: skip
    assert profiles["0018"]["attributes"] == {"Email": "bob@example.com", "City": "Zürich"}
    grouped = sessions["1001"]
    assert (grouped["profileId"], grouped["state"]) == ("0017", "closed")
    assert [(item["sku"], item["quantity"], item["price"]) for item in grouped["cartItems"]] == [
        ("TEA-100", 2, Decimal("4.5")), ("POT-7", 1, 24),
    ]  # fmt: skip
    assert [(sessions[name]["profileId"], sessions[name]["state"]) for name in ("1002", "1003")] == [
        ("guest-1002", "open"), ("0018", "open"),
    ]  # fmt: skip
    [item] = sessions["820982911946154508"]["cartItems"]
    assert (item["quantity"], item["returnedQuantity"], item["price"]) == (3, 1, Decimal("8.5"))
    assert "115310627314723954" in profiles
