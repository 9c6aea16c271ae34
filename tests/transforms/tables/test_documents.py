"""Documents of several rows: grouped, filled down and joined, and what is not read says so."""

import csv
import io
import itertools
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_talonone.schemas.decoding.decode import decode
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.transforms.formats.dialect import Dialect
from beam_talonone.transforms.formats.errors import CannotReadNow
from beam_talonone.transforms.sources.files import inputs_of, match_files
from beam_talonone.transforms.tables.documents import read_documents
from beam_talonone.transforms.tables.table import Join, Table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def inputs(path, text, dialect):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(inputs_of("orders", match_files(str(path)), None, dialect))


def read(folder, text, table, name="orders.csv", **joined):
    """The Raw records of a file; `joined` are the texts of the files of joins."""
    sources = inputs(folder / name, text, table.dialect)
    others = {name: inputs(folder / f"{name}.csv", rows, table.dialect) for name, rows in joined.items()}
    raws = list(read_documents(sources, others, table, folder))
    assert not list(folder.glob("rows-*"))
    return raws


def documents(folder, text, table, **joined):
    return [decode(raw) for raw in read(folder, text, table, **joined)]


def csv_of(header, rows):
    file = io.StringIO()
    csv.writer(file).writerows([header, *rows])
    return file.getvalue()


CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=4)
ROWS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", 'd"', "é,"]), CELLS), max_size=12)


@given(ROWS)
def test_grouping_equals_that_of_python(folder, rows):
    found = documents(folder, csv_of(["id", "cell"], rows), Table(group_by=("id",)))
    groups = {}
    for key, cell in rows:
        groups.setdefault(key, []).append({"id": key, "cell": cell or None})
    assert [document["rows"] for document in found] == list(groups.values())
    assert [{**document, "rows": None} for document in found] == [
        {**group[0], "rows": None} for group in groups.values()
    ]


@given(ROWS, ROWS)
def test_a_join_equals_that_of_python(folder, rows, items):
    table = Table(joins=(Join("items", "id", "order"),))
    ids = {key for key, _ in rows}
    belonging = [item for item in items if item[0] in ids]
    found = documents(folder, csv_of(["id", "cell"], rows), table, items=csv_of(["order", "sku"], belonging))
    assert [document["items"] for document in found] == [
        [{"order": key, "sku": sku or None} for key, sku in belonging if key == row[0]] for row in rows
    ]


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["", "x"])), max_size=10))
def test_blanks_are_filled_from_the_row_above(folder, rows):
    found = documents(folder, csv_of(["id", "cell", "n"], [(*row, "1") for row in rows]), Table(fill_down=("id",)))
    above = list(itertools.accumulate((key or None for key, _ in rows), lambda last, key: key or last))
    assert [document["id"] for document in found] == above
    assert [document["cell"] for document in found] == [cell or None for _, cell in rows]


def test_fill_down_of_all_columns_and_groups_by_two(folder):
    text = "id,day,sku\n1,mon,A\n,,B\n,tue,C\n2,,D\n"
    found = documents(folder, text, Table(group_by=("id", "day"), fill_down=None))
    assert [(row["id"], row["day"], [inner["sku"] for inner in row["rows"]]) for row in found] == [
        ("1", "mon", ["A", "B"]), ("1", "tue", ["C"]), ("2", "tue", ["D"]),
    ]  # fmt: skip


def test_rows_of_one_document_may_stand_in_several_files(folder):
    (folder / "part-2.csv").write_text("id,sku\n1,B\n")
    raws = read(folder, "id,sku\n1,A\n2,C\n", Table(group_by=("id",)), "part-1.csv")
    assert len(raws) == 2
    table = Table(group_by=("id",))
    both = list(inputs_of("orders", match_files(str(folder / "part-*.csv")), None, table.dialect))
    found = [decode(raw) for raw in read_documents(both, {}, table, folder)]
    assert [[row["sku"] for row in document["rows"]] for document in found] == [["A", "B"], ["C"]]


