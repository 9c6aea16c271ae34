"""The lines of the charts: one value for each bucket, and limits where they can be seen."""

from collections.abc import Mapping

import pytest

from beam_talonone.pipelines.report.charts import Chart, charts_of, dense, times
from beam_talonone.pipelines.report.recording.series import Bucket, Series
from beam_talonone.pipelines.report.recording.series_file import Recorded


def charts(
    buckets: Mapping[int, Bucket], rate: float = 100.0, width: float = 1.0, **settings: object
) -> dict[str, Chart]:
    """The charts by their ids."""
    return {chart.id: chart for chart in charts_of(Recorded(Series(width, dict(buckets))), {"rate": rate}, settings)}


def test_a_value_is_per_second_of_what_was_observed() -> None:
    bucket = Bucket(2.0, 150, 4, 2, 6, 9.0, 7, 180.0, {"applied": 100, "already_applied": 20, "dead_lettered": 2})
    bucket.latencies.add(20.0)
    shown = charts({0: bucket}, width=2.0)
    lines = {(chart.id, line.label): line.values for chart in shown.values() for line in chart.series}
    assert lines == {
        ("rate", "sent"): [75.0], ("rate", "pace"): [90.0], ("rate", "limit"): [100.0],
        ("latency", "p50"): [19.87], ("latency", "p95"): [19.87], ("latency", "p99"): [19.87],
        ("in-flight", "average"): [4.5], ("in-flight", "highest"): [7.0],
        ("failures", "retries"): [2.0], ("failures", "429"): [1.0], ("failures", "5xx or no answer"): [3.0],
        ("outcomes", "applied"): [60.0], ("outcomes", "dead letters"): [1.0],
    }  # fmt: skip


def test_a_limit_far_above_is_named_and_not_drawn() -> None:
    rate = charts({0: Bucket(1.0, 50)}, rate=100_000.0)["rate"]
    assert rate.name == "Requests per second, far below the limit of 100,000"
    assert [line.label for line in rate.series] == ["sent"]


@pytest.mark.parametrize(("concurrency", "drawn"), [(64, False), (8, True), (None, False)])
def test_the_concurrency_is_drawn_where_it_is_near(concurrency: int | None, drawn: bool) -> None:
    shown = charts({0: Bucket(1.0, 5, most_in_flight=6)}, **{"--concurrency": concurrency})["in-flight"]
    assert ("--concurrency" in [line.label for line in shown.series]) is drawn


def test_time_without_observation_leaves_a_gap() -> None:
    series = Series(2.0, {0: Bucket(2.0, 10), 2: Bucket(0.1, 10), 3: Bucket(2.0, 1)})
    assert [bucket is None for bucket in dense(series)] == [False, True, True, False]
    assert times(Recorded(series)) == [0.0, 2.0, 4.0, 6.0]


def test_time_ends_with_the_last_observation() -> None:
    series = Series(2.0, {0: Bucket(2.0, 10), 1: Bucket(2.0, 10), 2: Bucket(0.1, 1)})
    assert times(Recorded(series)) == [0.0, 2.0]


def test_failures_that_did_not_happen_are_told_in_words() -> None:
    shown = charts({0: Bucket(1.0, 5)})["failures"]
    assert (shown.series, shown.note) == ([], "There were none.")
    assert [line.label for line in charts({0: Bucket(1.0, 5, limited=1)})["failures"].series] == ["429"]


def test_the_only_bucket_is_shown_however_short() -> None:
    assert charts({0: Bucket(0.05, 3)})["rate"].series[0].values == [60.0]


def test_without_observations_there_are_no_charts() -> None:
    assert charts({}) == {}
    assert charts({0: Bucket()}) == {}
    assert charts({0: Bucket(1.0)}) == {}, "a run without a request"
