"""WriteToTalonOne and LookupTalonOne in Beam YAML: the examples as a user runs them, and what mistakes lead to."""

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from e2e.harness import KEY, SESSION, Simulator, simulator, write
from support.presets import shopify

from beam_talonone import ConfigurationError
from beam_talonone.transforms.yaml import LookupTalonOne, WriteToTalonOne

pytest.importorskip("jinja2", reason="Beam YAML needs more: pip install -c constraints.txt '.[yaml]'")
from apache_beam.yaml.yaml_provider import parse_providers
from apache_beam.yaml.yaml_transform import SafeLineLoader, expand_pipeline
from yaml import load

pytestmark = pytest.mark.slow
"""Each test runs a pipeline, or loads Beam YAML with its providers, which takes seconds."""

EXAMPLES = Path(__file__).parents[2] / "examples"
PROVIDERS = (EXAMPLES / "yaml" / "talonone.yaml").read_text()


@pytest.fixture(autouse=True)
def surroundings(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.reset()
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.setenv("TALONONE_BASE_URL", sim.url)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


def python(*words: object) -> None:
    """Run Python with these words as a user would, and see that it ends well."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr


def run_example(name: str, **variables: Any) -> None:
    python(
        "-m", "apache_beam.yaml.main", f"--yaml_pipeline_file={EXAMPLES / 'yaml' / name}", "--runner=FnApiRunner",
        f"--jinja_variables={json.dumps(variables, default=str)}",
    )  # fmt: skip


def texts(folder: Path, name: str) -> list[str]:
    return sorted(line for path in folder.glob(f"{name}-*") for line in path.read_text().splitlines())


def test_the_example_that_writes_orders(sim: Simulator, tmp_path: Path) -> None:
    run_example("orders.yaml", orders=EXAMPLES / "shop.jsonl", output=tmp_path)
    assert texts(tmp_path, "applied") == ["2001 applied", "2002 applied", "2003 applied", "2005 applied"]
    [dead_letter] = [json.loads(line) for line in texts(tmp_path, "dead-letters")]
    assert (dead_letter["id"], dead_letter["reason"], dead_letter["pointer"]) == (
        "2004",
        "invalid_field",
        "/items/0/quantity",
    )
    assert dead_letter["record"]["items"] == [{"sku": "shoes", "quantity": 0, "unit_price": 89}]
    [unreadable] = texts(tmp_path, "unreadable")
    assert unreadable.startswith('{"number": "2006"')
    sessions = {row["session"]: row["body"]["customerSession"] for row in sim.acted(SESSION)}
    assert {name: (body["profileId"], body["state"]) for name, body in sessions.items()} == {
        "2001": ("c-17", "closed"),
        "2002": ("c-18", "closed"),
        "2003": ("guest-2003", "closed"),
        "2005": ("c-19", "open"),
    }
    assert [str(item["price"]) for item in sessions["2001"]["cartItems"]] == ["19.99", "4.5"]
    assert sessions["2001"]["couponCodes"] == ["SPRING"]


def test_the_example_that_looks_balances_up(sim: Simulator, tmp_path: Path) -> None:
    sim.put_rows(5, profile="c-17")
    sim.put_rows(2, profile="c-18")
    run_example("balances.yaml", members=EXAMPLES / "members.txt", program=1, output=tmp_path)
    found = {row["customer"]: row for row in map(json.loads, texts(tmp_path, "balances"))}
    assert {customer: row["status"] for customer, row in found.items()} == {"c-17": 200, "c-18": 200, "nobody": 404}
    points = {customer: row["balances"].get("balance", {}).get("activePoints") for customer, row in found.items()}
    assert points == {"c-17": 5, "c-18": 3.75, "nobody": None}
    assert texts(tmp_path, "dead-letters") == []


def test_the_pipeline_of_ten_lines(sim: Simulator, tmp_path: Path) -> None:
    script = EXAMPLES / "orders.py"
    code = [
        line for line in script.read_text().splitlines() if line and not line.startswith(('"""', "import", "from"))
    ]
    assert len(code) <= 10
    python(script, EXAMPLES / "orders.jsonl", tmp_path / "letters")
    assert {row["session"] for row in sim.acted(SESSION)} == {"1001", "1002"}
    [dead_letter] = map(json.loads, texts(tmp_path, "letters"))
    assert (dead_letter["id"], dead_letter["record"]["customer_id"], dead_letter["stage"]) == (
        "1003",
        None,
        "validate",
    )


