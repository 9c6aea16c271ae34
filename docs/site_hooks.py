"""Hooks of MkDocs: the pages of the repository outside docs/ become pages of the site, below `repository/`.

The pages link to files beside docs/, as a reader of the repository expects. MkDocs knows only the files of docs/.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BELOW = "repository"
"""The folder of the site that stands for the root of the repository."""

OUTSIDE = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "bench/README.md",
    "runner_configs/README.md",
)
"""Pages outside docs/ that are part of the site."""

_LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>[^)\s]+)\)")


def site_markdown(markdown: str, page: str) -> str:
    """The text of a page of the repository, with links that are right on the site.

    `page` is its path from the root of the repository. A link whose text is the name of a page shows the title of the
    page. A link to a file that is not part of the site becomes the path of the file. Code blocks stay as they are.

    >>> site_markdown("[start](../README.md#start), [lookup.md](lookup.md), [all](../examples)", "docs/records.md")
    '[start](repository/README.md#start), [Lookup](lookup.md), all (`examples`)'
    """
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else _LINK.sub(_replaced(page), part) for part in parts)


def site_path(path: str) -> str | None:
    """Where a file of the repository is among the sources of the site, or None if it is not there."""
    if path.startswith("docs/") and path.endswith((".md", ".svg", ".png", ".json", ".avsc")):
        return path.removeprefix("docs/")
    return f"{BELOW}/{path}" if path in OUTSIDE else None


def title_of(path: str) -> str:
    """The first heading of a page of the repository."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return next(line for line in text.splitlines() if line.startswith("# ")).removeprefix("# ")


def _replaced(page: str) -> Any:
    here = posixpath.dirname(site_path(page) or page)

    def replace(link: re.Match[str]) -> str:
        file, _, anchor = link["target"].partition("#")
        if not file or "://" in file:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), file))
        on_site = site_path(f"{target}/README.md") if target == "docs" else site_path(target)
        if on_site is None:
            words = link["text"][1:-1]
            names_it = words.strip("`").rstrip("/") in (target, posixpath.basename(target))
            return f"`{target}`" if names_it else f"{words} (`{target}`)"
        led = posixpath.relpath(on_site, here or ".")
        words = f"[{title_of(target)}]" if link["text"][1:-1] == posixpath.basename(target) else link["text"]
        return f"{words}({led}{'#' + anchor if anchor else ''})"

    return replace


def on_files(files: Any, config: Any) -> Any:
    """Add the pages outside docs/. Called by MkDocs."""
    from mkdocs.structure.files import File

    for name in OUTSIDE:
        files.append(File.generated(config, f"{BELOW}/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page. Called by MkDocs."""
    source = page.file.src_uri
    path = source.removeprefix(f"{BELOW}/") if source.startswith(f"{BELOW}/") else f"docs/{source}"
    return site_markdown(markdown, path)
