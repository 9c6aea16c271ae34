"""The commands of the pages: each is run by a test, or listed here with the reason why it is only parsed."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from beam_talonone.pipelines.cli import group
from pages.blocks import Block, blocks, without_blocks

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "runner_configs" / "README.md",
    ROOT / "bench" / "README.md",
]

CLOUD = "needs Google Cloud"
EMULATORS = "needs the Pub/Sub emulator and Prism; tests/streams runs such streams"
SERVER = "a server that does not end; tests start the simulator of the same process"
DEMO = "needs the folder of a demo; tests/e2e/commands/test_options.py runs these commands behind a demo"

ONLY_PARSED = {
    "README.md": {
        "dead-letters demo-output/backfill": DEMO,
        "check --orders demo-output": DEMO,
        "report demo-output/backfill": DEMO,
        "simulate": SERVER,
    },
    "docs/backfill.md": {"backfill --orders orders/*.jsonl": CLOUD, "backfill --runner-config": CLOUD},
    "docs/bigquery.md": {"replay": CLOUD},
    "docs/dead-letters.md": {"replay projects/": CLOUD},
    "docs/deploy-dataflow.md": {"replay": CLOUD},
    "docs/files-in-a-stream.md": {"stream": CLOUD},
    "docs/how-to/nightly-files.md": {"backfill --orders export/*.jsonl --since": "an abbreviation"},
    "docs/how-to/replay-after-a-fix.md": {
        "replay first/dead-letters/*.jsonl --only unknown_attribute": "an example of another cause"
    },
    "docs/how-to/shopify-webhooks.md": {"stream": CLOUD},
    "docs/import-an-export.md": {"simulate": SERVER},
    "docs/mappings.md": {
        "check --orders orders.csv --join": "tests/transforms/mapping/test_mappings_page.py reads this example"
    },
    "docs/messages.md": {"stream": EMULATORS},
    "docs/presets/bigquery.md": {"check": CLOUD},
    "docs/presets/shopify.md": {"stream": EMULATORS},
    "docs/report.md": {"report": "tests/e2e/report and tests/pipelines/report make such pages, and open them"},
    "docs/rate.md": {"backfill": "needs the rate limit service; tests/rates runs such jobs"},
    "docs/releasing.md": {"demo": "a demo; tests/e2e/commands/test_options.py runs one"},
    "docs/run-a-stream.md": {"stream": EMULATORS},
    "docs/runners.md": {"simulate": SERVER, "backfill": "needs Prism; tests/remote runs such jobs"},
    "docs/secrets.md": {"backfill": CLOUD},
    "docs/simulator.md": {"simulate": SERVER},
    "docs/streams.md": {"stream": EMULATORS, "simulate": SERVER},
    "docs/tutorial.md": {
        "--version": "tests/pipelines/cli runs it",
        "simulate": SERVER,
    },
}
"""By page, the beginnings of commands that no test runs as they stand, and why."""

OTHERS_NOT_RUN = {
    "docs/bigquery.md": "bq and gcloud; tests/flex/test_bigquery_docs.py checks what can be checked without them",
    "docs/deploy-dataflow.md": "gcloud; tests/flex/test_deploy_docs.py checks the parameters",
    "docs/messages.md": "gcloud",
}
"""Pages whose `sh` blocks without a command of ours are not run, and why."""

GUIDES = ("docs/tutorial.md", *sorted(f"docs/how-to/{path.name}" for path in (ROOT / "docs" / "how-to").glob("*.md")))
"""Pages whose `sh` blocks tests/e2e/commands/test_how_to.py runs."""

TUTORIAL = "docs/import-an-export.md"
"""A page whose commands tests/e2e/inputs/test_tutorial.py runs."""

RUN = (
    "README.md", "docs/backfill.md", "docs/dead-letters.md", "docs/lookup.md", "docs/mappings.md", "docs/verify.md",
    "docs/presets/bigcommerce.md", "docs/presets/commercetools.md", "docs/presets/magento.md",
    "docs/presets/segment.md", "docs/presets/shopify.md", "docs/presets/shopify-csv.md",
    "docs/presets/woocommerce.md",
)  # fmt: skip
"""Pages whose other commands tests/e2e/commands/test_pages.py runs."""


class Command(NamedTuple):
    """A command of ours in a block of a page: its words without the program."""

    page: str
    block: Block
    words: tuple[str, ...]

    @property
    def only_parsed(self) -> str | None:
        """Why no test runs it; None for a command that a test runs."""
        text = " ".join(self.words)
        return next((why for begin, why in ONLY_PARSED.get(self.page, {}).items() if text.startswith(begin)), None)


def commands_of(page: str, text: str) -> list[Command]:
    """The commands in the blocks of a page, without comments and redirections."""
    return [
        Command(page, block, words)
        for block in blocks(text)
        for line in re.sub(r"\\\n\s*", "", block.text).splitlines()
        for words in _words(line)
    ]


def _words(line: str) -> Iterator[tuple[str, ...]]:
    typed = re.match(r"\s*(?:\S*/)?beam-talonone (?=\S)(.*)", line)
    if typed is None:
        return
    lexer = shlex.shlex(typed[1], posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words = list(lexer)
    ends = [number for number, word in enumerate(words) if word.strip("|&;<>") == ""]
    yield tuple(words[: min(ends, default=len(words))])


def all_commands() -> list[Command]:
    """The commands of all pages."""
    return [
        command
        for path in PAGES
        for command in commands_of(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def inline_commands() -> list[Command]:
    """The commands within the text of the pages, as in `beam-talonone report out`."""
    none = Block("", None, 0, "")
    return [
        Command(path.relative_to(ROOT).as_posix(), none, words)
        for path in PAGES
        for typed in re.findall(r"`(beam-talonone\s[^`]+)`", without_blocks(path.read_text(encoding="utf-8")))
        for words in _words(" ".join(typed.split()))
    ]


def parse(words: tuple[str, ...]) -> str:
    """Read a command line as the program does, without running it; returns the name of its command. Raises what the
    program reports.

    `...` stands for words that the page leaves out, so required options may be missing beside it.
    """
    name, *rest = [word for word in words if word != "..."]
    if name.startswith("-"):
        return name
    command: Any = group._built(name)
    try:
        context = command.make_context(name, rest)
        if isinstance(command, group.ActionGroup):
            action, chosen, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            chosen.make_context(action, rest)
    except Exception as error:
        if type(error).__name__ != "MissingParameter" or "..." not in words:
            raise
    return name