def test_the_pipeline_of_the_docs(sim: Simulator) -> None:
    text = (EXAMPLES.parent / "docs" / "library.md").read_text()
    example, _ = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        expand_pipeline(pipeline, example)
    assert [row["session"] for row in sim.acted(SESSION)] == ["3001"]
    assert PROVIDERS.split("\n", 1)[1] in textwrap.dedent(example.split("providers:\n")[1].split("\npipeline:")[0])


DOCUMENTS = """
    - {type: ReadFromText, name: Read, config: {path: %s}}
    - type: PyTransform
      name: Documents
      input: Read
      config:
        constructor: __callable__
        kwargs:
          source: |
            import json
            import apache_beam as beam
            def documents(lines):
                return lines | beam.Map(lambda row: json.loads(row.line))
"""


def test_the_mapping_of_the_docs(sim: Simulator, tmp_path: Path) -> None:
    text = (EXAMPLES.parent / "docs" / "library.md").read_text()
    _, example = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    refunded = shopify.order(financial_status="partially_refunded", refunds=[shopify.refund(91, (2, 1))])
    files = write(tmp_path / "orders.jsonl", [refunded, shopify.order(id=2, test=True)])
    run(DOCUMENTS % files + textwrap.indent(example, "    "))
    session = sim.sessions()["5600000000001"]
    assert (session["state"], session["profileId"]) == ("partially_returned", "7100000000002")
    assert sim.profiles()["7100000000002"]["attributes"] == {"Name": "Ann", "Email": "ann@example.com"}
    assert len(sim.sessions()) == 1


def test_rows_are_documents_of_a_mapping_file(sim: Simulator, tmp_path: Path) -> None:
    """Nested rows, records of two kinds, and a document that cannot be mapped as a row of the errors."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("""
version: 1
orders:
  fields:
    order_id: number
    customer_id: client.id
    status: "translate(state, {paid: 'completed'})"
    event_time: at
    items: {each: lines, fields: {sku: article, quantity: count, unit_price: decimal(price)}}
profiles:
  fields: {customer_id: client.id, event_time: at, attributes: {city: client.city}}
""")
    document = '{number: "%s", client: {id: c, city: Kiel}, state: %s, at: "2026-05-01T12:00:00Z", lines: [%s]}'
    line = '{article: a, count: 2, price: "1.10"}'
    run(f"""
    - type: Create
      config:
        elements:
          - {document % (7, "paid", line)}
          - {document % (8, "lost", line)}
    - type: WriteToTalonOne
      input: Create
      config: {{kind: orders, mapping: {mine}, error_handling: {{output: errors}}}}
    - type: MapToFields
      name: Done
      input: WriteToTalonOne
      config: {{fields: {{kind: kind, id: id, outcome: outcome}}}}
    - type: AssertEqual
      input: Done
      config:
        elements: [{{kind: orders, id: "7", outcome: applied}}, {{kind: profiles, id: c, outcome: applied}}]
    - type: MapToFields
      name: Errors
      input: WriteToTalonOne.errors
      config:
        language: python
        fields:
          kind: kind
          stage: stage
          reason: reason
          number:
            callable: |
              import json
              def number(row):
                  return json.loads(row.element)["number"]
    - type: AssertEqual
      name: No others
      input: Errors
      config: {{elements: [{{kind: orders, stage: map, reason: unmapped_value, number: "8"}}]}}
""")
    [row] = sim.acted(SESSION)
    assert [(item["sku"], str(item["price"])) for item in row["body"]["customerSession"]["cartItems"]] == [
        ("a", "1.1")
    ]


def run(transforms: str) -> None:
    """A pipeline with our providers written into it, instead of included."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        expand_pipeline(pipeline, f"pipeline:\n  transforms:\n{transforms}\nproviders:\n{PROVIDERS}")


