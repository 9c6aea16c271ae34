"""What Beam knows of our transforms: what they show, what types they take and give, and what their outputs are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.display import DisplayData
from apache_beam.typehints import typehints
from apache_beam.typehints.decorators import TypeCheckError
from apache_beam.utils.timestamp import Timestamp
from e2e.harness import KEY, SESSION, Simulator, order, simulator

from beam_talonone import LookupTalonOne, ReadFromPubSubAtLeastOnce, WriteToTalonOne

URL = "https://shop.europe-west1.talon.one"
ENGINE = {"base_url": URL, "rate": 100.0, "concurrency": 64, "give_up_after": 300.0}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)
    monkeypatch.delenv("TALONONE_BASE_URL", raising=False)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


@pytest.mark.parametrize(
    ("transform", "shown"),
    [
        (lambda: WriteToTalonOne("orders", base_url=URL), {"kind": "orders", **ENGINE}),
        (
            lambda: WriteToTalonOne(
                "orders", base_url=URL, edit_closed="reopen", dry=True, assume_timezone="Asia/Tokyo"
            ),
            {"kind": "orders", **ENGINE, "edit_closed": "reopen", "dry": True, "assume_timezone": "Asia/Tokyo"},
        ),
        (
            lambda: WriteToTalonOne("profiles", base_url=URL, rate=5.5, profile_mode="rules"),
            {"kind": "profiles", **ENGINE, "rate": 5.5, "profile_mode": "rules"},
        ),
        (
            lambda: LookupTalonOne("get_loyalty_balances", base_url=URL, concurrency=3),
            {"operation": "get_loyalty_balances", **ENGINE, "concurrency": 3},
        ),
        (
            lambda: ReadFromPubSubAtLeastOnce(
                ["projects/p/subscriptions/a", "projects/p/subscriptions/b"], bundle=2.0
            ),
            {
                "subscriptions": "projects/p/subscriptions/a, projects/p/subscriptions/b",
                "max_messages": 10_000,
                "max_bytes": 256 << 20,
                "max_lease": 3_600.0,
                "bundle": 2.0,
            },
        ),
    ],
    ids=["orders", "dry", "profiles", "lookup", "pubsub"],
)
def test_display_data(transform: Any, shown: dict[str, Any]) -> None:
    items = DisplayData.create_from(transform()).items
    assert {item.key: item.value for item in items if item.key not in ("type", "fn")} == shown


def test_the_outputs_are_those_of_the_step() -> None:
    """A composite without outputs has none in a runner's picture of the graph."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    records = pipeline | beam.Create([{}])
    written = records | WriteToTalonOne("orders", base_url=URL)
    looked = records | LookupTalonOne("get_loyalty_balances", base_url=URL)
    messages = pipeline | ReadFromPubSubAtLeastOnce(["projects/p/subscriptions/a"])
    for output in (*written, *looked):
        assert output.element_type == typehints.Dict[str, typehints.Any]
    assert messages.element_type.__name__ == "Received"
    assert not messages.is_bounded
    steps = pipeline.to_runner_api().components.transforms.values()
    outputs = {step.unique_name: set(step.outputs) for step in steps}
    assert outputs["WriteToTalonOne(orders)"] == {"applied", "dead_letters", "others"}
    assert outputs["LookupTalonOne(get_loyalty_balances)"] == {"found", "dead_letters"}


def _texts(pipeline: beam.Pipeline) -> Any:
    return pipeline | beam.Create(['{"order_id": "o"}'])


def test_what_cannot_be_records_is_refused_while_the_pipeline_is_built() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    texts = _texts(pipeline)
    with pytest.raises(TypeCheckError, match=r"WriteToTalonOne\(orders\) takes records"):
        _ = texts | WriteToTalonOne("orders", base_url=URL)
    with pytest.raises(TypeCheckError, match=r"takes records"):
        _ = texts | LookupTalonOne("get_loyalty_balances", base_url=URL)
    _ = texts | "With a function" >> LookupTalonOne("get_loyalty_balances", json.loads, base_url=URL)


