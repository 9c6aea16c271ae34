"""WriteToTalonOne on an unbounded PCollection of dicts or rows: its run, and the graphs of Dataflow and Flink."""

import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import ReadFromPubSub
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.runner import PipelineRunner
from apache_beam.testing import test_stream
from apache_beam.transforms.window import FixedWindows, TimestampedValue
from e2e.harness import KEY, SESSION, Simulator, event, order, profile, returned
from support.keyed_harness import OUTPUTS, START, note_lines, read_notes

from beam_talonone import ConfigurationError, WriteToTalonOne
from beam_talonone.talonone.engine.settings import EngineSettings
from beam_talonone.transforms.runtime.engines import EngineConfig, close_engine
from beam_talonone.transforms.sink.write_keyed import worker_config

URL = "https://yourcompany.europe-west1.talon.one"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)


def run(api: Simulator, folder: Path, timed: list[tuple[Any, float]], kind: str, **settings: Any) -> Any:
    """Run elements (element, seconds after START) as a stream, in windows of a minute. Returns lines by output."""
    folder.mkdir(exist_ok=True)
    stream = test_stream.TestStream().advance_watermark_to(START - 10)
    for element, at in timed:
        stream.advance_watermark_to(START + at - 1).add_elements([TimestampedValue(element, START + at)])
    pipeline = beam.Pipeline(runner="DirectRunner", options=PipelineOptions(["--streaming"]))
    windowed = pipeline | stream.advance_watermark_to_infinity() | beam.WindowInto(FixedWindows(60))
    step = WriteToTalonOne(kind, base_url=api.url, rate=5000, **settings)
    written = windowed | "My step" >> step
    note_lines(written, folder)
    pipeline.run().wait_until_finish()
    close_engine(worker_config(step._config, pipeline))
    return read_notes(folder)


