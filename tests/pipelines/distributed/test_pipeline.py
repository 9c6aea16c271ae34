"""The steps of a backfill as one pipeline, called without a runner: in a run of this process, and after it."""

import pytest

from beam_talonone.pipelines.backfill.options import InputOptions, SendingOptions
from beam_talonone.pipelines.distributed.journal_backup import Place
from beam_talonone.pipelines.distributed.local_shards import LOCAL_SHARDS, LocalShards
from beam_talonone.pipelines.distributed.output_claim import claim, taken
from beam_talonone.pipelines.distributed.pipeline import SendShard, WriteReport
from beam_talonone.pipelines.distributed.shard import GraphOptions
from beam_talonone.pipelines.runners.runner import beam_options, has_worker_processes
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


def send_and_report(options):
    """Returns the reports of a shard without records, after they were written together."""
    reports = list(SendShard(options).process((0, [])))
    list(WriteReport(options).process(("report", [data for _, data in reports])))
    return reports


def has_report(options):
    return Place(options.output).read("report.json") is not None


def test_a_shard_of_a_run_is_reported(options):
    with PROCESS.scope() as scope:
        scope.enter(LOCAL_SHARDS, options.output, LocalShards())
        assert len(send_and_report(options)) == 1
    assert has_report(options)


def test_a_step_that_comes_after_its_run_sends_and_writes_nothing(options):
    assert send_and_report(options) == []
    assert not has_report(options)


def test_a_run_that_was_stopped_is_not_reported(options):
    shards = LocalShards()
    shards.stop(RuntimeError("the disk is full"))
    with PROCESS.scope() as scope:
        scope.enter(LOCAL_SHARDS, options.output, shards)
        assert send_and_report(options) == []
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