def overlapping(folder, table, source, **texts):
    """The Raw records of files in `folder` by their names, of which those of `source` are one input or one join."""
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    return list(inputs_of("orders", match_files(str(folder / source)), None, table.dialect))


def test_the_same_row_in_two_files_is_not_counted_twice(folder):
    table = Table(group_by=("id",))
    files = overlapping(
        folder, table, "over-*.csv", **{"over-1": "id,sku\n1,A\n2,B\n2,B\n", "over-2": "id,sku\n2,C\n1,A\n"}
    )
    first, second = read_documents(files, {}, table, folder)
    assert "over-2.csv:3 has the same cells as " in first.broken
    assert "over-1.csv:2" in first.broken
    assert len(first.fields["rows"]) == 2, "both are shown"
    rows = [row["sku"] for row in decode(second)["rows"]]
    assert rows == ["B", "B", "C"], "equal rows of one file all count"


def test_the_same_joined_row_in_two_files_is_not_counted_twice(folder):
    files = overlapping(
        folder, JOIN, "both-*.csv", **{"both-1": "order,sku\n1,A\n2,B\n2,B\n", "both-2": "order,sku\n2,C\n1,A\n"}
    )
    sources = inputs(folder / "orders.csv", "id\n1\n2\n", JOIN.dialect)
    first, second = read_documents(sources, {"items": files}, JOIN, folder)
    assert "both-2.csv:3 has the same cells as " in first.broken
    assert [row["sku"] for row in decode(second)["items"]] == ["B", "B", "C"]


