"""Make the pictures that README.md shows, in docs/pictures/: `make pictures`. It takes about three minutes.

report.png is the top of the page report.html that the demo writes, in Chromium. live-view.svg is a frame of the
session that docs/record_session.py records.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import record_session
from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parent / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

WIDTH, HEIGHT = 1100, 1000
"""Pixels of the picture of the page."""

QUIET = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def main() -> None:
    """Make both pictures. Exits with 1 if there is no browser, or a frame of the recording misleads."""
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium: `apt install chromium`, or name its command in CHROMIUM")
    with tempfile.TemporaryDirectory() as folder:
        command = [str(record_session.COMMAND), "demo", "--output", "demo-output"]
        subprocess.run(command, cwd=folder, check=False)  # a demo has dead letters, so it ends with 3
        photograph(browser, Path(folder, "demo-output", "backfill", "report.html"), PICTURES / "report.png")
    record_session.main()


def photograph(browser: str, page_file: Path, picture: Path) -> None:
    """Write the top of a page as PNG, in light colours and without network."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser, args=list(QUIET))
        context = launched.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce", offline=True
        )
        page = context.new_page()
        page.goto(page_file.as_uri(), wait_until="load")
        page.wait_for_timeout(1000)  # charts are drawn after the page has loaded
        page.screenshot(path=picture, animations="disabled")
        launched.close()


if __name__ == "__main__":
    main()
