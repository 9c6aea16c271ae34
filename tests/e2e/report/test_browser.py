"""The page in a real browser: hostile records do nothing, nothing is loaded, and charts are drawn and printed."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.report_job import Order, add_series, build_job

from beam_talonone.pipelines.report.write import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)
"""The command of a browser; playwright's own would be a download."""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: `apt install chromium`, or name its command in CHROMIUM"
)

HOSTILE = [
    "<script>alert('id')</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(2)>",
    "<a href=javascript:alert(3)>x</a>",
    "javascript:alert(4)",
    "</script><script>alert(5)</script><!--",
    "</style><style>@import 'http://127.0.0.1:9/x.css'</style>",
    "{{ constructor.constructor('alert(6)')() }}",
    "a\u2028b\u2029c",
    "\u202egnp.exe\u2066\u200f",
    "nul\x00bell\x07",
    "x" * 1_000_000,
]

DARK_BACK, LIGHT_BACK = "rgb(18, 22, 28)", "rgb(255, 255, 255)"


@dataclass
class Watched:
    """A page, and what must not happen on it."""

    page: "Page"
    requests: list[str] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", self._dialog)
        self.page.on("console", lambda message: self.incidents.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.incidents.append(f"error: {error}"))
        self.page.on("popup", lambda popup: self.incidents.append("popup"))

    def _dialog(self, dialog: Any) -> None:
        self.incidents.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def visit(self, path: Path) -> None:
        """Open a file, and let all that it would do happen."""
        self.page.goto(path.as_uri(), wait_until="networkidle")
        self.until("document.readyState === 'complete'")

    def until(self, expression: str) -> None:
        """Wait until an expression is true. The policy of the page lets no script of playwright poll there."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"never true: {expression}")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a job whose ids, customers and details are hostile."""
    orders = []
    for number, text in enumerate(HOSTILE, 1):
        reason = "refused" if number % 2 else "unknown_attribute"
        orders += [
            Order(number, "dead_lettered", reason, name=f"{text}-{number}", customer=text, detail=text),
            Order(100 + number, customer=text),
        ]
    folder = build_job(tmp_path_factory.mktemp("job") / "out <b>bold", orders)
    add_series(folder, settings={"--base-url": "https://x.example/<script>alert(7)</script>", "--concurrency": 64})
    return write_page(folder)


@pytest.fixture
def watch(browser: "Browser") -> Iterator[Any]:
    """Opens watched pages with the settings of a context."""
    contexts = []

    def opened(**settings: Any) -> Watched:
        contexts.append(browser.new_context(**settings))
        return Watched(contexts[-1].new_page())

    yield opened
    for context in contexts:
        context.close()


def test_hostile_records_do_nothing(watch: Any, path: Path) -> None:
    watched = watch(offline=True)
    watched.visit(path)
    watched.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    watched.page.mouse.move(300, 300)
    assert watched.incidents == []
    assert watched.requests == [path.as_uri()]
    text = watched.page.inner_text("body")
    assert "<script>alert('id')</script>" in text
    assert "… (1,000,003 characters)" in text
    assert "\\u202egnp.exe" in text
    assert not re.search("[\u2028\u202e\x00]", text)


def test_the_watch_sees_what_must_not_happen(watch: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<script>alert('id')</script><img src='http://127.0.0.1:9/x.png'><script>no()</script>")
    watched = watch()
    watched.visit(bad)
    assert "dialog: id" in watched.incidents
    assert any(incident.startswith("error: ") for incident in watched.incidents)
    assert "http://127.0.0.1:9/x.png" in watched.requests


def test_the_policy_stops_what_would_get_past_the_escaping(watch: Any, path: Path) -> None:
    watched = watch()
    watched.visit(path)
    watched.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x.png\" onerror=\"alert(8)\">')"
    )
    watched.page.wait_for_timeout(200)
    assert watched.incidents
    assert all("Content Security Policy" in incident for incident in watched.incidents)


@pytest.mark.parametrize(("scheme", "back"), [("light", LIGHT_BACK), ("dark", DARK_BACK)])
def test_the_charts_are_drawn_in_both_colour_schemes(watch: Any, path: Path, scheme: str, back: str) -> None:
    watched = watch(color_scheme=scheme)
    watched.visit(path)
    assert watched.page.evaluate("getComputedStyle(document.body).backgroundColor") == back
    assert [count > 500 for count in painted(watched.page)] == [True] * 5
    watched.page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
    assert watched.page.evaluate("getComputedStyle(document.body).backgroundColor") != back
    assert len(painted(watched.page)) == 5
    assert watched.incidents == []


def painted(page: "Page") -> list[int]:
    """How many pixels of each chart are painted."""
    counts: list[int] = page.evaluate(
        """[...document.querySelectorAll('canvas')].map((canvas) => {
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          let count = 0;
          for (let at = 3; at < data.length; at += 4) count += data[at] > 0;
          return count;
        })"""
    )
    return counts


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_width_scrolls_sideways(watch: Any, path: Path, width: int) -> None:
    watched = watch(viewport={"width": width, "height": 800}, is_mobile=width < 700, has_touch=width < 700)
    watched.visit(path)
    assert watched.page.evaluate("document.documentElement.scrollWidth") == width
    watched.page.set_viewport_size({"width": width - 40, "height": 800})
    # The charts follow one after another, and a page that is still too wide also widens innerWidth of a phone.
    watched.until(f"document.documentElement.scrollWidth === {width - 40}")


def test_the_search_finds_examples(watch: Any, path: Path) -> None:
    watched = watch()
    watched.visit(path)
    examples, found = watched.page.locator(".example:visible"), watched.page.locator("#found")
    assert examples.count() == 0
    watched.page.fill("#search", "ONERROR img")
    assert (examples.count(), found.inner_text()) == (1, "1 of the 12 examples in this page match")
    watched.page.fill("#search", "unknown_attribute")
    assert (examples.count(), watched.page.locator(".reason:visible").count()) == (6, 1)
    watched.page.fill("#search", "nowhere to be found")
    assert (examples.count(), watched.page.locator(".reason:visible").count()) == (0, 0)
    watched.page.fill("#search", "")
    assert (watched.page.locator(".reason:visible").count(), found.inner_text()) == (2, "")


def test_it_is_printed_in_light_colours(watch: Any, path: Path) -> None:
    watched = watch(color_scheme="dark")
    watched.visit(path)
    pdf = watched.page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2
    watched.page.emulate_media(media="print")
    assert watched.page.evaluate("getComputedStyle(document.body).backgroundColor") == LIGHT_BACK
    assert not watched.page.locator("#search").is_visible()
    assert watched.incidents == []


def test_without_javascript_everything_but_the_charts_is_there(watch: Any, path: Path) -> None:
    watched = watch(java_script_enabled=False)
    watched.page.goto(path.as_uri())
    text = watched.page.inner_text("body")
    assert "The charts need JavaScript." in text
    for part in ("Outcomes by kind", "Dead letters by reason", "Longest customers", "Settings"):
        assert part in text
