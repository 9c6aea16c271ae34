"""The commands by name: their modules, and what the help shows of them before a module is imported."""

from typing import NamedTuple


class Command(NamedTuple):
    """The module of a command, whose function has the command's name with underscores.

    `help` is its line in the help of the group. `examples` are command lines without the program's name. `page` is
    the page of the documentation.
    """

    module: str
    help: str
    examples: tuple[str, ...]
    page: str


_MODULES = "beam_talonone.pipelines.cli.commands"

COMMANDS = {
    "backfill": Command(
        f"{_MODULES}.backfill",
        "Send orders, returns, profiles, events and calls from files: once, in order, resumable.",
        (
            "backfill --orders 'orders/*.jsonl' --output out --limit 100",
            "backfill --orders 'orders/*.jsonl' --output out --resume",
        ),
        "docs/backfill.md",
    ),
    "replay": Command(
        f"{_MODULES}.replay",
        "Send dead letters again: one pass, never over what the same job has applied since.",
        (
            "replay 'out/dead-letters/*.jsonl' --output out-replay",
            "replay 'out/dead-letters/*.jsonl' --output out2 --only not_found",
        ),
        "docs/dead-letters.md",
    ),
    "dead-letters": Command(
        f"{_MODULES}.dead_letters",
        "Count dead letters by kind, stage, reason, field and file, with examples, or export them.",
        ("dead-letters out", "dead-letters out --reason missing_field --export csv > dead.csv"),
        "docs/dead-letters.md",
    ),
    "report": Command(
        f"{_MODULES}.report",
        "Write report.html of a job again: charts, outcomes, dead letters. Also while the job runs, or after a kill.",
        ("report out --open",),
        "docs/report.md",
    ),
    "check": Command(
        f"{_MODULES}.check",
        "Decode, map and validate everything, and show what a backfill would send. No network.",
        ("check --orders 'orders/*.jsonl' --show 3", "check --orders export.jsonl --mapping shopify"),
        "docs/backfill.md",
    ),
    "lookup": Command(
        f"{_MODULES}.lookup",
        "Read from the API for each line of a file of ids: all pages, at the rate, resumable.",
        ("lookup get_loyalty_balances --input 'ids.csv' --output looked-up",),
        "docs/lookup.md",
    ),
    "verify": Command(
        f"{_MODULES}.verify",
        "Read back the results of a backfill of these files, and report each difference. Nothing is changed.",
        ("verify --orders 'orders/*.jsonl' --output verified",),
        "docs/verify.md",
    ),
    "mappings": Command(
        f"{_MODULES}.mappings",
        "List the presets, print one, draft a mapping from a sample, or try one on a sample. Nothing is sent.",
        (
            "mappings list",
            "mappings show shopify > mine.yaml",
            "mappings draft orders.json > mine.yaml",
            "mappings try mine.yaml orders.json --show 1",
        ),
        "docs/mappings.md",
    ),
    "stream": Command(
        f"{_MODULES}.stream",
        "Apply what arrives on Pub/Sub within seconds, until stopped. SIGTERM or Ctrl-C drains and ends with 0.",
        ("stream --orders projects/P/subscriptions/orders --state state",),
        "docs/run-a-stream.md",
    ),
    "demo": Command(
        f"{_MODULES}.demo",
        "Simulator, sample data with every kind of trouble, a backfill with faults on, and its report.",
        ("demo",),
        "README.md",
    ),
    "simulate": Command(
        f"{_MODULES}.simulate",
        "Run a local Talon.One to try the connector on, with limits, faults and a ledger at /_simulator/.",
        ("simulate --port 8080 --rate 100 --fault 5xx:share=0.02",),
        "docs/simulator.md",
    ),
}
"""In the order of the help."""
