"""The documentation site: its navigation has every page, and the links of the repository are right there."""

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
        ("README.md", "[all](docs/)", "[all](../README.md)"),
        ("bench/README.md", "[figures](../docs/benchmarks.md)", "[figures](../../benchmarks.md)"),
        ("docs/records.md", "[glossary.md](glossary.md)", "[Glossary](glossary.md)"),
        ("README.md", "[rate.md](docs/rate.md#shares)", f"[{hooks.title_of('docs/rate.md')}](../rate.md#shares)"),
        ("docs/library.md", "[examples/](../examples)", "`examples`"),
        ("docs/library.md", "[the list](../examples/yaml/orders.yaml)", "the list (`examples/yaml/orders.yaml`)"),
        ("docs/library.md", "[`orders.yaml`](../examples/orders.yaml)", "`examples/orders.yaml`"),
        ("docs/library.md", "[Beam](https://beam.apache.org)", "[Beam](https://beam.apache.org)"),
        ("docs/library.md", "[above](#records)", "[above](#records)"),
        ("docs/library.md", "```\n[start](../README.md)\n```", "```\n[start](../README.md)\n```"),
    ],
)
def test_links_of_the_repository_are_right_on_the_site(page, link, on_site):
    assert hooks.site_markdown(link, page) == on_site


def test_pages_outside_the_folder_exist():
    assert [name for name in hooks.OUTSIDE if not (ROOT / name).is_file()] == []
