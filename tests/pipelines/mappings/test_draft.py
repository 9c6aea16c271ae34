"""A draft loads, reads what it recognised, and names what it did not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.presets import shopify, woocommerce

from beam_talonone.pipelines.mappings.draft import draft
from beam_talonone.pipelines.mappings.sample import documents, guessed_table
from beam_talonone.pipelines.mappings.trial import try_mapping
from beam_talonone.schemas import jsonio
from beam_talonone.transforms.mapping.mapping import FileMapping


def drafted(*documents):
    text = draft(list(documents))
    return text, FileMapping("draft", text)


@pytest.mark.parametrize(
    ("document", "quantities"),
    [(shopify.order(), [2, 1]), (woocommerce.order(), [3, 3])],
    ids=["shopify", "woocommerce"],
)
def test_the_draft_of_a_shop_makes_its_orders(document, quantities):
    document = jsonio.loads(json.dumps(document))
    _, mapping = drafted(document)
    [record] = mapping(document).records
    assert record.kind == "orders"
    assert record.fields["order_id"] == document["id"]
    assert record.fields["status"] in ("open", "completed")
    assert [item["quantity"] for item in record.fields["items"]] == quantities


def test_states_that_no_list_has_are_named():
    document = {"order_id": "1", "status": "in the post", "created": "2026-05-01T12:00:00Z", "items": [{"sku": "A"}]}
    text, mapping = drafted(document)
    assert "guessed as completed: in the post" in text
    assert mapping(document).records[0].fields["status"] == "completed"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-05-01T12:00:00+02:00", "2026-05-01T12:00:00+02:00"),
        ("2026-05-01 12:00:00", "2026-05-01T12:00:00+00:00"),
        ("31.12.2025", "2025-12-31T00:00:00+00:00"),
        ("1.5.2026 12:30", "2026-05-01T12:30:00+00:00"),
        (1_777_636_800, "2026-05-01T12:00:00+00:00"),
        (1_777_636_800_000, "2026-05-01T12:00:00+00:00"),
        ("Fri, 01 May 2026 12:00:00 +0200", "2026-05-01T10:00:00+00:00"),
    ],
)
def test_times_are_recognised(time, expected):
    document = {"customer_id": "C", "timestamp": time}
    _, mapping = drafted(document)
    made = mapping(document)
    assert made.failure is None
    assert str(made.records[0].fields["event_time"]).replace("Z", "+00:00").replace(".000", "") == expected


def test_what_is_missing_and_what_is_left_is_said():
    text, _ = drafted({"E-Mail": "ann@example.com", "Vorname": "Ann"})
    assert "event_time: null  # not guessed, and required" in text
    assert '    #   "Vorname": Vorname\n' in text


names = st.text(max_size=12) | st.sampled_from(
    ["id", "status", "items", "date", "price", "e-mail", "a.b", "`", "'", '"']
)
values = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
objects = st.dictionaries(
    names, values | st.lists(st.dictionaries(names, values, max_size=3), max_size=2), max_size=6
)


@given(st.lists(objects, max_size=3))
def test_every_draft_loads_and_maps_or_says_why(documents):
    mapping = FileMapping("draft", draft(documents))
    for document in documents:
        result = mapping(document)
        assert result.failure is not None or result.records or result.filtered
    lines, _ = try_mapping(mapping, documents, len(documents))
    assert f"{len(documents):,} documents" in lines[-1]


def test_documents_that_are_no_objects_are_left_out():
    assert "profiles:" in draft([1, "two", None, json.loads("[]")])


@pytest.mark.parametrize("name", ["null", "true", "No", "on", "1", "~", "a b", "x:y", "#"])
def test_names_that_yaml_reads_otherwise(name):
    items = [{"sku": "A", "quantity": 1}]
    document = {"order_id": "1", "customer_id": "C", "status": "paid", "created": "2026-05-01T12:00:00Z", name: items}
    _, mapping = drafted(document)
    [record] = mapping(document).records
    assert record.fields["items"] == items


def test_the_draft_of_a_table_reads_it(tmp_path):
    path = tmp_path / "orders.csv"
    rows = ["Bestellnummer;E.Mail;Datum;Artikel;Menge;Preis", "1;a@b.c;31.12.2025;x;2;1,10", ";;;y;1;5,00"]
    path.write_bytes("\n".join(rows).encode("cp1252"))
    table = guessed_table(path)
    text = draft(documents(path, table), table)
    mapping = FileMapping("draft", text)
    assert mapping.table == table
    [document] = documents(path, mapping.table)
    assert '\n    # not read: "E.Mail"\n' in text, "a name with a dot is one column"
    assert "event_time: 'time(Datum, ''%d.%m.%Y'', ''UTC'', ''earlier'')'" in text
    for field, value in {"customer_id": """'"E.Mail"'""", "status": "{literal: open}"}.items():
        text = text.replace(f"{field}: null", f"{field}: {value}")
    [record] = FileMapping("draft", text)(document).records
    assert (record.fields["order_id"], record.fields["customer_id"]) == ("1", "a@b.c")
    assert [(item["sku"], item["quantity"]) for item in record.fields["items"]] == [("x", 2), ("y", 1)]


def test_the_draft_of_customers_proposes_attributes():
    text, mapping = drafted({"Kundennummer": "7", "Ort": "Köln", "Seit": "31.12.2025", "Punkte": "3"})
    assert '    #   "Ort": Ort\n    #   "Punkte": Punkte\n' in text
    uncommented = text.replace("    # attributes:", "    attributes:").replace("    #   ", "      ")
    [record] = FileMapping("draft", uncommented)({"Kundennummer": "7", "Ort": "Köln", "Seit": "1.5.2026"}).records
    assert record.fields["attributes"] == {"Ort": "Köln"}
    assert record.fields["event_time"].startswith("2026-05-01")
    assert mapping({"Kundennummer": "7", "Seit": "1.5.2026"}).records


def test_lists_that_are_not_read_are_named():
    text, _ = drafted(shopify.order())
    assert "refunds[]" in text
    assert "line_items[]," not in text
