"""The commands that a run prints at its end, followed as they stand."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.harness import DEAD_LETTERS, FINISHED, Simulator, cli, dead_letters, simulator, write

MAPPING = """
version: 1
orders:
  fields: {order_id: nr, customer_id: cust, event_time: at, attributes: more, status: "'open'"}
"""

MAPPED = "a mapping made this record"
UNMAPPED = "no mapping made this record"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with simulator(unknown_attributes=("unheard",)) as sim:
        yield sim


def hint(text: str, what: str = "to send them again, corrected: ") -> list[str]:
    """The words of the one command that is printed for a purpose, without the program."""
    (line,) = (line for line in text.splitlines() if line.startswith(what))
    return shlex.split(line.removeprefix(what))[1:]


def details(output: str) -> str:
    return " ".join(str(letter["detail"]) for letter in dead_letters(Path(output)))


def test_dead_letters_of_a_mapping_are_replayed_by_the_hint_of_a_replay_that_lacked_it(
    sim: Simulator, tmp_path: Path
) -> None:
    mapping, attributes = tmp_path / "my map.yaml", tmp_path / "attributes.txt"
    mapping.write_text(MAPPING)
    attributes.write_text("CustomerSession.unheard\n")
    order = {"nr": "1", "cust": "c", "at": "2026-05-01T12:00:00Z", "more": {"unheard": 1}}
    orders = write(tmp_path / "o.jsonl", [order])
    api = ["--base-url", sim.url, "--yes"]
    first = cli("backfill", "--orders", orders, "--output", tmp_path / "out", "--mapping", mapping, "--attributes",
                attributes, *api)  # fmt: skip
    assert first.code == DEAD_LETTERS
    words = hint(first.err)
    assert words[words.index("--mapping") + 1] == str(mapping)
    assert words[words.index("--attributes") + 1] == str(attributes)

    without = cli("replay", f"{tmp_path}/out/dead-letters/*.jsonl", "--output", tmp_path / "lacks", *api)
    assert MAPPED in details(f"{tmp_path}/lacks")
    assert without.code == DEAD_LETTERS

    with_it = hint(without.err)
    assert cli(*with_it, "--yes").code == DEAD_LETTERS
    assert "unheard" in details(with_it[with_it.index("--output") + 1]), "it was sent, and refused by the API"


def test_a_replay_with_a_mapping_that_made_nothing_is_followed_by_one_without(sim: Simulator, tmp_path: Path) -> None:
    mapping = tmp_path / "m.yaml"
    mapping.write_text(MAPPING)
    orders = write(tmp_path / "o.jsonl", [{"order_id": "1", "line_items": [], "financial_status": "paid"}])
    api = ["--base-url", sim.url, "--yes"]
    first = cli("backfill", "--orders", orders, "--output", tmp_path / "out", *api)
    assert "--mapping" not in hint(first.err)
    again = hint(first.err, "orders look like documents of Shopify: begin again with --mapping shopify: ")
    assert again[-2:] == ["--mapping", "shopify"]
    assert cli(*again, "--yes").code == FINISHED, "a document without an id is filtered"

    mapped = cli(*hint(first.err), "--mapping", mapping, "--yes")
    assert UNMAPPED in details(f"{tmp_path}/out-replay")
    last = hint(mapped.err)
    assert "--mapping" not in last
    cli(*last, "--yes")
    assert UNMAPPED not in details(last[last.index("--output") + 1])
