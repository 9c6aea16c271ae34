"""The data of a job as one HTML file: scripts and styles are within, nothing is loaded, all text is escaped."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import beam_talonone
from beam_talonone.pipelines.report import sections
from beam_talonone.pipelines.report.charts import Chart, charts_of, times
from beam_talonone.pipelines.report.examples import EXAMPLES
from beam_talonone.pipelines.report.model import PageData
from beam_talonone.pipelines.terminal.words import counted
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.telemetry.logs import printable

BEFORE_THE_LIBRARY = "window.devicePixelRatio = Math.max(3, window.devicePixelRatio);\n"
"""The charts are pictures. A screen may have few pixels where paper has many."""


def page(data: PageData) -> str:
    """The page as HTML. Control characters of all texts, and those that change their direction, are shown escaped."""
    charts = charts_of(data.recorded, data.report, data.settings)
    style = "\n".join(map(_asset, ("uPlot.min.css", "page.css")))
    script = BEFORE_THE_LIBRARY + "\n".join(map(_asset, ("uPlot.iife.min.js", "page.js")))
    return _environment().from_string(_asset("page.html.j2")).render(
        data=data, charts=charts, style=Markup(style), script=Markup(script), policy=policy(script, style),  # nosec B704
        series=Markup(embedded(_series(data, charts))), version=beam_talonone.__version__,  # nosec B704
        as_of=sections.clock(data.as_of), most_examples=EXAMPLES, **sections.values(data),
    )  # fmt: skip


def static_page(template: str, **values: Any) -> str:
    """A page without a script: a template of `assets/` in the style of report.html, escaped as that."""
    style = _asset("page.css")
    return _environment().from_string(_asset(template)).render(
        style=Markup(style), policy=policy("", style), version=beam_talonone.__version__, **values  # nosec B704
    )  # fmt: skip


def policy(script: str, style: str) -> str:
    """The content security policy of a page: only this script and this style count, and nothing may be loaded."""
    return (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; base-uri 'none';"
        " form-action 'none'"
    )


def embedded(value: Any) -> str:
    """JSON that can stand in a script element of HTML: it has none of the characters that could end it.

    >>> embedded({"a": "</script><!--\\u2028"})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u003c!--\\\\u2028"}'
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII, so without U+2028
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _series(data: PageData, charts: list[Chart]) -> dict[str, Any]:
    runs = [{"began": run.began, "at": run.at} for run in data.recorded.runs]
    return {"x": times(data.recorded), "runs": runs, "charts": [asdict(chart) for chart in charts if chart.series]}


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters |= {
        "count": sections.count, "ms": sections.milliseconds, "words": lambda name: name.replace("_", " "),
        "counted": counted, "status_class": sections.status_class, "meaning": _MEANINGS.get,
    }  # fmt: skip
    return environment


def _shown(value: Any) -> Any:
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_MEANINGS: Mapping[str, str] = {reason.value: reason.meaning.replace("`", "") for reason in Reason}
