"""The documentation site: its navigation has every page, and the links of the repository are right there."""

import re
from pathlib import Path

import pytest
import yaml

from tests.test_prose import load

ROOT = Path(__file__).parents[1]
hooks = load("site_hooks")


class Loader(yaml.SafeLoader):
    """Reads the configuration of MkDocs, whose tags name functions of Python."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
CONFIG = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def pages(nav) -> list[str]:
    """The pages of a navigation, whatever their level."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages(part)]


def test_the_navigation_has_every_page_once():
    documented = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    outside = {f"{hooks.BELOW}/{name}" for name in hooks.OUTSIDE}
    listed = pages(CONFIG["nav"])
    assert set(listed) == documented | outside
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("page", "link", "on_site"),
    [
        ("docs/records.md", "[rate](rate.md#shares)", "[rate](rate.md#shares)"),
        ("docs/records.md", "[start](../README.md#start)", "[start](repository/README.md#start)"),
        ("docs/presets/shopify.md", "[new](../../CONTRIBUTING.md)", "[new](../repository/CONTRIBUTING.md)"),
        ("README.md", "[rate](docs/rate.md)", "[rate](../rate.md)"),
        ("README.md", "![A page](docs/pictures/report.png)", "![A page](../pictures/report.png)"),
        ("docs/lookup.md", "[what-you-see.txt](what-you-see.txt)", "[what-you-see.txt](what-you-see.txt)"),
        ("README.md", "[all](docs/)", "[all](../README.md)"),
        ("bench/README.md", "[figures](../docs/benchmarks.md)", "[figures](../../benchmarks.md)"),
        ("docs/records.md", "[glossary.md](glossary.md)", "[Glossary](glossary.md)"),
        ("README.md", "[rate.md](docs/rate.md#shares)", f"[{hooks.title_of('docs/rate.md')}](../rate.md#shares)"),
        ("README.md", "[docs/rate.md](docs/rate.md)", f"[{hooks.title_of('docs/rate.md')}](../rate.md)"),
        ("docs/library.md", "[examples/](../examples)", "`examples`"),
        ("docs/library.md", "[the list](../examples/yaml/orders.yaml)", "the list (`examples/yaml/orders.yaml`)"),
        ("docs/library.md", "[`orders.yaml`](../examples/orders.yaml)", "`examples/orders.yaml`"),
        ("docs/library.md", "[Beam](https://beam.apache.org)", "[Beam](https://beam.apache.org)"),
        ("docs/library.md", "[above](#records)", "[above](#records)"),
        ("docs/library.md", "```\n[start](../README.md)\n```", "```\n[start](../README.md)\n```"),
        ("docs/library.md", "```sh exits=3\nrun\n```", "```sh\nrun\n```"),
        ("docs/library.md", "1. Run:\n\n   ```sh exits=3\n   run\n   ```", "1. Run:\n\n    ```sh\n    run\n    ```"),
        ("docs/library.md", "| `a\\|b` | c\\|d | `e\\|f` |", "| `a|b` | c\\|d | `e|f` |"),
        ("docs/library.md", "not a table: `a\\|b`", "not a table: `a\\|b`"),
    ],
)
def test_links_of_the_repository_are_right_on_the_site(page, link, on_site):
    assert hooks.site_markdown(link, page) == on_site


@pytest.mark.parametrize(
    ("text", "on_site"),
    [
        ("1. a\n   b\n\n   c\n2. d\ne", "1. a\n    b\n\n    c\n2. d\ne"),
        ("* a\n  b\n  * c\n    d\n* e", "* a\n    b\n    * c\n        d\n* e"),
        ("10. a\n    * b\n      c", "10. a\n    * b\n        c"),
        ("* a\n\n  ```yaml\n  - x\n    y: 1\n  ```\n\nb", "* a\n\n    ```yaml\n    - x\n      y: 1\n    ```\n\nb"),
        ("```yaml\n- x\n  y: 1\n  * z\n```", "```yaml\n- x\n  y: 1\n  * z\n```"),
        ("a\n\n    code", "a\n\n    code"),
        ("**a** b\n--- c\n-d", "**a** b\n--- c\n-d"),
    ],
)
def test_what_belongs_to_an_item_has_four_blanks(text, on_site):
    assert hooks.indented_by_four(text) == on_site


def test_fences_of_the_pages_have_only_words_that_the_site_knows():
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")}
    infos = {
        info
        for path, text in texts.items()
        for info in re.findall(r"^ *```(\S.*)$", hooks.site_markdown(text, path.relative_to(ROOT).as_posix()), re.M)
    }
    assert {info for info in infos if not re.fullmatch(r'\w+( title="[^"]+")?', info)} == set()
    assert any("title=" in info for info in infos)


def test_pages_outside_the_folder_exist():
    assert [name for name in hooks.OUTSIDE if not (ROOT / name).is_file()] == []
