"""The page of `check --report`: all that the terminal says, and whatever a record holds is text."""

import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser

import pytest

from beam_talonone.pipelines.check.answers import Answers, Problem
from beam_talonone.pipelines.check.report_page import check_page, check_target
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.sources.opening import FileInfo

COUNTS = {"read": 1200, "invalid": 1100, "filtered": 3, "duplicate": 2, "mapped": 97, "dead_lettered": 1100}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "{{ 7 * 191 }}",
    "</style><svg onload=alert(3)>",
    "\u202egnp.exe",
)


def answers(text: str) -> Answers:
    """Answers in which a record, or a name of a file, has put `text` wherever one can stand."""
    report = {
        "kinds": {"orders": COUNTS},
        "unknown_names": {"orders": {text: 7}},
        "filtered_by": {"orders": {text: 3}},
        "unknown_api_fields": {"create_coupons": {text: 1}},
    }
    return Answers(
        report,
        {"orders": (Problem("missing_field", 1100, f"/{text} in 4", (f"{text}:1: missing: {text}",)),)},
        {"update_customer_session_v2": 95},
        10.0,
        (f"the longest single customer is {text} with 9 records",),
        (f"orders: {text}",),
        (f"shopify: no rule reads {text}",),
        (f'{{"id": "{text}"}}',),
    )


def html_of(text: str) -> str:
    return check_page(answers(text), {"orders": [FileInfo(text, 1)]}, 0.0)


def tags(html: str) -> Counter[str]:
    found: Counter[str] = Counter()

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found[tag] += 1
            assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]

    Parser().feed(html)
    return found


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_records_are_text(text: str) -> None:
    html = html_of(text)
    assert tags(html) == tags(html_of("harmless"))
    assert "script" not in tags(html)
    shown = unescape(re.sub("<[^<>]*>", "", html))
    assert shown.count(text.replace("\u202e", "\\u202e")) == 11
    assert "\u202e" not in html


def test_the_page_has_every_line_of_the_terminal() -> None:
    shown = " ".join(unescape(re.sub("<[^<>]*>", " ", html_of("xyz"))).split())
    for line in (
        "1,100 records cannot be sent", "1,100 orders missing_field", "fields: /xyz in 4", "xyz:1: missing: xyz",
        "and 1,097 more", "orders 1,200 95 1,100 3 2", "orders : ignored, as not known: xyz in 7",
        "orders : 3 filtered, condition not met: xyz", "create_coupons: to be sent although not known: xyz in 1",
        "update_customer_session_v2 95", "0:00:10 at 10 a second", "orders: xyz",
        "the longest single customer is xyz with 9 records", "shopify: no rule reads xyz", '{"id": "xyz"}',
    ):  # fmt: skip
        assert line in shown


def test_the_lines_of_the_terminal() -> None:
    assert list(answers("xyz").lines()) == [
        "orders: 1,200 read, 95 to send, 1,100 invalid, 3 filtered, 2 duplicate; ignored, as not known: xyz in 7",
        "  3 filtered, condition not met: xyz",
        "  1,100 missing_field",
        "    fields: /xyz in 4",
        "    xyz:1: missing: xyz",
        "    and 1,097 more",
        "create_coupons: to be sent although not known: xyz in 1",
        "95 requests update_customer_session_v2",
        "95 requests take at least 0:00:10 at 10 a second",
        "the longest single customer is xyz with 9 records",
        "orders: xyz",
        "shopify: no rule reads xyz",
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "is a folder: name a file"), ("orders.jsonl", "does not end in .html"), ("a/b.html", "make it first")],
)
def test_the_file_is_looked_at_before_the_input_is_read(tmp_path, name, why):
    with pytest.raises(ConfigurationError, match=why):
        check_target(tmp_path / name)
    check_target(tmp_path / "check.html")
