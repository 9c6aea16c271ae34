"""What a mapping leaves aside: found by the names in its file and in the documents."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.presets import shopify

from beam_talonone.pipelines.cli.main import run
from beam_talonone.pipelines.mappings.coverage import COVERAGE, Coverage, ObservedMapping, coverage_of
from beam_talonone.transforms.mapping.files.mentions import Mentions
from beam_talonone.transforms.mapping.mapping import FileMapping, FunctionMapping
from beam_talonone.transforms.mapping.resolve import resolve_mapping
from beam_talonone.transforms.mapping.result import NO_RULE, Filtered, MappingResult
from beam_talonone.transforms.runtime.process_registry import PROCESS
from beam_talonone.transforms.tables.table import Table

HEAD = 'version: 1\nlet: {lines: "rows[?n > `0`]"}\nprofiles:\n  when: {active: active}\n  fields:\n'
FIELDS = "    customer_id: user.id\n    event_time: default(changed, created)\n"


def findings(mapping, *documents):
    coverage = coverage_of(mapping)
    for document in documents:
        coverage.add(document, mapping(document))
    return list(coverage.lines_of(mapping))


def mapping(fields="", table=""):
    return FileMapping("m.yaml", table + HEAD + FIELDS + fields)


DOCUMENT = {
    "user": {"id": "7"},
    "active": True,
    "created": "2026-05-01T12:00:00Z",
    "changed": None,
    "rows": [{"n": 1}],
}
NEVER = "m.yaml: profiles never have version, attributes, audiences, erase"


def test_nothing_is_said_of_what_is_read():
    assert findings(mapping(), DOCUMENT) == [NEVER]


def test_fields_that_no_rule_reads_are_named_once_with_their_path():
    documents = [DOCUMENT | {"note": "x", "rows": [{"n": 1, "tax": 2}, {"n": 2, "tax": 3}]}] * 2
    assert findings(mapping(), *documents)[0] == "m.yaml: no rule reads 2 source fields: rows[].tax, note"


def test_a_field_that_is_always_null_is_not_missed():
    assert findings(mapping(), DOCUMENT | {"note": None}) == [NEVER]


def test_a_misspelt_name_is_found_with_its_line():
    [unread, _, absent] = findings(
        mapping("    attributes: {city: user.citty}\n"), DOCUMENT | {"user": {"id": "7", "city": "Bern"}}
    )
    assert unread == "m.yaml: no rule reads 1 source field: user.city"
    assert absent == "m.yaml: no document has citty (line 8, did you mean city?)"


def test_a_whole_answer_of_an_api_is_noticed():
    answer = {"orders": [{"id": 7}], "page": 1, "links": ["next"]}
    assert findings(resolve_mapping("shopify"), answer, answer)[1] == (
        "shopify: 2 documents without a rule have a list orders: if its elements are the documents, extract them:"
        " jq -c '.orders[]'"
    )


def test_what_is_taken_whole_is_read_with_all_that_it_contains():
    document = DOCUMENT | {"extra": {"a": 1, "b": {"c": 2}}}
    assert findings(mapping("    attributes: extra\n"), document) == [
        "m.yaml: profiles never have version, audiences, erase"
    ]


def test_what_is_only_iterated_or_tested_is_not():
    assert (
        findings(mapping(), DOCUMENT | {"active": {"since": 1}})[0]
        == "m.yaml: no rule reads 1 source field: active.since"
    )


def test_names_that_an_expression_makes_itself_are_no_source_fields():
    made = "{a: group_rows(rows, &n)[0].first.n, b: merge({x: user.id}).x, c: default(null, user.id)}"
    fields = f'    attributes: "{made}"\n'
    assert findings(mapping(fields), DOCUMENT) == ["m.yaml: profiles never have version, audiences, erase"]


def test_a_variable_that_is_taken_whole_is_read_with_all_that_it_contains():
    text = (
        "version: 1\nlet: {more: extra}\nprofiles:\n  fields: {customer_id: id, event_time: at, attributes: $more}\n"
    )
    document = {"id": "7", "at": "2026-05-01T12:00:00Z", "extra": {"a": 1}}
    assert findings(FileMapping("m.yaml", text), document) == [
        "m.yaml: profiles never have version, audiences, erase"
    ]


def test_a_misspelt_column_of_the_table_is_found():
    [_, absent] = findings(mapping(table="table: {fill_down: custmer}\n"), DOCUMENT)
    assert absent == "m.yaml: no document has custmer (table)"


def test_columns_of_grouped_rows_are_named_once():
    table = "table: {group_by: id}\n"
    rows = [{"id": "1", "sku": "A", "n": 1}]
    document = DOCUMENT | rows[0] | {"rows": rows}
    assert findings(mapping(table=table), document)[0] == "m.yaml: no rule reads 1 source field: sku"


def test_documents_without_joined_rows_are_counted():
    coverage = Coverage(joins=["items", "notes"])
    for items in [[], [{"sku": "A"}], [], []]:
        coverage.add(DOCUMENT | {"items": items, "notes": [{"text": "x"}]}, MappingResult())
    lines = list(coverage.lines(None, Table()))
    assert lines == ["3 of 4 documents without rows of --join items"]


def test_ids_as_names_take_a_bounded_amount_of_memory(monkeypatch):
    monkeypatch.setattr("beam_talonone.pipelines.mappings.coverage.MOST_PATHS", 5)
    read = mapping("    attributes: {late: user.late, never: user.never}\n")
    coverage = coverage_of(read)
    for number in range(100):
        document = {f"id-{number}": {"n": 1}, "user": {"id": "7"}}
        coverage.add(document, MappingResult())
    coverage.add(DOCUMENT | {"user": {"late": 1}}, MappingResult())
    assert len(coverage._names) <= 5 + len(read.mentions().names)
    assert "m.yaml: no document has never (line 8)" in list(coverage.lines_of(read))


def test_long_lists_are_cut_and_counted():
    document = DOCUMENT | {f"f{number:02}": 1 for number in range(25)}
    assert findings(mapping(), document)[0].endswith("f18, f19 and 5 more")


def test_a_function_is_known_by_its_records_only():
    record = {"customer_id": "7", "event_time": "2026-05-01T12:00:00Z", "version": 1}
    function = FunctionMapping("m:f", lambda document: [("profiles", record)])
    assert findings(function, DOCUMENT) == ["m:f: profiles never have attributes, audiences, erase"]


def test_the_mapping_of_a_run_adds_to_the_coverage_of_its_scope():
    observed, coverage = ObservedMapping(mapping(), "run"), Coverage()
    with PROCESS.scope() as scope:
        scope.enter(COVERAGE, "run", coverage)
        assert observed(DOCUMENT).records
    before = list(coverage.lines_of(mapping()))
    assert observed(DOCUMENT | {"late": 1}).records
    assert list(coverage.lines_of(mapping())) == before == [NEVER]


def test_check_reports_it(tmp_path, capsys):
    path = tmp_path / "orders.jsonl"
    path.write_text(json.dumps(shopify.order() | {"loyalty_level": "gold"}))
    assert run(["check", "--orders", str(path), "--mapping", "shopify"]) == 0
    lines = capsys.readouterr().err.splitlines()
    [unread] = [line for line in lines if line.startswith("shopify: no rule reads")]
    assert "loyalty_level" in unread
    assert "line_items[].id" not in unread


@pytest.mark.parametrize("name", ["shopify", "woocommerce", "segment"])
def test_presets_mention_the_fields_that_they_read(name):
    names = resolve_mapping(name).mentions().names
    assert {"shopify": "line_item_id", "woocommerce": "billing", "segment": "messageId"}[name] in names
    assert "states" not in names, "a variable is no source field"


def test_a_name_with_values_of_several_types_is_looked_into():
    documents = [DOCUMENT | {"note": note} for note in (None, "x", {"a": 1}, [{"b": [2]}], 3, [4], [["y"]])]
    assert findings(mapping(), *documents)[0] == (
        "m.yaml: no rule reads 5 source fields: note, note.a, note[], note[].b[], note[][]"
    )


def test_names_in_json_that_a_text_holds():
    fields = "    attributes: {tier: parse_json(user.data).tier, city: parse_json(user.data).citty}\n"
    texts = ("plain", '{"tier": "gold", "since": null}', '{"tier": "gold", "city": "Bern"}', "{", "[5]")
    documents = [DOCUMENT | {"user": {"id": "7", "data": text}} for text in texts]
    unread, _, absent = findings(mapping(fields), *documents)
    assert unread == "m.yaml: no rule reads 1 source field: user.data.city"
    assert absent == "m.yaml: no document has citty (line 8, did you mean city?)"


@pytest.mark.parametrize("first", [0, True, None, "plain", {"x": 1}])
def test_json_in_a_text_is_found_whatever_came_before(first):
    coverage = Coverage(parses_json=True)
    for value in (first, '{"a": {"b": 1}}'):
        coverage.add({"data": value}, MappingResult())
    unread = next(coverage.lines(FINDS, Table()))
    assert "data.a.b" in unread


NAMES = st.sampled_from(["a", "b", "c", "lines"])
VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["x", '{"a": {"b": 1}}']),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=8)
FINDS = Mentions({"c": 1, "d": 2}, frozenset(), frozenset(), parses_json=True)


def _collected(documents, most, cuts):
    """The coverage of documents, those between two `cuts` collected by a process of its own."""
    merged = Coverage(parses_json=True, mentioned={"c"}, joins=["lines"])
    filtered = MappingResult(filtered=(Filtered("orders", NO_RULE, ""),))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("beam_talonone.pipelines.mappings.coverage.MOST_PATHS", most)
        for start, end in pairwise([0, *cuts, len(documents)]):
            process = Coverage(parses_json=True, mentioned={"c"}, joins=["lines"])
            for document in documents[start:end]:
                process.add(document, filtered)
            merged.merge(process.findings())
    return merged


@given(DOCUMENTS, st.sampled_from([0, 3, 5000]), st.data())
def test_processes_find_together_what_one_finds(documents, most, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(documents)), max_size=3)))
    together = _collected(documents, most, cuts)
    alone = _collected(documents, most, [])
    if _collected(documents, 5000, [])._paths <= most:  # beyond, each process remembers its own first paths
        assert list(together.lines(FINDS, Table())) == list(alone.lines(FINDS, Table()))
    assert "c" in together._names or "c" not in alone._names


def test_a_forked_process_begins_with_nothing():
    coverage = Coverage(joins=["lines"])
    coverage.add({"lines": [], "a": 1}, MappingResult())
    coverage.forget()
    assert coverage.findings() == Coverage(joins=["lines"]).findings()
