"""Which graph a stream has, and what each worker of a job on Dataflow may do."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_talonone.pipelines.streaming import dataflow
from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.pipeline import (
    check_local_runner,
    create_pipeline,
    on_dataflow,
    share,
    workers,
)
from beam_talonone.talonone.errors import ConfigurationError

SUBSCRIPTION = "projects/some-project/subscriptions/orders"


def steps(pipeline):
    """The names of the steps at the top of a graph."""
    return [step.full_label for step in pipeline._root_transform().parts]


@pytest.mark.parametrize(
    ("words", "among"),
    [
        ([], 1),
        (["--num_workers=3"], 3),
        (["--max_num_workers=4"], 4),
        (["--num_workers=2", "--max_num_workers=8"], 8),
    ],
)
def test_all_workers_together_have_the_rate(words, among):
    assert workers(PipelineOptions(words)) == among
    options = StreamOptions({}, "https://api.example", "job", rate=100.0, concurrency=65)
    each = share(options, among)
    assert each.rate * among == options.rate
    assert each.concurrency * among >= options.concurrency > (each.concurrency - 1) * among


def test_where_a_service_shares_it_out_each_may_have_the_whole_rate():
    options = StreamOptions(
        {}, "https://api.example", "job", rate=100.0, concurrency=64, rate_service="ratelimit:8081"
    )
    each = share(options, 4)
    assert each.rate == 100.0
    assert each.concurrency == 16
    config = each.engine_config()
    assert (config.rate_service, config.among, config.settings.rate) == ("ratelimit:8081", 4, 100.0)
    assert options.engine_config().among is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], False),
        (["--runner=PrismRunner"], False),
        (["--runner=DataflowRunner"], True),
        (["--runner=apache_beam.runners.DataflowRunner"], True),
    ],
)
def test_which_graph(words, expected):
    assert on_dataflow(PipelineOptions(words)) is expected


@pytest.mark.parametrize(
    "words",
    [[], *([f"--runner={name}"] for name in ("PrismRunner", "directrunner", "apache_beam.runners.DirectRunner"))],
)
def test_runners_of_this_machine(words):
    """The check raises nothing."""
    assert check_local_runner(PipelineOptions(words)) is None


def test_another_runner_is_refused():
    with pytest.raises(ConfigurationError) as raised:
        check_local_runner(PipelineOptions(["--runner=org.apache.FlinkRunner"]))
    assert str(raised.value) == ("--runner=FlinkRunner: a stream runs on PrismRunner (the default) or DataflowRunner")


@pytest.mark.parametrize(
    ("subscriptions", "expected"),
    [
        ({"orders": (SUBSCRIPTION,)}, ["Read", "Prepare", "Apply", "Outcomes"]),
        ({"files": (SUBSCRIPTION,)}, ["Read", "Files", "Prepare", "Apply", "Outcomes"]),
    ],
    ids=["messages", "files"],
)
def test_the_local_graph_has_no_shuffle(subscriptions, expected):
    """An engine that keeps everything in memory would lose what is in one."""
    options = StreamOptions(subscriptions, "https://api.example", "job")
    pipeline = create_pipeline(options, beam.runners.direct.DirectRunner(), PipelineOptions([]))
    assert steps(pipeline) == expected
    proto = pipeline.to_runner_api()
    urns = {step.spec.urn for step in proto.components.transforms.values()}
    assert "beam:transform:group_by_key:v1" not in urns
    assert "beam:transform:reshuffle:v1" not in urns


def test_the_graph_of_dataflow_has_the_share_of_a_worker(monkeypatch):
    built = []
    monkeypatch.setattr(dataflow, "dataflow_graph", lambda pipeline, options: built.append(options))
    options = StreamOptions({"orders": (SUBSCRIPTION,)}, "https://api.example", "job", rate=100.0)
    create_pipeline(
        options, beam.runners.direct.DirectRunner(), PipelineOptions(["--runner=DataflowRunner", "--num_workers=4"])
    )
    (received,) = built
    assert (received.rate, received.concurrency) == (25.0, 16)
