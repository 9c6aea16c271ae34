"""The examples that send streams: their graphs, built without Kafka, Java or a cloud, and what their steps do."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.io.kafka import ReadFromKafka, WriteToKafka
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as beam_api
from apache_beam.transforms.periodicsequence import PeriodicImpulse

from beam_talonone import ConfigurationError

EXAMPLES = Path(__file__).parents[2] / "examples"
GCP = [
    "--runner=DataflowRunner", "--project=some-project", "--region=europe-west1", "--no_auth", "--job_name=shop",
    "--max_num_workers=1", "--experiments=no_use_multiple_sdk_containers",
    "--dry_run=True", "--temp_location=gs://some-bucket/temp", "--staging_location=gs://some-bucket/staging",
]  # fmt: skip
KAFKA = ["--brokers=kafka:9092", "--topic=orders", "--dead_letter_topic=letters"]
STATEFUL = {
    "WriteToTalonOne(orders)/Send in order/By order",
    "WriteToTalonOne(orders)/Send in order/By customer/ParDo(SendLane)",
}


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_BASE_URL", "https://yourcompany.europe-west1.talon.one")
    monkeypatch.delenv("TALONONE_API_KEY", raising=False)


def load(name: str) -> Any:
    """The example as a module. Its options end with the test: see `forgotten`."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    LOADED.append(module)
    return module


LOADED: list[Any] = []


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Beam adds the options of all classes that live, and a class lives until the garbage collector runs: options of
    two examples would conflict, in whatever test comes next."""
    yield
    while LOADED:
        for value in vars(LOADED.pop()).values():
            if isinstance(value, type) and issubclass(value, PipelineOptions) and value is not PipelineOptions:
                value._add_argparse_args = classmethod(lambda cls, parser: None)


def stateful(proto: Any) -> set[str]:
    found = set()
    for step in proto.components.transforms.values():
        if (
            step.spec.urn == "beam:transform:pardo:v1"
            and beam_api.ParDoPayload.FromString(step.spec.payload).state_specs
        ):
            found.add(step.unique_name)
    return found


class Read(beam.PTransform):  # type: ignore[misc]
    """Stands for ReadFromKafka, which Java expands; checks its arguments with Beam's own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        ReadFromKafka(**settings)

    def expand(self, begin: Any) -> Any:
        ticks = begin.pipeline | PeriodicImpulse()
        return ticks | beam.Map(lambda tick: (b"c-1", b"{}")).with_output_types(tuple[bytes, bytes])


class Write(beam.PTransform):  # type: ignore[misc]
    """Stands for WriteToKafka."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        WriteToKafka(**settings)

    def expand(self, messages: Any) -> Any:
        assert not messages.is_bounded
        assert str(messages.element_type) == "Tuple[<class 'bytes'>, <class 'bytes'>]", "as WriteToKafka takes them"
        return messages | beam.Map(lambda message: message)


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example without Java."""
    module = load("kafka")
    monkeypatch.setattr(module, "ReadFromKafka", Read)
    monkeypatch.setattr(module, "WriteToKafka", Write)
    return module


@pytest.mark.parametrize(
    "words",
    [["--runner=FlinkRunner", "--checkpointing_interval=10000"], GCP],
    ids=["Flink", "Dataflow"],
)
def test_the_graph_of_the_kafka_example(kafka: Any, words: list[str]) -> None:
    pipeline = kafka.create_pipeline(PipelineOptions([*words, *KAFKA, "--streaming"]))
    assert stateful(pipeline.to_runner_api()) == STATEFUL


def test_the_kafka_example_is_refused_where_records_would_be_lost(kafka: Any) -> None:
    with pytest.raises(ConfigurationError, match="on DirectRunner: it keeps elements only in memory"):
        kafka.create_pipeline(PipelineOptions(KAFKA))
    with pytest.raises(ConfigurationError, match="needs checkpoints on FlinkRunner"):
        kafka.create_pipeline(PipelineOptions(["--runner=FlinkRunner", *KAFKA]))


def test_the_kafka_example_decodes_json_and_keeps_other_text(kafka: Any) -> None:
    assert kafka.decode((b"c", b'{"order_id": "1"}')) == {"order_id": "1"}
    assert kafka.decode((b"c", b"\xffno json")) == "\ufffdno json"
    assert kafka.as_message({"id": "o-1", "reason": "bad_row"}) == (b"o-1", b'{"id": "o-1", "reason": "bad_row"}')


def test_the_graph_of_the_dataflow_example() -> None:
    words = [
        "--subscription=projects/some-project/subscriptions/orders", "--secret=projects/p-1/secrets/talonone",
        "--dead_letters=projects/some-project/topics/letters",
    ]  # fmt: skip
    pipeline = load("dataflow").create_pipeline(PipelineOptions([*GCP, *words, "--streaming"]))
    pipeline.run()
    proto = pipeline.runner.proto_pipeline
    urns = {step.spec.urn for step in proto.components.transforms.values()}
    assert {"beam:transform:pubsub_read:v1", "beam:transform:pubsub_write:v1"} <= urns
    assert stateful(proto) == STATEFUL
    assert load("dataflow").decode(b"[1]") == [1]


def test_the_graph_of_the_local_example(tmp_path: Path) -> None:
    words = ["--subscription=projects/p/subscriptions/s", f"--state={tmp_path / 'state'}", "--runner=PrismRunner"]
    pipeline = load("local_stream").create_pipeline(PipelineOptions([*words, "--streaming"]))
    proto = pipeline.to_runner_api()
    names = {step.unique_name for step in proto.components.transforms.values()}
    assert "WriteToTalonOne(orders)/Apply/ParDo(ApplyMessages)" in names
    assert stateful(proto) == set(), "Prism keeps no state"
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == "[]", "nothing is opened while it is built"