def test_rows_of_other_formats_are_grouped_too(folder):
    text = "\n".join(json.dumps({"id": number // 2, "price": 1.1}) for number in range(4))
    sources = inputs(folder / "rows.jsonl", text, Dialect())
    found = [decode(raw) for raw in read_documents(sources, {}, Table(group_by=("id",)), folder)]
    assert [document["id"] for document in found] == [0, 1]
    assert found[0]["rows"] == [{"id": 0, "price": Decimal("1.1")}] * 2


def problem_of(raw):
    with pytest.raises(InvalidRecord) as caught:
        decode(raw)
    return caught.value


def test_an_unreadable_row_makes_its_neighbours_doubtful_and_no_others(folder):
    text = "id,sku\n1,A\n2,B\n2,C,too many\n3,D\n4,E\n"
    raws = read(folder, text, Table(group_by=("id",)))
    assert [(raw.position, raw.broken is None) for raw in raws] == [
        (4, False),
        (2, True),
        (3, False),
        (5, False),
        (6, True),
    ]
    assert "the row has 3 cells" in raws[0].broken
    for raw in raws[2:4]:
        assert "orders.csv:4 cannot be read" in problem_of(raw).detail
        assert raw.fields["rows"], "the rows that are there are shown"


def test_a_cell_of_another_type_makes_only_its_own_document_doubtful(folder):
    table = Table(Dialect(types={"id": "integer", "n": "integer"}), group_by=("id",), fill_down=("id",))
    raws = read(folder, "id,n\n1,1\n02,1\n,x\n2,1\n3,1\n", table)
    assert [(raw.position, raw.broken is None) for raw in raws] == [(4, False), (2, True), (3, False), (6, True)]


def test_blanks_below_such_a_row_are_filled_from_it(folder):
    table = Table(Dialect(types={"n": "integer"}), group_by=("id",), fill_down=("id",))
    raws = read(folder, "id,n\n1,1\n2,x\n,5\n3,1\n", table)
    assert [(raw.position, raw.broken is None) for raw in raws] == [(3, False), (2, True), (4, False), (5, True)]
    assert raws[2].fields["id"] == "2"


def test_a_file_that_breaks_off_makes_its_last_document_doubtful(folder):
    raws = read(folder, 'id,sku\n1,A\n2,B\n2,"C', Table(group_by=("id",)))
    assert [raw.broken is None for raw in raws] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id,sku\n,A\n", "no value in the column 'id'"),
        ("no,sku\n1,A\n", "no column 'id': the columns are 'no', 'sku'"),
    ],
)
def test_a_row_without_a_key_says_so(folder, text, why):
    [raw] = read(folder, text, Table(group_by=("id",)))
    assert why in problem_of(raw).detail
    assert raw.row is not None, "the row is kept"


def test_joined_rows_that_no_document_has_are_not_lost(folder):
    table = Table(joins=(Join("items", "id", "order"),))
    raws = read(folder, "id\n1\n", table, items="order,sku\n1,A\n7,B\n")
    assert decode(raws[0])["items"] == [{"order": "1", "sku": "A"}]
    assert "--join items: no document has '7' in 'id'" in problem_of(raws[1]).detail
    assert (raws[1].fields, raws[1].position) == ({"order": "7", "sku": "B"}, 3)


def test_an_unreadable_joined_row_makes_its_document_doubtful(folder):
    table = Table(joins=(Join("items", "id", "order"),))
    raws = read(folder, "id\n1\n2\n", table, items="order,sku\n1,A\n1,B,C\n")
    assert [raw.broken is None for raw in raws] == [False, False, False]
    assert "items.csv:3 cannot be read" in raws[2].broken, "the row may be the only one of document 2"


def test_a_document_without_a_value_to_join_by_has_no_joined_rows(folder):
    [document] = documents(folder, "id,n\n,1\n", Table(joins=(Join("items", "id", "id"),)), items="id\n")
    assert document == {"id": None, "n": "1", "items": []}


def test_a_document_of_too_many_rows_is_refused_and_the_next_is_read(folder, monkeypatch):
    monkeypatch.setattr("beam_talonone.transforms.tables.documents.LONGEST", 100)
    raws = read(folder, "id,sku\n" + "1,A\n" * 20 + "2,B\n", Table(group_by=("id",)))
    assert [raw.broken for raw in raws] == ["record larger than 16 MiB", None]
    assert "rows" not in raws[0].fields


def test_reading_ends_when_the_rows_are_not_wanted(folder, monkeypatch):
    monkeypatch.setattr("beam_talonone.transforms.tables.row_store._LOOK_EVERY", 1)
    sources = inputs(folder / "orders.csv", "id\n1\n", Dialect())
    with pytest.raises(CannotReadNow):
        list(read_documents(sources, {}, Table(group_by=("id",)), folder, lambda: True))
    assert not list(folder.glob("rows-*"))


ITEMS = "id\n1\n2\n3\n"
JOIN = Table(joins=(Join("items", "id", "order"),))


def sound(raws):
    """The ids of the documents that are sent."""
    return [decode(raw)["id"] for raw in raws if raw.broken is None]


@pytest.mark.parametrize(
    "rows",
    ["", "order,sku,sku\n1,A,A\n", "no,sku\n1,A\n", "order,sku\n1,A\n2,B\n1,\0\n3,C\n2,D\n"],
    ids=["empty", "unusable header", "no such column", "rows of one document apart"],
)
def test_no_document_is_sent_when_any_may_lack_joined_rows(folder, rows):
    assert sound(read(folder, ITEMS, JOIN, items=rows)) == []


def test_a_bad_joined_row_among_rows_that_stand_together_costs_its_neighbours(folder):
    assert sound(read(folder, ITEMS, JOIN, items="order,sku\n1,A\n1,B\n2,\0\n2,B\n3,C\n3,D\n")) == ["3"]


def test_documents_without_joined_rows_are_doubted_where_one_is_unreadable(folder):
    assert sound(read(folder, ITEMS, JOIN, items="order,sku\n1,A\n\0,B\n3,C\n")) == []
    assert sound(read(folder, "id\n1\n2\n3\n4\n", JOIN, items="order,sku\n1,A\n,B\n3,C\n4,D\n")) == ["4"]


def test_the_key_of_a_row_with_a_cell_too_few_is_doubted_too(folder):
    text = "id,sku\n1,A\n1,B\n5\n2,B\n3,C\n3,C\n"
    assert sound(read(folder, text, Table(group_by=("id",)))) == ["3"]
    apart = "id,sku\n1,A\n2,B\n1\n3,C\n4,D\n"
    assert sound(read(folder, apart, Table(group_by=("id",)))) == []


def test_rows_of_a_file_that_cannot_be_read_may_belong_to_any_document(folder):
    (folder / "q-2.csv").write_text("id;sku\n1;B\n")
    inputs(folder / "q-1.csv", "id,sku\n1,A\n2,B\n", Dialect())
    table = Table(group_by=("id",))
    both = list(inputs_of("orders", match_files(str(folder / "q-*.csv")), None, table.dialect))
    assert sound(read_documents(both, {}, table, folder)) == []


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (
            "id,customer,n\n1,anna,1\n2,bob\n3,,3\n4,,4\n5,carl,5\n6,,6\n",
            [("1", "anna"), ("5", "carl"), ("6", "carl")],
        ),
        ("id,customer,n\n1,anna,1\n2,bob,x\n3,,3\n", [("1", "anna"), ("3", "bob")]),
        ("id,customer,n\n1,anna,1\n2,,x\n3,,3\n", [("1", "anna"), ("3", "anna")]),
    ],
    ids=["row", "cell of another column", "blank in such a row"],
)
def test_nothing_is_filled_from_what_cannot_be_read(folder, text, sent):
    table = Table(Dialect(types={"n": "integer"}), fill_down=("customer",))
    found = [decode(raw) for raw in read(folder, text, table) if raw.broken is None]
    assert [(row["id"], row["customer"]) for row in found] == sent