def ends(lines: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Output -> (id and outcome or reason) of its lines."""
    return {
        name: sorted(f"{line['id']} {line.get('outcome') or line['reason']}" for line in lines[name])
        for name in OUTPUTS
    }


@pytest.mark.slow
def test_a_stream_of_orders_is_sent_in_order_and_each_record_is_in_one_output(api: Simulator, tmp_path: Path) -> None:
    later = order("o1", "c1", "completed", 2)
    lines = run(
        api,
        tmp_path,
        [
            (later, 0),  # before the version that is older
            (order("o1", "c1", "open", 1), 1),
            (order("o2", "c1", "open", 2, attributes={"is": "new"}), 2),
            (later, 100),
            (order("o2", "c1", "open", 1, attributes={"is": "old"}), 200),
            ({"order_id": "o3", "status": "open"}, 201),
            (order("o4", "c2", "completed", 1, attributes={"bad": 1}), 202),
        ],
        "orders",
    )  # fmt: skip
    assert ends(lines) == {
        "applied": ["o1 applied", "o1 applied", "o2 applied"],
        "dead_letters": ["o3 missing_field", "o4 unknown_attribute"],
        "others": ["o1 duplicate", "o2 superseded"],
    }
    sent = [(row["session"], row["body"]["customerSession"]["state"]) for row in api.acted(SESSION)]
    assert sent == [("o1", "open"), ("o1", "closed"), ("o2", "open")]
    dead = {line["id"]: line for line in lines["dead_letters"]}
    assert dead["o3"]["record"] == {"order_id": "o3", "status": "open"}
    assert {json.dumps(line["source"]) for line in dead.values()} == {'{"step": "My step"}'}
    assert set(dead["o4"]) - set(dead["o3"]) == {"first_sent_at", "key"}, "both have the fields of a dead letter"
    assert set(lines["others"][0]) == {"kind", "id", "outcome", "reason"}


@pytest.mark.slow
def test_documents_become_records_of_several_kinds(api: Simulator, tmp_path: Path) -> None:
    lines = run(
        api,
        tmp_path,
        [
            ({"order": order("m1", "c1", "open", 1)}, 0),
            ({"order": order("m1", "c1", "completed", 2), "return": returned("r1", "m1", 3)}, 1),
            ({"order": "no order"}, 2),
        ],
        "orders",
        mapping=mapped,
    )  # fmt: skip
    assert ends(lines)["applied"] == ["m1 applied", "m1 applied", "r1 applied"]
    [dead] = lines["dead_letters"]
    assert (dead["kind"], dead["stage"], dead["record"]) == ("orders", "map", {"order": "no order"})


def mapped(document: Any) -> Any:
    yield "orders", {**document["order"]}
    if "return" in document:
        yield "returns", document["return"]


@pytest.mark.slow
def test_rows_and_profiles(api: Simulator, tmp_path: Path) -> None:
    row = beam.Row(**{name: value for name, value in event("e1", "c1").items() if name != "attributes"})
    assert ends(run(api, tmp_path / "events", [(row, 0)], "events"))["applied"] == ["e1 applied"]
    changes = [(profile("c1", 5, {"a": 5}), 0), (profile("c1", 4, {"a": 4}), 100)]
    lines = ends(run(api, tmp_path / "profiles", changes, "profiles"))
    assert (lines["applied"], lines["others"]) == (["c1 applied"], ["c1 superseded"])


class Bare(PipelineRunner):
    """Not Dataflow."""


@pytest.mark.parametrize(
    ("words", "service", "expected"),
    [
        ((), None, (80.0, 60, None)),
        (("--max_num_workers=4",), None, (20.0, 15, None)),
        (("--max_num_workers=7",), None, (80 / 7, 9, None)),
        (("--max_num_workers=4",), "localhost:8081", (80.0, 15, 4)),
    ],
    ids=["one", "four", "seven", "service"],
)
def test_the_workers_of_dataflow_share_the_rate(words: Any, service: str | None, expected: Any) -> None:
    config = EngineConfig(EngineSettings(URL, 80.0, 60), rate_service=service)
    shared = worker_config(config, _dataflow(*words))
    assert (shared.settings.rate, shared.settings.concurrency, shared.among) == expected
    assert shared.settings.give_up_after is None, "a stream waits for the API"


def test_elsewhere_each_worker_has_the_whole_rate() -> None:
    pipeline = beam.Pipeline(runner=Bare(), options=PipelineOptions(["--max_num_workers=4"]))
    assert worker_config(EngineConfig(EngineSettings(URL, 80.0, 60)), pipeline).settings.rate == 80.0


def test_a_stream_has_no_dry_run() -> None:
    with pytest.raises(ConfigurationError, match="dry is for a bounded PCollection"):
        _ = _orders(_dataflow()) | WriteToTalonOne("orders", base_url=URL, dry=True)


@pytest.mark.parametrize(
    ("setting", "value"), [("settle", -1), ("settle", "5"), ("wait_for_order", True), ("remember", 1e9)]
)
def test_wrong_seconds_are_refused(setting: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{setting} is a number of seconds from 0 to"):
        WriteToTalonOne("orders", base_url=URL, **{setting: value})


def test_the_display_data_show_the_waits_that_were_set() -> None:
    shown = WriteToTalonOne("orders", base_url=URL, settle=1, remember=8 * 86_400).display_data()
    assert {name: shown.get(name) for name in ("settle", "wait_for_order", "remember")} == {
        "settle": 1.0, "wait_for_order": None, "remember": None,
    }  # fmt: skip


def test_the_workers_of_dataflow_must_be_limited_unless_a_service_distributes_the_rate() -> None:
    with pytest.raises(ConfigurationError, match="pass --max_num_workers=1 and --experiments="):
        _ = _orders(_dataflow()) | WriteToTalonOne("orders", base_url=URL)
    _ = _orders(_dataflow()) | WriteToTalonOne("orders", base_url=URL, rate_service="localhost:8081")


LIMITED = ("--max_num_workers=1", "--experiments=no_use_multiple_sdk_containers")
STEP = "WriteToTalonOne(orders)"
STATEFUL = {
    f"{STEP}/Send in order/By order": {"lane", "waiting", "ts-later"},
    f"{STEP}/Send in order/By customer/ParDo(SendLane)": {"note", "arrived", "lane", "ts-wake"},
}


def _dataflow(*words: str) -> beam.Pipeline:
    flags = [
        "--project=some-project", "--region=europe-west1", "--no_auth", "--job_name=shop", "--dry_run=True",
        "--temp_location=gs://some-bucket/temp", "--staging_location=gs://some-bucket/staging", *words,
    ]  # fmt: skip
    return beam.Pipeline(runner=DataflowRunner(), options=PipelineOptions(flags))


def _orders(pipeline: beam.Pipeline) -> Any:
    messages = pipeline | ReadFromPubSub(subscription="projects/some-project/subscriptions/orders")
    return messages | beam.Map(json.loads).with_output_types(dict[str, Any])


def _stateful(proto: Any) -> dict[str, set[str]]:
    from apache_beam.portability.api import beam_runner_api_pb2 as beam_api

    found = {}
    for step in proto.components.transforms.values():
        if step.spec.urn == "beam:transform:pardo:v1":
            payload = beam_api.ParDoPayload.FromString(step.spec.payload)
            names = {*payload.state_specs, *payload.timer_family_specs}
            if names:
                found[step.unique_name] = names
            domains = {timer.time_domain for timer in payload.timer_family_specs.values()}
            assert domains <= {beam_api.TimeDomain.EVENT_TIME}
    return found


def test_the_graph_on_dataflow() -> None:
    pipeline = _dataflow(*LIMITED)
    written = _orders(pipeline) | WriteToTalonOne("orders", base_url=URL)
    assert {str(output.element_type) for output in written} == {"Dict[<class 'str'>, Any]"}
    pipeline.run()
    proto = pipeline.runner.proto_pipeline
    assert _stateful(proto) == STATEFUL
    urns = {step.spec.urn for step in proto.components.transforms.values()}
    assert "beam:transform:pubsub_read:v1" in urns
    for name in STATEFUL:
        [step] = [step for step in proto.components.transforms.values() if step.unique_name == name]
        [collection] = step.inputs.values()
        coder = proto.components.coders[proto.components.pcollections[collection].coder_id]
        parts = [proto.components.coders[part].spec.urn for part in coder.component_coder_ids]
        assert set(parts) <= {"beam:coder:string_utf8:v1", "beam:coder:bytes:v1"}, "each key has one encoding"


def test_the_graph_on_flink_is_the_same() -> None:
    options = PipelineOptions(["--checkpointing_interval=10000", "--streaming"])
    pipeline = beam.Pipeline(runner=FlinkRunner(), options=options)
    _ = _orders(pipeline) | WriteToTalonOne("orders", base_url=URL)
    assert _stateful(pipeline.to_runner_api()) == STATEFUL
