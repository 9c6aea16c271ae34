"""The steps of a backfill as one pipeline, called without a runner: in a run of this process, and after it."""

from dataclasses import replace

import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions
from beam_talonone.pipelines.distributed.graph_options import GraphOptions
from beam_talonone.pipelines.distributed.local_shards import LOCAL_SHARDS, LocalShards
from beam_talonone.pipelines.distributed.output_claim import claim, taken
from beam_talonone.pipelines.distributed.pipeline import EXPECTED, SaveShard, SendShard, WriteReport, create_pipeline
from beam_talonone.pipelines.distributed.place import Place
from beam_talonone.pipelines.distributed.shard_copies import SHARD_COPIES, ShardCopies
from beam_talonone.pipelines.distributed.shard_restriction import all_of
from beam_talonone.pipelines.runners.runner import beam_options, has_worker_processes
from beam_talonone.talonone.errors import StopRun
from beam_talonone.transforms.runtime.process_registry import PROCESS


@pytest.fixture
def options(tmp_path, monkeypatch):
    """A job that was started, whose steps run in this process."""
    monkeypatch.setenv("TALONONE_API_KEY", "key")
    place = Place(str(tmp_path / "out"))
    sending = SendingOptions("http://127.0.0.1:9")
    options = GraphOptions(InputOptions({"orders": "*.jsonl"}), sending, str(place.root), here=True)
    with taken(place):
        assert claim(place, options)
    return options


def send_and_report(options, send_bundle):
    """Returns the reports of a shard without records, after they were written together."""
    reports = []
    for element in SaveShard(options).process((0, [])):
        emitted, deferred = send_bundle(SendShard(options), element, all_of(element[1]))
        reports += emitted
        assert deferred is None
    list(WriteReport(options).process(("report", [data for _, data in reports])))
    return reports


def has_report(options):
    return Place(options.output).read("report.json") is not None


def test_a_shard_of_a_run_is_reported(options, send_bundle):
    with PROCESS.scope() as scope:
        scope.enter(SHARD_COPIES, options.output, ShardCopies())
        scope.enter(LOCAL_SHARDS, options.output, LocalShards())
        assert len(send_and_report(options, send_bundle)) == 1
    assert has_report(options)


def test_a_step_that_comes_after_its_run_sends_and_writes_nothing(options, send_bundle):
    assert send_and_report(options, send_bundle) == []
    assert send_bundle(SendShard(options), (0, 5), all_of(5)) == ([], None), "nothing is deferred"
    assert not has_report(options)


def test_a_run_that_was_stopped_is_not_reported(options, send_bundle):
    shards = LocalShards()
    shards.stop(RuntimeError("the disk is full"))
    with PROCESS.scope() as scope:
        scope.enter(LOCAL_SHARDS, options.output, shards)
        assert send_and_report(options, send_bundle) == []
    assert not has_report(options)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), False),
        (("--direct_num_workers=2",), False),
        (("--direct_running_mode=multi_processing", "--direct_num_workers=2"), True),
    ],
)
def test_whether_the_steps_run_in_processes_of_their_own(words, expected):
    assert has_worker_processes(beam_options(words)) is expected


def test_a_runner_that_loses_what_was_deferred_is_noticed(options, send_bundle):
    options = replace(options, here=False)
    [element] = SaveShard(options).process((0, []))
    reports, _ = send_bundle(SendShard(options), element, all_of(0))
    with pytest.raises(StopRun, match="the runner has lost the rest of 1 shard, so no report"):
        list(WriteReport(options).process(("report", [EXPECTED, b"", EXPECTED, *(data for _, data in reports)])))
    assert not has_report(options)
    list(WriteReport(options).process(("report", [EXPECTED, b"", *(data for _, data in reports)])))
    assert has_report(options)


def test_the_graph_says_that_shards_are_deferred_and_all_is_bounded(options):
    """A runner that does not know such steps refuses the graph, and none takes the job for a stream."""
    graph = create_pipeline(options, FnApiRunner(), beam_options(())).to_runner_api()
    assert "beam:requirement:pardo:splittable_dofn:v1" in graph.requirements
    [send] = [step for step in graph.components.transforms.values() if step.unique_name == "Send"]
    payload = beam_runner_api_pb2.ParDoPayload.FromString(send.spec.payload)
    assert payload.restriction_coder_id
    bounded = beam_runner_api_pb2.IsBounded.BOUNDED
    assert {collection.is_bounded for collection in graph.components.pcollections.values()} == {bounded}
