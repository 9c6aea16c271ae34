"""docs/mappings.md says what is there: its example works, and its functions are those of the language."""

import re
from pathlib import Path

from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.transforms.mapping.functions import standard
from beam_talonone.transforms.mapping.functions.table import FUNCTIONS
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.mapping.resolve import presets

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "mappings.md").read_text(encoding="utf-8")

DOCUMENT = {
    "number": "A-1", "test": False, "client": {"id": None, "email": "Ann@example.com"}, "state": "paid",
    "ordered": "25.10.2026 02:30", "source": "web",
    "rows": [{"id": 1, "sku": "x", "quantity": 2, "price": "1.234,50"}],
    "refunds": [{"id": 9, "at": 1793000000000, "rows": [{"line_id": 1, "quantity": 1}]}],
}  # fmt: skip


def test_the_example_of_the_page():
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    result = FileMapping("page", text)(DOCUMENT)
    assert result.failure is None
    order, returned = result.records
    assert parse("orders", order.fields).record.event_time.isoformat() == "2026-10-25T00:30:00+00:00"
    assert order.fields["attributes"] == {"channel": "web", "reviewed": False}
    assert parse("returns", returned.fields).record.items[0].position == 0


def test_the_page_lists_all_functions():
    listed = set(re.findall(r"`([a-z0-9_]+)[(`]", re.search(r"\| function \|.*?\n\n", PAGE, re.DOTALL)[0]))
    own = set(FUNCTIONS) - set(standard.FUNCTIONS) - {"to_string", "to_number"}
    assert own <= listed


def test_each_preset_has_a_page_that_the_mappings_page_names():
    assert {path.stem for path in (DOCS / "presets").glob("*.md")} == set(presets())
    for name in presets():
        assert f"[{name}](presets/{name}.md)" in PAGE
