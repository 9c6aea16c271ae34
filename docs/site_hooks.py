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

_EXITS = re.compile(r"^( *```\w+) exits=\d$", re.MULTILINE)
"""The exit code behind the language of a block, which is for tests. MkDocs would not take the line for a fence."""

_MARKER = re.compile(r"(?:[*-]|\d+\.) +")
"""The marker of an item of a list."""

_CODE_IN_TABLE = re.compile(r"(?<!`)`[^`\n]+`(?!`)")

_LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>[^)\s]+)\)")


def site_markdown(markdown: str, page: str) -> str:
    """The text of a page of the repository, with links that are right on the site.

    `page` is its path from the root of the repository. A link whose text is the name of a page shows the title of the
    page. A link to a file that is not part of the site becomes the path of the file. Code blocks stay as they are,
    except for their exit codes. Bars within the code of a table lose the backslash that GitHub needs.

    >>> site_markdown("[start](../README.md#start), [lookup.md](lookup.md), [all](../examples)", "docs/records.md")
    '[start](repository/README.md#start), [Lookup](lookup.md), all (`examples`)'
    """
    text = indented_by_four(_EXITS.sub(r"\1", markdown))
    parts = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if part.startswith("```") else _prose(part, page) for part in parts)


def indented_by_four(markdown: str) -> str:
    """The text with four blanks before what belongs to an item of a list, for each level.

    GitHub takes as many blanks as the marker of the item has, and MkDocs takes the text for the end of the list.

    >>> print(indented_by_four("1. Run:\\n\\n   `x`\\n2. Look:\\n   * at y"))
    1. Run:
    <BLANKLINE>
        `x`
    2. Look:
        * at y
    """
    columns: list[int] = []  # where the text of each open item begins
    fenced, lines = False, []
    for line in markdown.split("\n"):
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        if text and not fenced:
            while columns and indent < columns[-1]:
                columns.pop()
        lines.append(" " * (4 * len(columns) + indent - (columns[-1] if columns else 0)) + text if text else "")
        if text.startswith("```"):
            fenced = not fenced
        elif not fenced and (marker := _MARKER.match(text)):
            columns.append(indent + len(marker[0]))
    return "\n".join(lines)


def _prose(text: str, page: str) -> str:
    linked = _LINK.sub(_replaced(page), text)
    return re.sub(r"^\|.*\|$", _unescaped, linked, flags=re.MULTILINE)


def _unescaped(row: re.Match[str]) -> str:
    """The row of a table with bars as they are within code."""
    return _CODE_IN_TABLE.sub(lambda code: code[0].replace("\\|", "|"), row[0])


def site_path(path: str) -> str | None:
    """Where a file of the repository is among the sources of the site, or None if it is not there."""
    if path.startswith("docs/") and path.endswith((".md", ".svg", ".png", ".json", ".avsc", ".txt")):
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
        is_named = link["text"][1:-1] in (target, posixpath.basename(target)) and target.endswith(".md")
        words = f"[{title_of(target)}]" if is_named else link["text"]
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
