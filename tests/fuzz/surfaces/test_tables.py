"""CSV for a mapping, damaged: each row is in a document, or one dead letter tells which document may lack it."""

import tempfile
from pathlib import Path

from fuzz.damage import damaged
from fuzz.endings import OPTIONS, check_end
from fuzz.fuzzed import fuzzed
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.schemas.decoding.settings import AS_USUAL
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.sources.prepare import prepare_mapped
from beam_talonone.transforms.tables.documents import read_documents
from beam_talonone.transforms.tables.table import Join, Table

_FOLDER = tempfile.TemporaryDirectory(prefix="fuzz-")
FOLDER = Path(_FOLDER.name)

ORDERS = b'id;at;sku;q\no1;2026-05-01T12:00:00Z;tea;1\no1;;cup;2\no2;2026-05-01T13:00:00Z;"a;b";3\no3;;x;\n'
NOTES = b'id;note\no1;hello\no2;"two\nlines"\no9;lost\n'
MAPPING = FileMapping(
    "mine.yaml",
    """
version: 1
orders:
  fields:
    order_id: id
    customer_id: null
    status: "'completed'"
    event_time: at
    items: {each: rows, fields: {sku: sku, quantity: q}}
""",
)
TABLES = [
    Table(Dialect(";"), ("id",), ("at",), (Join("notes", "id", "id"),)),
    Table(Dialect(";", '"', "latin-1"), ("id",), (), (Join("notes", "id", "id"),)),
    Table(Dialect(";", '"', "utf-16"), ("id",), ("at",), (Join("notes", "id", "id"),)),
    Table(Dialect(";", None, "utf-8", ("x", ""), {"q": "integer"}), ("id", "at"), (), (Join("notes", "id", "id"),)),
]


def documents(table: Table, orders: bytes, notes: bytes) -> list[Raw]:
    """The documents of two files."""
    found = []
    for name, data in (("orders", orders), ("notes", notes)):
        path = FOLDER / f"{name}.csv"
        path.write_bytes(data)
        found.append(list(inputs_of("orders", match_files(str(path)), None, table.dialect)))
    return list(read_documents(found[0], {"notes": found[1]}, table, FOLDER))


def ended(raws: list[Raw]) -> None:
    """Check that each document ends."""
    for raw in raws:
        for prepared in prepare_mapped(raw, OPTIONS, AS_USUAL, MAPPING):
            assert prepared.problem is None or prepared.problem.reason is not Reason.DEFECT, prepared.problem
            check_end(prepared)


@fuzzed(
    examples=20,
    table=st.sampled_from(TABLES),
    orders=st.just(ORDERS) | damaged([ORDERS, ORDERS.decode().encode("utf-16")]),
    notes=st.just(NOTES) | damaged([NOTES]),
)
def test_damaged_rows(table: Table, orders: bytes, notes: bytes) -> None:
    ended(documents(table, orders, notes))


@fuzzed(examples=15, data=st.data(), at=st.integers(1, 4))
def test_a_damaged_row_is_told_and_costs_no_other_document(data: st.DataObject, at: int) -> None:
    rows = ORDERS.splitlines()
    before = rows[at]
    rows[at] = data.draw(damaged([before])).replace(b"\n", b" ").replace(b"\r", b" ").replace(b'"', b"")
    raws = documents(TABLES[0], b"\n".join(rows) + b"\n", NOTES)
    ended(raws)
    count = sum(len((raw.fields or {}).get("rows", "1")) for raw in raws)
    assert count >= len(rows) - 1 - (not rows[at].strip(b"; \xef\xbb\xbf"))
    others = {b"o1", b"o2", b"o3"} - {before[:2]}
    whole = [decode(raw)["id"].encode() for raw in raws if raw.broken is None]
    assert others <= {*whole} or any("may be missing" in (raw.broken or "") for raw in raws)
