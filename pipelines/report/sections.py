"""What the sections of a page hold: counts, times and notes as they are read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from beam_talonone.pipelines.report.charts import all_latencies
from beam_talonone.pipelines.report.model import PageData
from beam_talonone.pipelines.report.recording.series_file import Run
from beam_talonone.pipelines.terminal.summary import explanations
from beam_talonone.pipelines.terminal.words import counted

SENT = ("read", "applied", "dead_lettered", "superseded", "duplicate", "skipped", "filtered")
VERIFIED = ("read", "agree", "differ", "dead_lettered", "superseded", "duplicate", "filtered")

ALWAYS = ("read", "applied", "agree", "differ", "dead_lettered")
"""The columns that are shown without a count, too."""

NAMES = {"dead_lettered": "dead letters"}


@dataclass(frozen=True)
class Tile:
    """A figure at the head of the page. `mark` is a class of the style: good or bad."""

    name: str
    value: str
    more: str = ""
    mark: str = ""


def values(data: PageData) -> dict[str, Any]:
    """The variables of the template that follow from the data."""
    report, state = data.report, data.state
    columns = columns_of(report)
    dead = total_of(report, "dead_lettered")
    width = data.recorded.series.width
    return {
        "state_text": state_text(data, dead),
        "state_class": {"finished": "warn" if dead else "good", "running": "soft"}.get(state.progress, "bad"),
        "why": why(data),
        "unfinished": state.progress != "finished",
        "span": span(data),
        "tiles": list(tiles(data)),
        "width_text": f"Each point is {duration(width) if width > 1 else '1 s'} of sending.",
        "columns": [NAMES.get(name, name) for name in columns],
        "dead_column": columns.index("dead_lettered"),
        "share_of": columns[1],
        "kinds": [_kind(kind, counts, columns) for kind, counts in report["kinds"].items()],
        "notes": list(notes(report)),
        "operations": [_operation(name, entry) for name, entry in report["operations"].items()],
        "dead": sum(group.count for group in data.reasons),
        "examples": sum(len(group.examples) for group in data.reasons),
        "longest_text": longest_text(data),
        "settings": [(name, setting(value)) for name, value in data.settings.items() if value not in (None, False)],
        "runs": [_run(run) for run in data.recorded.runs],
    }


def columns_of(report: Mapping[str, Any]) -> tuple[str, ...]:
    """The outcomes that the table shows: those that every run has, and the others that occur."""
    kinds = report["kinds"].values()
    columns = VERIFIED if any("agree" in counts for counts in kinds) else SENT
    return tuple(name for name in columns if name in ALWAYS or any(counts.get(name) for counts in kinds))


def state_text(data: PageData, dead: int) -> str:
    """Where the job stands, in a few words."""
    state = data.state
    if state.progress == "finished":
        finished = "dry run finished" if data.settings.get("--dry") else "finished"
        return f"{finished}, with dead letters" if dead else finished
    if state.reading:
        return "running: reading the input" if state.progress == "running" else "stopped before anything was sent"
    word = {"running": "running: ", "limited": "stopped by --limit at ", "stopped": "stopped at "}[state.progress]
    return f"{word}{state.percent} %"


def why(data: PageData) -> str:
    """The reason for an early end; empty for all other jobs."""
    if data.state.progress != "stopped":
        return ""
    return data.state.why or "It was killed, or its machine stopped."


def span(data: PageData) -> str:
    """When the job ran."""
    started = clock(datetime.fromisoformat(data.report["started"]).timestamp())
    ended = data.report["ended"]
    if ended:
        return f"{started} to {clock(datetime.fromisoformat(ended).timestamp())}"
    return f"begun {started}, as of {clock(data.as_of)}"


def tiles(data: PageData) -> Iterator[Tile]:
    """The figures at the head of the page."""
    report = data.report
    if not report["kinds"]:
        return
    yield Tile("records read", count(total_of(report, "read")))
    for name, mark in (("applied", ""), ("agree", ""), ("differ", "bad")):
        if any(name in counts for counts in report["kinds"].values()):
            number = total_of(report, name)
            dry = "dry run: nothing changed" if name == "applied" and data.settings.get("--dry") else ""
            yield Tile(name, count(number), dry, mark if number else "")
    dead = total_of(report, "dead_lettered")
    yield Tile("dead letters", count(dead), mark="bad" if dead else "")
    if data.state.progress != "finished":
        yield Tile("left to do", count(data.state.total - data.state.done))
    requests = sum(entry["requests"] for entry in report["operations"].values())
    retries = sum(entry["retries"] for entry in report["operations"].values())
    yield Tile("requests", count(requests), counted(retries, "retry", "retries"))
    yield Tile("requests a second", f"{report['requests_per_second']:,g}", f"of {report['rate']:,g} allowed")
    middle, high = (all_latencies(data.recorded).percentile(share) for share in (0.5, 0.95))
    if middle is not None:
        yield Tile("latency p50", f"{milliseconds(middle)} ms", f"p95 {milliseconds(high)} ms")
    seconds = sum(run.seconds for run in data.recorded.runs)
    if seconds:
        runs = len(data.recorded.runs)
        yield Tile("time of sending", duration(seconds), f"in {runs} runs" if runs > 1 else "")


def notes(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What stands below the outcomes: their meanings, why records were skipped or filtered, and unknown names."""
    for line in explanations(report):
        name, _, text = line.strip().partition(": ")
        yield {"name": name, "text": text}
    for warning in report.get("warnings", ()):
        name, _, text = warning.partition(": ")
        yield {"name": name, "text": text}
    for kind, names in report["unknown_names"].items():
        yield {"name": kind, "text": f"unknown fields were ignored: {_listed(names)}"}
    for operation, names in report.get("unknown_api_fields", {}).items():
        yield {"name": operation, "text": f"sent although not known: {_listed(names)}"}
    for kind, fields in report.get("differences", {}).items():
        yield {"name": kind, "text": f"differ in: {_listed(fields)}"}
    if report["unaccounted"]:
        yield {"name": "unaccounted", "text": count(report["unaccounted"])}


