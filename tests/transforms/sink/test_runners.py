"""Which runners write which unbounded PCollections, and what the refusals say, while the pipeline is built."""

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner, SwitchingDirectRunner
from apache_beam.runners.portability.flink_runner import FlinkRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.runners.portability.spark_runner import SparkRunner
from apache_beam.runners.runner import PipelineRunner
from apache_beam.testing import test_stream
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from e2e.harness import event

from beam_talonone import ConfigurationError, ReadFromPubSubAtLeastOnce
from beam_talonone.transforms.sink.runners import Way, check_workers, way_to_write, workers

GCP = (
    "--project=some-project", "--region=europe-west1", "--temp_location=gs://some-bucket/temp", "--no_auth",
    "--dataflow_endpoint=http://localhost:1",  # Beam then looks for no bucket
)  # fmt: skip
CHECKPOINTED = "--checkpointing_interval=10000"


class OtherRunner(PipelineRunner):
    """A runner that nobody knows."""


class TheirDataflowRunner(DataflowRunner):
    """A class of a user's own."""


def pipeline(runner: Any = None, *words: str) -> beam.Pipeline:
    flags = list(words)
    if runner is not None and issubclass(runner, DataflowRunner):
        flags += GCP
    return beam.Pipeline(runner=None if runner is None else runner(), options=PipelineOptions(flags))


def records(started: beam.Pipeline) -> Any:
    ticks = started | PeriodicImpulse(fire_interval=1)
    return ticks | beam.Map(lambda tick: event(f"e{tick}", "c")).with_output_types(dict[str, Any])


def messages(started: beam.Pipeline) -> Any:
    return started | ReadFromPubSubAtLeastOnce(["projects/p/subscriptions/s"])


@pytest.mark.parametrize(
    ("runner", "words"),
    [(DataflowRunner, ()), (TheirDataflowRunner, ()), (FlinkRunner, (CHECKPOINTED,))],
    ids=["Dataflow", "a subclass", "Flink"],
)
def test_durable_runners_take_records_of_any_source(runner: Any, words: tuple[str, ...]) -> None:
    assert way_to_write(records(pipeline(runner, *words)), "Write") is Way.KEYED_STATE


@pytest.mark.parametrize("runner", [PrismRunner, SwitchingDirectRunner, None], ids=["Prism", "Direct", "default"])
@pytest.mark.parametrize("words", [(), ("--environment_type=LOOPBACK",)], ids=["", "loopback"])
def test_runners_in_this_process_take_messages(runner: Any, words: tuple[str, ...]) -> None:
    kept = messages(pipeline(runner, *words)) | beam.Filter(lambda message: True)
    assert way_to_write(kept, "Write") is Way.THIS_PROCESS


REFUSED = [
    (PrismRunner, records, "an unbounded PCollection on PrismRunner: it keeps elements only in memory"),
    (PrismRunner, records, "ReadFromPubSubAtLeastOnce (Received) as they are, or run the pipeline on DataflowRunner"),
    (SwitchingDirectRunner, records, "an unbounded PCollection on DirectRunner: it keeps elements only in memory"),
    (BundleBasedDirectRunner, records, "on BundleBasedDirectRunner: it keeps elements only in memory"),
    (BundleBasedDirectRunner, messages, "Use PrismRunner"),
    (FnApiRunner, records, "an unbounded PCollection on FnApiRunner: it is for bounded input. Use DataflowRunner or"),
    (FnApiRunner, messages, "the elements of ReadFromPubSubAtLeastOnce on FnApiRunner: it is for bounded input"),
    (PortableRunner, records, "Pass --runner=FlinkRunner with the same --job_endpoint"),
    (PortableRunner, messages, "Pass --runner=PrismRunner with the same --job_endpoint"),
    (SparkRunner, records, "on SparkRunner: it is not known to keep the state of a stream. Use DataflowRunner or"),
    (SparkRunner, messages, "on SparkRunner: it is not known to run in the process"),
    (OtherRunner, records, "on OtherRunner: it is not known to keep the state of a stream"),
    (OtherRunner, messages, "on OtherRunner: it is not known to run in the process"),
    (DataflowRunner, messages, "read the subscription with beam.io.ReadFromPubSub"),
    (FlinkRunner, messages, "such as ReadFromKafka"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("runner", "source", "says"),
    REFUSED,
    ids=[f"{number}-{runner.__name__}-{source.__name__}" for number, (runner, source, _) in enumerate(REFUSED)],
)
def test_other_combinations_are_refused_with_the_way_to_do_it(runner: Any, source: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        way_to_write(source(pipeline(runner)), "Write")
    assert says in str(raised.value)
    assert str(raised.value).startswith("Write cannot write ")


def test_notebooks_write_no_streams() -> None:
    pytest.importorskip("pandas", reason="Beam's InteractiveRunner needs it")
    from apache_beam.runners.interactive.interactive_runner import InteractiveRunner

    with pytest.raises(ConfigurationError, match="on InteractiveRunner: it is not known to keep"):
        way_to_write(records(pipeline(InteractiveRunner)), "Write")


def test_flink_needs_checkpoints() -> None:
    for words in ((), ("--checkpointing_interval=-1",)):
        with pytest.raises(ConfigurationError, match="pass --checkpointing_interval=MILLISECONDS"):
            way_to_write(records(pipeline(FlinkRunner, *words)), "Write")


def test_a_stream_of_this_process_needs_its_worker_in_it() -> None:
    with pytest.raises(ConfigurationError, match="pass --environment_type=LOOPBACK, not DOCKER"):
        way_to_write(messages(pipeline(PrismRunner, "--environment_type=DOCKER")), "Write")


@pytest.mark.parametrize("runner", [BundleBasedDirectRunner, SwitchingDirectRunner, PrismRunner, FnApiRunner])
def test_a_test_stream_runs_anywhere(runner: Any) -> None:
    source = pipeline(runner) | test_stream.TestStream() | beam.Map(lambda value: value)
    two = (source, source | "More" >> beam.Map(lambda value: value)) | beam.Flatten()
    assert way_to_write(two, "Write") is Way.KEYED_STATE


def test_the_number_of_workers_is_that_of_beams_options() -> None:
    assert workers(PipelineOptions([])) == 1
    assert workers(PipelineOptions(["--num_workers=3"])) == 3
    assert workers(PipelineOptions(["--num_workers=3", "--max_num_workers=4"])) == 4


ONE_PROCESS = "--experiments=no_use_multiple_sdk_containers"


@pytest.mark.parametrize(
    "words",
    [
        ("--max_num_workers=4", ONE_PROCESS),
        ("--num_workers=4", "--autoscaling_algorithm=NONE", ONE_PROCESS, "--experiments=another"),
    ],
    ids=["a limit", "a fixed number"],
)
def test_a_limited_number_of_processes_shares_the_rate(words: tuple[str, ...]) -> None:
    assert check_workers(PipelineOptions(list(words)), "Write") is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "pass --max_num_workers=1 and --experiments=no_use_multiple_sdk_containers, or let a rate_service"),
        (("--max_num_workers=4",), "pass --experiments=no_use_multiple_sdk_containers, or"),
        (("--num_workers=4", ONE_PROCESS), "pass --max_num_workers=1, or let a rate_service distribute the rate"),
    ],
    ids=["neither", "processes", "workers"],
)
def test_an_unlimited_number_of_processes_is_refused(words: tuple[str, ...], says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_workers(PipelineOptions(list(words)), "Write")
    assert says in str(raised.value)
