"""WriteToTalonOne with a mapping, on the in-process runner against the simulator: documents in, records of all kinds
out."""

import json
import random
import re
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, is_empty
from apache_beam.transforms.display import DisplayData
from e2e.harness import FINISHED, KEY, SESSION, at, call, cli, event, lines, order, profile, replay, returned, write
from support.presets import shopify

from beam_talonone import ConfigurationError, WriteToTalonOne
from beam_talonone.transforms.mapping.resolve import preset_text
from beam_talonone.transforms.runtime.metrics import NAMESPACE

DOCS = Path(__file__).parents[3] / "docs"
URL = "https://yourcompany.europe-west1.talon.one"
REFUNDED = shopify.order(financial_status="partially_refunded", refunds=[shopify.refund(91, (2, 1))])
GUEST = shopify.order(id=5_600_000_000_002, customer=None, financial_status="pending")
TEST_ORDER = shopify.order(id=5_600_000_000_003, test=True)
MINE = "version: 1\nprofiles: {fields: {customer_id: id, event_time: since, attributes: {city: city}}}\n"
GROUPED = "table: {group_by: id}\n"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.delenv("TALONONE_BASE_URL", raising=False)


IN_TURN = ("update_customer_profiles_v2", SESSION, "return_cart_items", "track_event_v2", "delete_customer_data")


def records_in(document):
    """The mapping of documents that hold records of ours: {"records": [[kind, record], ...]}."""
    return [(kind, record) for kind, record in document["records"]]


class Ends:
    """The lines of the three outputs, and the counters of the namespace."""

    def __init__(self, folder, counters):
        self.applied, self.dead_letters, self.others = (
            lines(folder, f"{name}*") for name in ("applied", "dead_letters", "others")
        )
        self.counters = counters

    @property
    def counted(self):
        """How often a record of a kind ended in which way."""
        return Counter(
            (line["kind"], line.get("outcome") or line["reason"])
            for line in (*self.applied, *self.dead_letters, *self.others)
        )


