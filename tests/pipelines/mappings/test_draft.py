"""A draft loads, reads what it recognised, and names what it did not."""

import csv
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.presets import shopify, shopify_csv, woocommerce

from beam_talonone.pipelines.mappings.draft import draft
from beam_talonone.pipelines.mappings.sample import documents, guessed_sample
from beam_talonone.pipelines.mappings.trial import try_mapping
from beam_talonone.schemas import jsonio
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.mapping import FileMapping
from beam_talonone.transforms.tables.table import Table


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


def orders_with(*statuses):
    return [
        {"order_id": str(place), "Status": status, "created": "2026-05-01T12:00:00Z", "customer_id": "C",
         "items": [{"sku": "A"}]}
        for place, status in enumerate(statuses)
    ]  # fmt: skip


def test_words_of_status_are_translated():
    documents = orders_with("bezahlt", "offen", "storniert", "In Bearbeitung", "Livrée")
    text, mapping = drafted(*documents)
    assert "not known" not in text
    statuses = [record.fields["status"] for document in documents for record in mapping(document).records]
    assert statuses == ["completed", "open", "cancelled", "open", "completed"]


def test_unknown_words_of_status_are_named_and_make_dead_letters():
    documents = orders_with(*["paid"] * 150, "in the post", "zurück\n")
    text, mapping = drafted(*documents)
    assert '    # Words that are not known: "in the post", "zurück\\n".\n' in text
    for document in documents[-2:]:
        result = mapping(document)
        assert (result.records, result.failure.reason) == ((), Reason.UNMAPPED_VALUE)


def test_no_word_of_status_is_known():
    documents = orders_with("S1", "S2")
    _, mapping = drafted(*documents)
    assert mapping(documents[0]).failure.reason is Reason.UNMAPPED_VALUE


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-05-01T12:00:00+02:00", "2026-05-01T12:00:00+02:00"),
        ("2026-05-01 12:00:00", "2026-05-01T12:00:00+00:00"),
        ("31.12.2025", "2025-12-31T00:00:00+00:00"),
        ("1.5.2026 12:30", "2026-05-01T12:30:00+00:00"),
        ("31/12/2025", "2025-12-31T00:00:00+00:00"),
        ("12/31/2025 9:30:00", "2025-12-31T09:30:00+00:00"),
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
    assert lines[-1].startswith(f"{len(documents):,} document{'' if len(documents) == 1 else 's'}: ")


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
    sample, table = guessed_sample(path)
    text = draft(sample, table)
    mapping = FileMapping("draft", text)
    assert mapping.table == table
    [document] = documents(path, mapping.table)
    assert """\n    customer_id: '"E.Mail"'\n""" in text, "a name with a dot is one column"
    assert "event_time: 'time(Datum, ''%d.%m.%Y'', ''UTC'', ''earlier'')'" in text
    text = text.replace("status: null", "status: {literal: open}")
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


def with_attributes(text):
    """The draft of customers with the attributes that it proposes in comments."""
    head, _, tail = text.partition("    # attributes:  # those that exist in Talon.One\n")
    proposed = [line for line in tail.splitlines() if line.startswith("    #   ")]
    left = [line for line in tail.splitlines() if not line.startswith("    #   ")]
    lines = [line.replace("    #   ", "      ", 1) for line in proposed]
    return "\n".join([head.rstrip("\n"), "    attributes:" if lines else "", *lines, *left])


ODD = st.sampled_from(
    ['say "hi"', "back\\slash", '\\"', "a.b", "a b", "", " ", "ä ö", "日本", "🙂", "yes", "1", "1e3", "null", "~",
     "- a", "? a", "a: b", "#a", "&a", "*a", "!a", "%a", "@", "`", "'", "''", "{a}", "[a]", "|", ">", "=", "<<",
     "a\nb", "a\tb", "\x85", "\u2028", "\x7f", "\ufeff", "$", "$index", "@", "rows", "sum", "true", "!!str"]
)  # fmt: skip
CUSTOMER = {"customer_id": "C", "updated_at": "2026-05-01T12:00:00Z"}


@given(st.dictionaries(ODD | st.text(max_size=5), st.text("xyz", min_size=1, max_size=3), max_size=6))
def test_the_draft_of_any_json_reads_each_of_its_names(columns):
    document = {**columns, **CUSTOMER}
    text = draft([document])
    assume("\nprofiles:" in text)  # a column called ORDER makes it another kind
    mapping = FileMapping("draft", with_attributes(text))
    [record] = mapping(document).records
    assert record.fields["customer_id"] == "C"
    read = {**record.fields, **record.fields.get("attributes", {})}
    assert {name: read.get(name) for name in columns} == columns