ORDERS = """
    - type: Create
      name: Orders
      config:
        elements:
          - {order_id: a, customer_id: c, status: open, event_time: "2026-05-01T12:00:00Z", attributes: {x: [y]}}
          - {order_id: b, status: cancelled, event_time: "2026-05-01T12:00:00Z"}
"""


def test_outputs_go_on_in_beam_yaml(sim: Simulator) -> None:
    """Rows of all outcomes, without error_handling: fields by name, types known, values as they should be."""
    run(f"""{ORDERS}
    - type: WriteToTalonOne
      input: Orders
      config: {{kind: orders, rate: 1000}}
    - type: MapToFields
      input: WriteToTalonOne
      config:
        append: true
        drop: [operation]
        fields:
          next: attempts
    - type: AssertEqual
      input: MapToFields
      config:
        elements:
          - {{kind: orders, id: a, outcome: applied, status: 200, attempts: 1, next: 1}}
          - {{kind: orders, id: b, outcome: skipped, reason: nothing_to_cancel}}
""")
    [row] = sim.acted(SESSION)
    assert row["body"]["customerSession"]["attributes"] == {"x": ["y"]}


def test_effects_and_errors_are_json(sim: Simulator) -> None:
    run("""
    - type: Create
      config:
        elements:
          - {event_id: "1", type: visit, customer_id: c, event_time: "2026-05-01T12:00:00Z"}
          - {event_id: "2", type: visit, customer_id: "", event_time: "2026-05-01T12:00:00Z"}
    - type: WriteToTalonOne
      input: Create
      config:
        kind: events
        error_handling: {output: bad}
    - type: StripErrorMetadata
      input: WriteToTalonOne.bad
    - type: MapToFields
      input: WriteToTalonOne.bad
      config: {fields: {id: id, kind: kind, reason: reason, stage: stage}}
    - type: AssertEqual
      input: MapToFields
      config: {elements: [{id: "2", kind: events, reason: invalid_field, stage: validate}]}
    - type: MapToFields
      name: Replayed
      input: WriteToTalonOne.bad
      config:
        language: python
        fields:
          same:
            callable: |
              import json
              def same(row):
                  record, letter = json.loads(row.element), json.loads(row.letter)
                  told = row.msg.startswith("events 2: invalid_field: ")
                  return told and record == letter["record"] and record["event_id"] == "2"
    - type: AssertEqual
      name: All
      input: Replayed
      config: {elements: [{same: true}]}
""")


def test_without_error_handling_the_first_error_fails_the_pipeline() -> None:
    with pytest.raises(Exception, match="events 2: missing_field") as raised:
        run("""
    - type: Create
      config: {elements: [{event_id: "2", type: visit}]}
    - type: WriteToTalonOne
      input: Create
      config: {kind: events}
""")
    assert KEY not in str(raised.value)


def test_lookups_keep_the_fields_of_their_rows(sim: Simulator) -> None:
    sim.put_rows(3, profile="c")
    run("""
    - type: Create
      config:
        elements:
          - {loyaltyProgramId: 1, integrationId: c, integration_id: other, cart: {items: [{sku: a}]}}
          - {loyaltyProgramId: 1, integrationId: "", integration_id: other, cart: {items: [{sku: b}]}}
    - type: LookupTalonOne
      input: Create
      config:
        operation: get_loyalty_program_profile_transactions
        error_handling: {output: errors}
    - type: MapToFields
      input: LookupTalonOne
      config:
        language: python
        fields:
          sku: cart.items[0].sku
          pages: lookup_pages
          rows:
            callable: |
              import json
              def rows(row):
                  return len(json.loads(row.lookup_response)["data"])
    - type: AssertEqual
      input: MapToFields
      config: {elements: [{sku: a, pages: 1, rows: 3}]}
    - type: MapToFields
      name: Errors
      input: LookupTalonOne.errors
      config: {fields: {reason: reason}}
    - type: AssertEqual
      name: No others
      input: Errors
      config: {elements: [{reason: invalid_field}]}
""")


ROWS = "- {type: Create, config: {elements: [{%s}]}}"