def test_types_are_not_checked_where_beam_is_told_not_to() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(pipeline_type_check=False))
    _ = _texts(pipeline) | WriteToTalonOne("orders", base_url=URL)


def _as_row(record: dict[str, Any]) -> beam.Row:
    items = [beam.Row(**item) for item in record["items"]]
    time = Timestamp.from_rfc3339(record["event_time"])
    store = "north" if record["order_id"] == "o10" else None
    attributes = beam.Row(n=1 if record["order_id"] == "o10" else None)
    return beam.Row(**{**record, "items": items, "event_time": time}, store_id=store, attributes=attributes)


CHECKED = ["--type_check_additional=all"]
"""--runtime_type_check is none of them: Beam's own WriteToText does not pass it. And --performance_runtime_type_check
holds each output of a step against what the consumers of another take."""


@pytest.mark.parametrize("options", [[], CHECKED], ids=["plain", "checked"])
def test_rows_and_dicts_under_beams_own_checks(sim: Simulator, tmp_path: Path, options: list[str]) -> None:
    sim.reset()
    records = [order(f"o{number}", f"c{number % 3}" if number % 4 else None) for number in range(20)]
    bad = order("bad", None, "sold")
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(options)) as pipeline:
        for name, elements in (
            ("dicts", [*records[:10], bad]),
            ("rows", [*map(_as_row, records[10:]), _as_row(bad)]),
        ):
            written = (
                pipeline
                | f"Create {name}" >> beam.Create(elements)
                | f"Write {name}" >> WriteToTalonOne("orders", base_url=sim.url, rate=2000)
            )
            for output, lines in written._asdict().items():
                _ = (
                    (lines,)
                    | f"Flatten {name} {output}" >> beam.Flatten()
                    | f"Group {name} {output}" >> beam.GroupBy(lambda line: line["id"])
                    | f"Text {name} {output}" >> beam.MapTuple(lambda key, lines: json.dumps([key, len(list(lines))]))
                    | f"File {name} {output}" >> beam.io.WriteToText(str(tmp_path / f"{output}-{name}"))
                )
    found = {
        output: sorted(tuple(json.loads(line)) for path in tmp_path.glob(f"{output}-*") for line in path.open())
        for output in ("applied", "dead_letters", "others")
    }
    assert found["applied"] == sorted((record["order_id"], 1) for record in records)
    assert found["dead_letters"] == [("bad", 1), ("bad", 1)]
    assert found["others"] == []
    bodies = {row["session"]: row["body"]["customerSession"] for row in sim.acted(SESSION)}
    assert set(bodies) == {record["order_id"] for record in records}
    assert (bodies["o10"]["storeIntegrationId"], bodies["o10"]["attributes"]) == ("north", {"n": 1})
    # a row is sent as its dict is; of its attributes none is there
    assert bodies["o11"] == bodies["o5"] | {"attributes": {}}
    assert bodies["o12"]["profileId"] == "guest-o12"


def test_rows_are_looked_up_as_they_are(sim: Simulator, tmp_path: Path) -> None:
    sim.reset()
    sim.put_rows(3, profile="c")
    asks = [
        beam.Row(path=beam.Row(loyaltyProgramId=1, integrationId=customer), lookup_id=customer)
        for customer in ("c", "nobody")
    ]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        looked = pipeline | beam.Create(asks) | LookupTalonOne("get_loyalty_balances", base_url=sim.url)
        _ = looked.found | beam.Map(json.dumps) | beam.io.WriteToText(str(tmp_path / "found"))
        _ = (
            looked.dead_letters
            | "Dead" >> beam.Map(json.dumps)
            | "File" >> beam.io.WriteToText(str(tmp_path / "dead"))
        )
    found = [json.loads(line) for path in tmp_path.glob("found*") for line in path.open()]
    assert {line["lookup_id"]: line["status"] for line in found} == {"c": 200, "nobody": 404}
    assert "".join(path.read_text() for path in tmp_path.glob("dead*")) == ""
