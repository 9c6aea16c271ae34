"""The commands of the pages run as they stand there, on files that fit, against the simulator.

tests/pages/commands.py lists the pages, and the commands that are only parsed. Commands of a page run in their order.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import fastavro
import pytest
from pages.blocks import blocks
from pages.commands import ROOT, RUN, commands_of
from support.presets import bigcommerce, commercetools, magento, segment, shopify, shopify_csv, woocommerce

from e2e.harness import (
    DEAD_LETTERS,
    FINISHED,
    Simulator,
    backfill,
    cli,
    dead_letters,
    order,
    profile,
    returned,
    simulator,
    write,
)

ASKS = ("backfill", "replay")
"""Commands that ask a person before they send. A test has no terminal, so it adds --yes."""

RETURNS = {
    "type": "record", "name": "Return", "fields": [
        {"name": "return_id", "type": "string"}, {"name": "order_id", "type": "string"},
        {"name": "event_time", "type": "string"},
        {"name": "items", "type": {"type": "array", "items": {
            "type": "record", "name": "Item",
            "fields": [{"name": "sku", "type": "string"}, {"name": "quantity", "type": "int"}],
        }}},
    ],
}  # fmt: skip


def orders_and_returns(folder: Path, _: Simulator) -> None:
    """Three orders, one of them with a wrong quantity, and a return in Avro."""
    write(folder / "orders" / "a.jsonl", [order("A-1", "C-1"), order("A-2", "C-2", hour=1)])
    write(
        folder / "orders" / "b.jsonl",
        [order("A-3", "C-3", items=[{"sku": "cup", "quantity": 0, "unit_price": "3.25"}])],
    )
    (folder / "returns").mkdir()
    with (folder / "returns" / "a.avro").open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(RETURNS), [returned("R-1", "A-1", hour=2)])


def a_job(folder: Path, talonone: Simulator) -> None:
    """A job in `out` with dead letters for the corrections of the page, and a copy of these."""
    orders_and_returns(folder, talonone)
    write(folder / "orders" / "b.jsonl", [
        b'{"order_id": "caf\xe9"}', {"order_id": "A-5", "customer_id": "C-5"},
        {**order("A-3", "C-3"), "items": None, "line_items": order("A-3", "C-3")["items"]},
    ])  # fmt: skip
    ended = cli(*backfill(talonone.url, {"orders": folder / "orders" / "*.jsonl"}, folder / "out"))
    assert ended.code == DEAD_LETTERS, ended.err
    assert len(dead_letters(folder / "out")) == 3
    (folder / "letters-before").mkdir()
    for path in (folder / "out" / "dead-letters").iterdir():
        (folder / "letters-before" / path.name).write_bytes(path.read_bytes())


def members(folder: Path, talonone: Simulator) -> None:
    """The CSV of the page, and the transactions of a member in the simulator."""
    [table] = [block.text for block in blocks(page("docs/lookup.md")) if block.text.startswith("lookup_id,")]
    (folder / "members.csv").write_text(table, encoding="utf-8")
    talonone.put_rows(3, program=7, profile="c-17")


def a_shop(folder: Path, talonone: Simulator) -> None:
    """Orders of Shopify, and a copy of the preset."""
    write(folder / "export" / "orders.jsonl", [shopify.order()])
    ended = cli("mappings", "show", "shopify")
    (folder / "my-shop.yaml").write_text(ended.out, encoding="utf-8")


def applied(folder: Path, talonone: Simulator) -> None:
    """Files of three kinds, which the simulator has."""
    files = {
        "orders": write(folder / "orders-1.jsonl", [order("A-1", "C-1")]),
        "returns": write(folder / "returns.jsonl", [returned("R-1", "A-1", hour=2)]),
        "profiles": write(folder / "profiles.jsonl", [profile("C-1", attributes={"tier": "gold"})]),
    }
    ended = cli(*backfill(talonone.url, files, folder / "sent"))
    assert ended.code == FINISHED, ended.err


def documents(name: str, *rows: object) -> Callable[[Path, Simulator], None]:
    """A file with documents of a vendor."""
    return lambda folder, _: void(write(folder / name, rows))


def void(_: object) -> None: ...


PREPARED: dict[str, tuple[Callable[[Path, Simulator], None], list[int]]] = {
    "README.md": (orders_and_returns, [DEAD_LETTERS] * 5),
    "docs/backfill.md": (a_job, [DEAD_LETTERS, DEAD_LETTERS]),
    "docs/dead-letters.md": (a_job, [FINISHED, DEAD_LETTERS, FINISHED, DEAD_LETTERS]),
    "docs/lookup.md": (members, [FINISHED]),
    "docs/mappings.md": (a_shop, [FINISHED, FINISHED]),
    "docs/verify.md": (applied, [FINISHED]),
    "docs/presets/bigcommerce.md": (documents("orders.jsonl", bigcommerce.order()), [FINISHED]),
    "docs/presets/commercetools.md": (documents("orders.jsonl", commercetools.order()), [FINISHED]),
    "docs/presets/magento.md": (documents("orders.jsonl", magento.order()), [FINISHED]),
    "docs/presets/segment.md": (documents("messages.jsonl", segment.order()), [FINISHED]),
    "docs/presets/shopify.md": (documents("orders.jsonl", shopify.order()), [FINISHED]),
    "docs/presets/shopify-csv.md": (
        lambda folder, _: void(shopify_csv.write(folder / "orders_export_1.csv", shopify_csv.order())), [FINISHED],
    ),
    "docs/presets/woocommerce.md": (documents("orders.jsonl", woocommerce.order()), [FINISHED]),
}  # fmt: skip
"""What makes the files of a page, and the exit codes of its commands in their order."""


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_all_pages_are_prepared():
    assert tuple(PREPARED) == RUN


@pytest.mark.parametrize("name", RUN)
def test_the_commands_of_a_page(name, tmp_path, monkeypatch):
    prepare, codes = PREPARED[name]
    commands = [command for command in commands_of(name, page(name)) if command.only_parsed is None]
    monkeypatch.chdir(tmp_path)
    with simulator() as talonone:
        prepare(tmp_path, talonone)
        ended = []
        for command in commands:
            words = list(command.words)
            if words[0] in ASKS and "--yes" not in words:
                words.append("--yes")
            ended.append(cli(*words, env={"TALONONE_BASE_URL": talonone.url}))
            if "out-replay" in words:  # the page has several replays into one folder
                (tmp_path / "out-replay").rename(tmp_path / f"out-replay-{len(ended)}")
    shown = [(command.words, end.code, end.err) for command, end in zip(commands, ended, strict=True)]
    assert [end.code for end in ended] == codes, shown


def test_the_corrections_of_the_page_of_dead_letters(tmp_path):
    renaming, decoding, naming = [b.text for b in blocks(page("docs/dead-letters.md")) if b.language == "sh"]

    def run(script: str) -> str:
        done = subprocess.run(["sh", "-eu", "-c", script], check=True, cwd=tmp_path, capture_output=True)
        return done.stdout.decode()

    with simulator() as talonone:
        a_job(tmp_path, talonone)
        assert run(decoding) == '{"order_id": "café"}'
        run(renaming)
        [renamed] = [line["record"] for line in dead_letters(tmp_path / "out") if line["id"] == "A-3"]
        assert renamed["items"]
        assert "line_items" not in renamed
        run(naming)
