"""The page as HTML: one file, nothing loaded, and whatever a record holds is text."""

import base64
import hashlib
import json
import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.report_job import Order, add_series, build_job

from beam_talonone.pipelines.report.collect import collect
from beam_talonone.pipelines.report.model import PageData
from beam_talonone.pipelines.report.page import embedded, page, policy

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "javascript:alert(3)",
    "</script><script>alert(4)</script><!--",
    "{{ 7 * 191 }}{% raw %}",
    "line\u2028separator\u2029",
    "\u202egnp.exe\u2066",
    "nul\x00bell\x07",
]
"""Ids and details as an attacker, or an accident, writes them."""


class Elements(HTMLParser):
    """The elements of a page, with their attributes, and its texts outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def job(folder: Path, texts: list[str]) -> PageData:
    """A job with a dead letter for each text, which is its id, its customer and its detail."""
    orders = [Order(0, customer="twice"), Order(100, customer="twice")]
    for number, text in enumerate(texts, 1):
        orders.append(Order(number, "dead_lettered", "refused", name=f"{text}-{number}", customer=text, detail=text))
        orders.append(Order(50 + number, customer=text))
    add_series(build_job(folder, orders))
    return collect(folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PageData:
    return job(tmp_path_factory.mktemp("job") / "out", HOSTILE)


@pytest.fixture(scope="module")
def html(data: PageData) -> str:
    return page(data)


def test_hostile_records_add_no_element(tmp_path: Path, html: str) -> None:
    harmless = page(job(tmp_path / "out", [f"harmless {number}" for number in range(len(HOSTILE))]))
    elements = Elements(html)
    assert Counter(tag for tag, _ in elements.found) == Counter(tag for tag, _ in Elements(harmless).found)
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert not elements.all("img")


def test_hostile_records_are_shown_as_text(html: str) -> None:
    text = Elements(html).text
    for hostile in HOSTILE[:5]:
        assert hostile in text
    assert "line\\u2028separator\\u2029" in text
    assert "\\u202egnp.exe\\u2066" in text
    assert "nul\\x00bell\\x07" in text
    assert not re.search("[\x00-\x08\u2028\u2029\u202e\u2066]", html)


def test_nothing_is_loaded(html: str) -> None:
    elements = Elements(html)
    loading = {"src", "srcset", "href", "action", "data", "poster", "background", "ping", "formaction"}
    assert not [(tag, name) for tag, attributes in elements.found for name in attributes if name in loading]
    assert not {"link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in elements.found}
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_lets_only_this_script_and_this_style_in(html: str) -> None:
    rules = next(meta["content"] for meta in Elements(html).all("meta") if "http-equiv" in meta)
    assert rules is not None
    assert rules.startswith("default-src 'none';")
    for rule, pattern in (("script-src", "<script>(.*)</script>"), ("style-src", "<style>(.*)</style>")):
        (content,) = re.findall(pattern, html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{rule} 'sha256-{digest}';" in rules
    assert "unsafe" not in rules
    assert policy("a", "b") != policy("b", "a")


def test_the_series_is_plain_numbers(html: str) -> None:
    (content,) = re.findall('<script type="application/json" id="series">(.*?)</script>', html)
    series = json.loads(content)
    assert [chart["id"] for chart in series["charts"]] == ["rate", "latency", "in-flight", "failures", "outcomes"]
    assert len(series["x"]) == 30
    for chart in series["charts"]:
        assert f'id="{chart["id"]}"' in html
        assert all(len(line["values"]) == 30 for line in chart["series"])


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_embedded_json_cannot_end_its_element(text: str) -> None:
    written = embedded({"a": [text]})
    assert json.loads(written) == {"a": [text]}
    assert not re.search("[<>&\u2028\u2029]", written)


def test_a_job_without_a_series_has_no_charts(tmp_path: Path) -> None:
    html = page(collect(build_job(tmp_path / "out", [Order(1)])))
    assert "Over time" not in html
    assert "Outcomes by kind" in html


def test_what_to_do_next_stands_as_it_is_typed(html: str) -> None:
    commands = [unescape(command) for command in re.findall("<pre>(beam-talonone .*)</pre>", html)]
    assert [command.split()[1] for command in commands] == ["dead-letters", "replay", "verify"]
    assert re.search(r"replay '.*/out/dead-letters/\*\.jsonl' --output .*/out-replay", commands[1])


def test_the_examples_are_counted(html: str) -> None:
    assert "The page holds 8 examples of 8 dead letters, at most 20 of each reason." in Elements(html).text