@given(
    st.lists(
        ODD | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5), max_size=5
    ),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_the_draft_of_any_table_loads_and_reads_it(tmp_path_factory, names, delimiter):
    header = list(dict.fromkeys([*CUSTOMER, *names]))
    path = tmp_path_factory.mktemp("table") / "sample.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerows([header, [*CUSTOMER.values(), *(f"v{place}" for place in range(2, len(header)))]])
    sample, table = guessed_sample(path)
    text = draft(sample, table)
    assume("\nprofiles:" in text)
    mapping = FileMapping("draft", with_attributes(text))
    assert (mapping.table, documents(path, mapping.table)) == (table, sample)
    [record] = mapping(sample[0]).records
    read = {**record.fields, **record.fields.get("attributes", {})}
    columns = {name: value for name, value in sample[0].items() if name != "updated_at"}
    assert {name: read.get(name) for name in columns} == columns
    assert len(columns) == len(header) - 1


@pytest.mark.parametrize("column", ['Order "Nr"', "a\\b", "Order\nNr", "Order🙂\x85"])
def test_a_column_to_group_by_is_written_as_it_is(column):
    table = Table(group_by=(column,), fill_down=(column,))
    assert FileMapping("draft", draft([{column: "1", "rows": []}], table)).table == table


def test_lists_that_are_not_read_are_named():
    text, _ = drafted(shopify.order())
    assert "refunds[]" in text
    assert "line_items[]," not in text


def test_words_for_null_are_read_as_null(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text("Kundennr.;Ort;Seit\n7;k.A.;31.12.2025\nNULL;Bonn;31.12.2025\n\\N;-;-\n")
    sample, table = guessed_sample(path)
    text = draft(sample, table)
    assert '\n  nulls: ["NULL", "\\\\N", "k.A.", "-"]\n' in text
    mapping = FileMapping("draft", text)
    assert mapping.table == table
    first, *others = [mapping(document) for document in documents(path, mapping.table)]
    assert first.records[0].fields["customer_id"] == "7"
    assert [result.failure.reason for result in others] == [Reason.MISSING_FIELD] * 2


def test_words_for_null_in_json_are_read_as_null():
    good = {"customer_id": "7", "updated_at": "31.12.2025"}
    bad = [good | {"customer_id": "\\N"}, good | {"updated_at": "n/a"}]
    text, mapping = drafted(good, *bad)
    assert "empty_to_null(customer_id" in text
    assert mapping(good).records[0].fields["customer_id"] == "7"
    assert [mapping(document).failure.reason for document in bad] == [Reason.MISSING_FIELD] * 2


def test_the_draft_says_how_to_keep_the_date_of_an_order():
    [document] = orders_with("paid")
    text, _ = drafted(document | {"created": "31.12.2025"})
    assert "UTC is a guess" in text
    assert "Talon.One dates a session itself" in text
    [line] = [line for line in text.splitlines() if "attributes:" in line]
    assert line.startswith("    #   attributes: {ordered_at: ")
    uncommented = text.replace(line, f"    {line.removeprefix('    #   ')}")
    [record] = FileMapping("draft", uncommented)(document | {"created": "31.12.2025"}).records
    assert record.fields["attributes"] == {"ordered_at": record.fields["event_time"]}
    assert "dates a session" not in draft([{"Kundennr.": "7", "Seit": "31.12.2025"}])


def test_a_column_of_coupons_has_none_one_or_several():
    [document] = orders_with("paid")
    documents = [document | {"Gutscheincode": codes} for codes in ("A", "A, B", None)]
    _, mapping = drafted(*documents)
    codes = [mapping(document).records[0].fields.get("coupon_codes") for document in documents]
    assert codes == [["A"], ["A", "B"], None]


@pytest.mark.parametrize(
    ("dates", "directives", "is_open"),
    [
        (["01/02/2026", "31/01/2026"], "%d/%m/%Y", False),
        (["01/02/2026", "01/31/2026"], "%m/%d/%Y", False),
        (["01/02/2026 10:00", "03/04/2026 11:00"], "%d/%m/%Y %H:%M", True),
    ],
    ids=["day first", "month first", "either"],
)
def test_dates_with_slashes_are_read_by_all_of_them(dates, directives, is_open):
    text = draft([{"Kundennr.": "7", "Seit": date} for date in dates])
    assert f"''{directives}''" in text
    assert ("The day goes first: that is a guess" in text) == is_open


def test_words_are_readable_in_the_translation():
    assert '`{"Expédiée": "completed"}`' in draft(orders_with("Expédiée"))


def test_the_columns_of_an_order_are_not_those_of_its_items(tmp_path):
    path = tmp_path / "orders.csv"
    shopify_csv.write(path, shopify_csv.order())
    _, items = draft(*guessed_sample(path)).split("    items:\n")
    assert "name: Name" not in items


def test_a_row_of_the_order_alone_is_no_item(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("Bestellnr.;Kundennr.;Datum;Status;Artikelnr.;Menge\n1;C;31.12.2025;bezahlt;;\n;;;;x;2\n;;;;y;\n")
    sample, table = guessed_sample(path)
    text = draft(sample, table)
    assert "\n    # Rows without Artikelnr., Menge are not items.\n" in text.replace('"', "")
    [document] = documents(path, table)
    text = text.replace("integer(Menge)", "default(integer(Menge), `9`)")
    [record] = FileMapping("draft", text)(document).records
    assert [(item["sku"], item["quantity"]) for item in record.fields["items"]] == [("x", 2), ("y", 9)]
