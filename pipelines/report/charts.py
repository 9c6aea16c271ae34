"""The charts of a page: lines over the time of sending, from the series of a job."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beam_talonone.pipelines.report.recording.series import Bucket, Series
from beam_talonone.pipelines.report.recording.series_file import Recorded
from beam_talonone.talonone.telemetry.stats import Latencies

Values = list[float | None]
"""One value for each bucket; None where nothing was observed."""

LEAST_OBSERVED = 0.2
"""The share of a bucket that must be observed, as the rate within a moment says little."""

OFF_THE_CHART = 4.0
"""A limit that exceeds the highest value by this factor would press the lines to the ground, so it is left out."""

OUTCOMES = (
    ("applied", ("applied", "already_applied")), ("agree", ("agree",)), ("differ", ("differ",)),
    ("superseded", ("superseded",)), ("duplicate", ("duplicate",)), ("skipped", ("skipped",)),
    ("dead letters", ("dead_lettered",)),
)  # fmt: skip
"""The lines of the chart of outcomes, with the outcomes that each one adds up."""

PACE = "pace: what the job allowed itself. It slows down after a 429, and speeds up again as long as none follows."
LATENCY = "Half of the answers came within p50, 95 % within p95, 99 % within p99. Refusals such as 429 count too."

RED = 5
"""The place of red among the colours of the page's script."""


@dataclass(frozen=True)
class Line:
    """A line of a chart. `dash` is for limits, `fill` for the area below; `colour` is a place in the palette."""

    label: str
    values: Values
    dash: bool = False
    fill: bool = False
    colour: int | None = None


@dataclass(frozen=True)
class Chart:
    """A chart with its heading and the id of its element."""

    id: str
    name: str
    series: list[Line] = field(default_factory=list)
    note: str = ""
    """What its lines mean, where their names do not say so."""


def charts_of(recorded: Recorded, report: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Chart]:
    """The charts of a job; none where nothing was observed."""
    buckets = dense(recorded.series)
    if not any(bucket.requests or bucket.outcomes for bucket in buckets if bucket is not None):
        return []
    charts = [_rate(buckets, float(report["rate"])), _latency(buckets)]
    charts += [_in_flight(buckets, settings.get("--concurrency")), _failures(buckets), _outcomes(buckets)]
    return [chart for chart in charts if chart.series or chart.note]


def times(recorded: Recorded) -> list[float]:
    """The begin of each bucket, in seconds of sending since the begin of the job."""
    return [number * recorded.series.width for number in range(len(dense(recorded.series)))]


def dense(series: Series) -> list[Bucket | None]:
    """All buckets until the last that was observed, None for those in which too little was."""
    if not series.buckets:
        return []
    buckets = [_observed(series.buckets.get(number), series) for number in range(max(series.buckets) + 1)]
    while buckets and buckets[-1] is None:
        buckets.pop()
    return buckets


def all_latencies(recorded: Recorded) -> Latencies:
    """The latencies of the whole job."""
    total = Bucket()
    for bucket in recorded.series.buckets.values():
        total.add(bucket)
    return total.latencies


def _observed(bucket: Bucket | None, series: Series) -> Bucket | None:
    if bucket is None or not bucket.seconds:
        return None
    enough = bucket.seconds >= LEAST_OBSERVED * series.width or len(series.buckets) == 1
    return bucket if enough else None


def _rate(buckets: Sequence[Bucket | None], limit: float) -> Chart:
    sent = _each(buckets, lambda bucket: bucket.requests / bucket.seconds)
    name, note = "Requests per second", ""
    lines = [Line("sent", sent, fill=True)]
    if limit and limit <= OFF_THE_CHART * _highest(sent):
        lines.append(Line("limit", [limit] * len(buckets), dash=True, colour=1))
        lines.append(Line("pace", _each(buckets, lambda bucket: bucket.granted / bucket.seconds), colour=3))
        note = PACE
    elif limit:
        name = f"{name}, far below the limit of {limit:,g}"
    return Chart("rate", name, lines, note)


def _latency(buckets: Sequence[Bucket | None]) -> Chart:
    lines = []
    for percent, colour in ((50, 3), (95, 0), (99, 1)):
        values = _each(buckets, lambda bucket, share=percent / 100: bucket.latencies.percentile(share))  # type: ignore[misc]
        lines.append(Line(f"p{percent}", values, colour=colour))
    return Chart("latency", "Latency in milliseconds", lines, LATENCY)


def _in_flight(buckets: Sequence[Bucket | None], concurrency: Any) -> Chart:
    highest = _each(buckets, lambda bucket: float(bucket.most_in_flight))
    lines = [
        Line("average", _each(buckets, lambda bucket: bucket.in_flight / bucket.seconds), fill=True),
        Line("highest", highest, colour=2),
    ]
    if isinstance(concurrency, int) and concurrency <= OFF_THE_CHART * _highest(highest):
        lines.append(Line("--concurrency", [float(concurrency)] * len(buckets), dash=True, colour=1))
    return Chart("in-flight", "Requests in flight", lines)


def _failures(buckets: Sequence[Bucket | None]) -> Chart:
    lines = [
        Line("retries", _each(buckets, lambda bucket: bucket.retries / bucket.seconds)),
        Line("429", _each(buckets, lambda bucket: bucket.limited / bucket.seconds), colour=1),
        Line("5xx or no answer", _each(buckets, lambda bucket: bucket.failed / bucket.seconds), colour=RED),
    ]
    lines = [line for line in lines if any(line.values)]
    return Chart("failures", "Retries and failed tries per second", lines, "" if lines else "There were none.")


def _outcomes(buckets: Sequence[Bucket | None]) -> Chart:
    seen = {end for bucket in buckets if bucket is not None for end in bucket.outcomes}
    lines: list[Line] = []
    for label, ends in OUTCOMES:
        if seen & set(ends):
            values = _each(buckets, lambda bucket, ends=ends: _ended(bucket, ends))  # type: ignore[misc]
            colour = {"applied": 3, "dead letters": RED}.get(label, len(lines) % RED)
            lines.append(Line(label, values, colour=colour))
    return Chart("outcomes", "Outcomes per second", lines)


def _ended(bucket: Bucket, ends: tuple[str, ...]) -> float:
    return sum(bucket.outcomes.get(end, 0) for end in ends) / bucket.seconds


def _each(buckets: Sequence[Bucket | None], value: Callable[[Bucket], float | None]) -> Values:
    return [None if bucket is None else _rounded(value(bucket)) for bucket in buckets]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _highest(values: Values) -> float:
    return max((value for value in values if value is not None), default=0.0)