def run(api, folder, documents, mapping, kind="orders", **settings):
    """Send the documents in a pipeline whose step is called `Write`."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    written = (
        pipeline
        | beam.Create(documents)
        | "Write" >> WriteToTalonOne(kind, base_url=api.url, rate=2000, mapping=mapping, **settings)
    )
    for name, output in written._asdict().items():
        _ = (
            output
            | f"{name} as text" >> beam.Map(json.dumps)
            | f"{name} into files" >> beam.io.WriteToText(str(folder / name))
        )
    result = pipeline.run()
    result.wait_until_finish()
    counters = Counter()
    for counter in result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]:
        counters[counter.key.metric.name] += counter.committed
    return Ends(folder, +counters)


def test_a_document_of_shopify_becomes_an_order_its_return_and_a_profile(api, tmp_path):
    ends = run(api, tmp_path, [REFUNDED, REFUNDED, GUEST, TEST_ORDER], "shopify")
    assert ends.counted == {
        ("orders", "applied"): 2, ("returns", "applied"): 1, ("profiles", "applied"): 1,
        ("orders", "duplicate"): 1, ("returns", "duplicate"): 1, ("profiles", "duplicate"): 1,
    }  # fmt: skip
    session = api.sessions()["5600000000001"]
    assert (session["state"], session["profileId"]) == ("partially_returned", "7100000000002")
    assert [item["price"] for item in session["cartItems"]] == [Decimal("19.9"), Decimal(18)]
    assert [item.get("returnedQuantity", 0) for item in session["cartItems"]] == [0, 1]
    assert api.sessions()["5600000000002"]["profileId"] == "guest-5600000000002"
    assert "5600000000003" not in api.sessions()
    assert api.profiles()["7100000000002"]["attributes"] == {"Name": "Ann", "Email": "ann@example.com"}
    counts = {
        kind: tuple(ends.counters[f"{kind}_{name}"] for name in ("read", "applied", "duplicate", "filtered"))
        for kind in ("orders", "returns", "profiles")
    }
    # as in report.json of the command (tests/e2e/inputs/test_mapping.py)
    assert counts == {"orders": (4, 2, 1, 1), "returns": (2, 1, 1, 0), "profiles": (3, 1, 1, 1)}


def test_an_order_and_its_returns_are_sent_in_order_wherever_they_come_from(api, tmp_path):
    """Versions, returns without a customer and events of 20 orders, each record in a document of its own."""
    records = []
    for number in range(20):
        guest, customer, session = f"g{number}", f"c{number}", f"o{number}"
        items = [{"sku": "shirt", "quantity": 2, "unit_price": 10}]
        records += [
            ("profiles", profile(customer, 0, {"city": "Kiel"})),
            ("orders", order(session, guest, "open", 1, items=items)),
            ("orders", order(session, customer, "open", 2, items=items)),
            ("orders", order(session, customer, "completed", 3, items=items)),
            ("returns", returned(f"r{number}", session, 4)),
            ("events", event(f"e{number}", customer, 5)),
            ("calls", call(f"k{number}", "delete_customer_data", 6, path={"integrationId": customer})),
        ]
    random.Random(20260501).shuffle(records)
    ends = run(api, tmp_path, [{"records": [record]} for record in records], records_in)
    assert ends.dead_letters == []
    assert len(ends.applied) == len(records)
    for number in range(20):
        session, customer = f"o{number}", f"c{number}"
        sent = api.acted(SESSION, "return_cart_items", session=session)
        states = [row["body"]["customerSession"]["state"] for row in sent if row["operation"] == SESSION]
        assert (states, sent[-1]["operation"]) == (["open", "open", "closed"], "return_cart_items")
        operations = [row["operation"] for row in api.acted(*IN_TURN, profile=customer)]
        assert operations == [IN_TURN[0], SESSION, SESSION, *IN_TURN[2:]]


@pytest.mark.slow
def test_dead_letters_are_those_of_the_command(api, tmp_path):
    broken = shopify.order(id=1, financial_status="paid_in_shells")
    invalid = shopify.order(id=2, customer=None, line_items=[shopify.line(1, quantity=20_000)])
    refused = {"records": [["orders", order("o3", "c", attributes={"bad": 1})], ["profiles", profile("c")]]}
    ends = run(api, tmp_path / "a", [broken, invalid], "shopify")
    letters = {letter["id"]: letter for letter in ends.dead_letters}
    unmapped = letters["1"]
    assert (unmapped["kind"], unmapped["stage"], unmapped["reason"]) == ("orders", "map", "unmapped_value")
    assert unmapped["pointer"] == "/financial_status"
    assert (unmapped["record"], unmapped["source"]) == (broken, {"step": "Write"})
    assert (letters["2"]["stage"], letters["2"]["reason"]) == ("validate", "over_limit")
    assert (letters["2"]["record"], letters["2"]["source"]) == (invalid, {"step": "Write", "part": "orders/0/0"})
    assert ends.counters["orders_dead_lettered_unmapped_value"] == 1
    ends = run(api, tmp_path / "b", [refused], records_in)
    [letter] = ends.dead_letters
    assert (letter["kind"], letter["stage"], letter["reason"]) == ("orders", "send", "unknown_attribute")
    assert (letter["record"], letter["source"]) == (refused, {"step": "Write", "part": "orders/0/0"})
    assert [line["kind"] for line in ends.applied] == ["profiles"]


def test_a_document_that_fails_leaves_nothing_half_done_and_the_others_go_on(api, tmp_path):
    def odd(document):
        yield "profiles", document["records"][0][1]
        raise RuntimeError("a defect of mine")

    documents = [{"records": [["profiles", profile(f"c{number}")]]} for number in range(3)]
    ends = run(api, tmp_path / "a", documents, odd, "profiles")
    assert {(letter["kind"], letter["reason"]) for letter in ends.dead_letters} == {("profiles", "mapping_failed")}
    assert all("a defect of mine" in letter["detail"] for letter in ends.dead_letters)
    assert (len(ends.dead_letters), ends.applied, api.rows("requests")) == (3, [], [])
    ends = run(api, tmp_path / "b", [*documents, {"records": 3}, ["no object"], {"records": []}], records_in)
    assert sorted(letter["stage"] for letter in ends.dead_letters) == ["decode", "map"]
    assert len(ends.applied) == 3
    assert ends.counters["orders_filtered"] == 1


def test_rows_are_documents_and_null_fields_are_absent(api, tmp_path):
    rows = [beam.Row(id="c1", since=at(0), city="Kiel"), beam.Row(id="c2", since=at(0), city=None)]
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE)
    ends = run(api, tmp_path / "a", rows, mine, "profiles")
    assert ends.counted == {("profiles", "applied"): 2}
    assert {name: shown["attributes"] for name, shown in api.profiles().items()} == {"c1": {"city": "Kiel"}, "c2": {}}


def test_a_mapping_file_travels_as_its_text(api, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE)
    step = WriteToTalonOne("profiles", base_url=api.url, mapping=str(mine))
    mine.unlink()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | beam.Create([{"id": "c1", "since": at(0), "city": "Kiel"}]) | step
    assert api.profiles()["c1"]["attributes"] == {"city": "Kiel"}


@pytest.mark.parametrize("named", [True, False], ids=["name", "function"])
def test_a_function_is_called_in_the_worker_and_gets_decimals(api, tmp_path, monkeypatch, named):
    (tmp_path / "my_library_maps.py").write_text(
        "def profiles(document):\n"
        "    fields = {'customer_id': document['id'], 'event_time': document['since'],\n"
        "              'attributes': {'type': type(document['sum']).__name__}}\n"
        "    return [('profiles', fields)]\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "my_library_maps", raising=False)
    if named:
        mapping = "my_library_maps:profiles"
    else:
        from my_library_maps import profiles as mapping
    run(api, tmp_path / "a", [{"id": "c1", "since": at(0), "sum": 1.5}], mapping, "profiles")
    assert api.profiles()["c1"]["attributes"] == {"type": "Decimal"}


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            "shopfy",
            "mapping: no preset is called shopfy: did you mean shopify?; there are ",
        ),
        ("missing.yaml", "mapping: missing.yaml: no such mapping file"),
        ("no_such_module:f", "mapping: no_such_module:f: no_such_module cannot be imported"),
        ("json:no_such", "mapping: json:no_such: json has no function no_such"),
        (7, "mapping is a preset, a file, pkg.mod:func or a function, not 7"),
        ("", "mapping is a preset, a file, pkg.mod:func or a function, not ''"),
        (MINE, "mapping is a preset, a file, pkg.mod:func or a function, not 'version: 1"),
        (b"shopify", "mapping is a preset, a file, pkg.mod:func or a function, not b'shopify'"),
    ],
    ids=["preset", "file", "module", "function", "number", "empty", "text", "bytes"],
)
def test_a_mapping_that_does_not_exist_is_refused_at_construction(mapping, message):
    with pytest.raises(ConfigurationError) as raised:
        WriteToTalonOne("orders", base_url=URL, mapping=mapping)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            MINE.replace("customer_id", "customer"),
            ":2: profiles: unknown field `customer`: did you mean customer_id?",
        ),
        (MINE + GROUPED, " makes documents of several rows (group_by, fill_down or join in `table`):"
                         " elements are documents already; use it with backfill, check or verify on one machine"),
    ],
    ids=["misnamed", "grouped"],
)  # fmt: skip
def test_a_bad_file_is_refused_at_construction(tmp_path, text, message):
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        WriteToTalonOne("orders", base_url=URL, mapping=mine)
    assert str(raised.value).removeprefix("mapping: ").removeprefix("mapping ") == f"{mine}{message}"


@pytest.mark.parametrize(
    ("mapping", "shown"),
    [
        ("shopify", "shopify"),
        (records_in, f"{__name__}:records_in"),
        (lambda document: None, f"{__name__}:<lambda>"),
        (Path, "pathlib:Path"),
    ],
    ids=["preset", "function", "lambda", "class"],
)
def test_the_step_shows_its_mapping(mapping, shown):
    step = WriteToTalonOne("orders", base_url=URL, mapping=mapping, profile_mode="rules", events_api="v3")
    items = {item.key: item.value for item in DisplayData.create_from(step).items}
    assert (items["kind"], items["mapping"]) == ("orders", shown)
    assert (items["profile_mode"], items["events_api"]) == ("rules", "v3")


def example(page, title):
    """The Python of a section of a page."""
    text = (DOCS / page).read_text(encoding="utf-8").split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return code


def test_the_example_of_the_library_page(api, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TALONONE_BASE_URL", api.url)
    write(tmp_path / "export" / "orders.jsonl", [REFUNDED, TEST_ORDER])
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        names = {"beam": beam, "json": json, "pipeline": pipeline, "WriteToTalonOne": WriteToTalonOne}
        exec(example("library.md", "Documents of another shape"), names)
        assert_that(names["written"].dead_letters, is_empty())
    assert {name: session["state"] for name, session in api.sessions().items()} == {
        "5600000000001": "partially_returned"
    }
    assert set(api.profiles()) == {"7100000000002"}


def test_the_example_of_the_mappings_page(api, monkeypatch):
    monkeypatch.setenv("TALONONE_BASE_URL", api.url)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        documents = pipeline | beam.Create([{"number": "A-1", "at": at(0)}])
        names = {"documents": documents, "WriteToTalonOne": WriteToTalonOne}
        exec(example("mappings.md", "Python functions"), names)
        exec(example("mappings.md", "In your own pipeline"), names)
        assert_that(names["written"].dead_letters, is_empty())
    assert {name: session["profileId"] for name, session in api.sessions().items()} == {"A-1": "guest-A-1"}


@pytest.mark.slow
def test_dead_letters_are_replayed_with_the_mapping(api, tmp_path):
    """The command reads the dead letters of the library, and sends the part that failed."""
    run(api, tmp_path / "a", [shopify.order(id=1, customer=None, financial_status="paid_in_shells")], "shopify")
    [unmapped] = lines(tmp_path / "a", "dead_letters*")
    late = shopify.order(id=2, line_items=[shopify.line(1, quantity=20_000)])
    ends = run(api, tmp_path / "b", [late], "shopify")
    [invalid] = ends.dead_letters
    assert [line["kind"] for line in ends.applied] == ["profiles"]
    mine = tmp_path / "mine.yaml"
    states = "paid: completed\n      paid_in_shells: completed"
    mine.write_text(preset_text("shopify").replace("paid: completed", states, 1))
    invalid["record"]["line_items"][0]["quantity"] = 2
    before = len(api.rows("ledger"))
    dead_letters = [json.dumps(letter, default=float) for letter in (unmapped, invalid)]
    write(tmp_path / "dead-letters" / "1.jsonl", dead_letters)
    done = cli(*replay(api.url, tmp_path, tmp_path / "again", "--mapping", mine))
    assert done.code == FINISHED, done.err
    assert {name: session["state"] for name, session in api.sessions().items()} == {"1": "closed", "2": "closed"}
    assert [row["operation"] for row in api.rows("ledger")[before:]] == [SESSION, SESSION]
