"""The rate of a job on Dataflow, among its workers."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_talonone.pipelines.streaming.options import StreamOptions
from beam_talonone.pipelines.streaming.pipeline import share, workers


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
