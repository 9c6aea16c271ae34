"""The pictures of the pages: README.md's are there and small, and no picture fetches anything."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PICTURES = sorted((ROOT / "docs" / "pictures").iterdir())
SVGS = [path for path in PICTURES if path.suffix == ".svg"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = [ROOT / path for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)]
MOST_BYTES = 200_000
FETCHES = re.compile(r"url\((?!#)|@import|@font-face|https?:|data:|//", re.IGNORECASE)
ACTIVE = {"script", "image", "use", "foreignObject", "a", "feImage", "link"}


def fetched(picture: bytes) -> list[str]:
    """The elements and values of an SVG that load or run something."""
    loads = []
    for element in ElementTree.fromstring(picture).iter():
        name = element.tag.rpartition("}")[2]
        values = [value for value in (*element.attrib.values(), element.text or "") if FETCHES.search(value)]
        handlers = [key for key in element.attrib if key.lower().startswith("on") or key.endswith("href")]
        loads += [name] * (name in ACTIVE) + values + handlers
    return loads


def test_the_readme_shows_the_live_view_and_the_report():
    assert [path.name for path in SHOWN] == ["live-view.svg", "report.png"]


@pytest.mark.parametrize("path", PICTURES, ids=[path.name for path in PICTURES])
def test_a_picture_is_small(path):
    assert 0 < path.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("path", SVGS, ids=[path.name for path in SVGS])
def test_an_svg_fetches_nothing(path):
    assert fetched(path.read_bytes()) == []


def test_the_report_is_a_png():
    assert SHOWN[-1].read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    "content",
    [
        "<image href='x.png'/>",
        "<script/>",
        "<text style='src: url(x)'/>",
        "<style>@import 'x'</style>",
        "<text onclick='x()'/>",
        "<text fill='url(http://x)'/>",
    ],
)
def test_what_an_svg_may_fetch_is_found(content):
    assert fetched(f"<svg xmlns='http://www.w3.org/2000/svg'>{content}</svg>".encode())