def test_nor_is_a_document_grouped_by_it(folder):
    table = Table(group_by=("id",), fill_down=("id", "email"))
    raws = read(folder, "id,email,sku\n1,anna,A\n2,bob,B,!\n,,C\n3,,D\n4,,E\n5,eve,F\n", table)
    assert sound(raws) == ["5"]
    assert any("blank, and the row above it cannot be read" in str(raw.broken) for raw in raws)


@pytest.mark.parametrize("table", [Table(group_by=("id",)), JOIN])
def test_a_column_with_the_name_of_what_the_table_makes_is_refused(folder, table):
    name = "rows" if table.group_by else "items"
    joined = {} if table.group_by else {"items": "order\n1\n"}
    [raw] = read(folder, f"id,{name}\n1,x\n", table, **joined)
    assert f"the column {name!r} has the name of what the table makes" in raw.broken


def test_rows_of_empty_cells_are_rows_where_tabs_part_them(folder):
    raws = read(folder, "id\tsku\n1\tA\n\t\n2\tB\n", Table(Dialect("\t"), fill_down=None))
    assert [decode(raw) for raw in raws] == [
        {"id": "1", "sku": "A"}, {"id": "1", "sku": "A"}, {"id": "2", "sku": "B"},
    ]  # fmt: skip


def test_a_document_without_the_column_to_join_by_is_not_sent_without_its_rows(folder):
    [raw, left_over] = read(folder, "no,n\n1,1\n", JOIN, items="order,sku\n1,A\n")
    assert raw.broken == "no column 'id': the columns are 'no', 'n'"
    assert "no document has '1'" in left_over.broken


def test_a_json_row_without_a_key_costs_its_neighbours_only(folder):
    text = "\n".join(json.dumps(row) for row in [{"id": 1}, {"id": 1}, {"n": 1}, {"id": 2}, {"id": 3}])
    sources = inputs(folder / "rows.jsonl", text, Dialect())
    assert sound(read_documents(sources, {}, Table(group_by=("id",)), folder)) == [3]