def longest_text(data: PageData) -> str:
    """How long the longest customer takes at least, and how long the job did; empty where that is not known, or is
    less than a second."""
    middle = all_latencies(data.recorded).percentile(0.5)
    if not data.chains or middle is None or (seconds := data.chains[0].records * middle / 1000) < 1:
        return ""
    longest, sending = data.chains[0].records, sum(run.seconds for run in data.recorded.runs)
    taken = f", of {duration(sending)} of sending" if data.state.progress == "finished" else ""
    return f"{longest:,} records at {milliseconds(middle)} ms each take {duration(seconds)}{taken}"


def total_of(report: Mapping[str, Any], name: str) -> int:
    """A count of all kinds together."""
    return sum(counts.get(name, 0) for counts in report["kinds"].values())


def _kind(kind: str, counts: Mapping[str, int], columns: tuple[str, ...]) -> dict[str, Any]:
    cells = [counts.get(name, 0) for name in columns]
    return {"kind": kind, "cells": cells, "share": round(cells[1] * 100 / cells[0], 1) if cells[0] else 0}


def _operation(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "requests": entry["requests"], "retries": entry["retries"],
        "latency": list(entry["latency_ms"].values()), "statuses": list(entry["statuses"].items()),
    }  # fmt: skip


def _run(run: Run) -> dict[str, str]:
    ended = {"": "complete", None: "no end was recorded: it runs, or was killed"}.get(run.ended, run.ended)
    return {"began": clock(run.began), "seconds": duration(run.seconds), "ended": str(ended)}


def setting(value: Any) -> str:
    """The value of a setting, in one line."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "yes" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


def count(value: int | None) -> str:
    """A whole number with separators."""
    return "–" if value is None else f"{value:,}"


def milliseconds(value: float | None) -> str:
    """Milliseconds with at most three digits that count."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """A duration in its two largest units.

    >>> [duration(seconds) for seconds in (0.4, 59.6, 90, 3725, 200000)]
    ['0.4 s', '1 min', '1 min 30 s', '1 h 2 min', '2 d 7 h']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, size)
        if number or parts:
            parts.append((number, unit))
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number)


def clock(at: float) -> str:
    """A time (seconds since 1970) in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def status_class(status: str) -> str:
    """The class of a status in the style of the page."""
    if status == "none" or status.startswith("5"):
        return "bad"
    return "warn" if status.startswith("4") else "good"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())