@pytest.mark.parametrize(
    ("fields", "transform", "says"),
    [
        ("a: 1", "WriteToTalonOne, config: {kind: order}", "kind is one of orders, returns"),
        ("a: 1", "WriteToTalonOne, config: {kind: orders, dry: 'false'}", "dry is True or False, not 'false'"),
        (
            "a: 1",
            "WriteToTalonOne, config: {kind: orders, rat: 5}",
            "has no setting 'rat'; the settings are base_url",
        ),
        ("a: 1", "WriteToTalonOne, config: {}", "missing 1 required argument: 'kind'"),
        (
            "a: 1",
            "WriteToTalonOne, config: {kind: orders, rate: 0}",
            "rate is a number above 0",
        ),
        (
            "a: 1",
            "WriteToTalonOne, config: {kind: orders, mapping: shopfy}",
            r"mapping: no preset is called shopfy: did you mean shopify\?",
        ),
        ("a: 1", "LookupTalonOne, config: {operation: get_coupon}", "is no operation"),
        (
            "a: 1",
            "LookupTalonOne, config: {operation: get_loyalty_balances}",
            "loyaltyProgramId, integrationId in each",
        ),
        (
            "loyaltyProgramId: 1, integration_id: c",
            "LookupTalonOne, config: {operation: get_loyalty_balances}",
            "did you mean integrationId",
        ),
        (
            "loyaltyProgramId: 1, integrationId: c, lookup_status: 1",
            "LookupTalonOne, config: {operation: get_loyalty_balances}",
            "lookup_status, which the rows have already",
        ),
    ],
)
def test_mistakes_are_said_while_the_pipeline_is_built(fields: str, transform: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        run(f"    {ROWS % fields}\n    - {{input: Create, type: {transform}}}")


@pytest.mark.parametrize(
    "error_handling", [{}, {"output": "good"}, {"output": ""}, {"output": 3}, {"output": "e", "threshold": 1}, "e"]
)
def test_error_handling_names_an_output(error_handling: Any) -> None:
    for transform, what in ((WriteToTalonOne, "orders"), (LookupTalonOne, "get_loyalty_balances")):
        with pytest.raises(ConfigurationError, match=r"error_handling is \{output: NAME\}"):
            transform(what, error_handling=error_handling)


def test_what_beam_yaml_tells_of_them() -> None:
    """In this process, without an environment of their own, and with the words for `generate_yaml_docs`."""
    providers = parse_providers("", load(PROVIDERS, SafeLineLoader))
    [provider] = providers
    assert provider.available() is True
    assert type(provider).__name__ == "InlineProvider"
    assert set(provider.provided_transforms()) == {"WriteToTalonOne", "LookupTalonOne"}
    for name, first in (("WriteToTalonOne", "kind"), ("LookupTalonOne", "operation")):
        fields = {field.name: field.description for field in provider.config_schema(name).fields}
        assert list(fields) == [first, "error_handling", "settings"]
        assert all(fields.values())
        assert provider.description(name)
        assert provider.requires_inputs(name, {})


def unbounded_rows(*words: str) -> Any:
    pipeline = beam.Pipeline(runner=FlinkRunner(), options=PipelineOptions(["--checkpointing_interval=1000", *words]))
    return pipeline | PeriodicImpulse() | beam.Map(lambda tick: beam.Row(event_id=str(tick)))


def test_unbounded_rows_are_written_where_the_runner_keeps_state() -> None:
    outputs = unbounded_rows() | WriteToTalonOne("events", {"output": "errors"}, settle=1)
    assert sorted(outputs) == ["errors", "good"]
    assert not any(output.is_bounded for output in outputs.values())


def test_unbounded_rows_need_error_handling() -> None:
    with pytest.raises(ConfigurationError, match="needs error_handling for unbounded rows"):
        _ = unbounded_rows() | WriteToTalonOne("events")


def test_unbounded_rows_are_refused_where_they_could_be_lost() -> None:
    ticks = beam.Pipeline(runner=FnApiRunner()) | PeriodicImpulse()
    with pytest.raises(ConfigurationError, match="cannot write an unbounded PCollection on FnApiRunner"):
        _ = ticks | beam.Map(lambda tick: beam.Row(event_id=str(tick))) | WriteToTalonOne("events", {"output": "no"})
