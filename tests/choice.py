"""Which tests `make test` runs, and which it leaves to `make test-all`; a pytest plugin that conftest.py loads.

A test is marked `slow` where this table says so, or by a mark of its own. The end of a run names what was left out.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

SLOW: Final = {
    "e2e": "the command in processes of its own, killed, stopped and resumed",
    "flex": "the templates of Dataflow, built and launched as far as that goes without a cloud",
    "rates": "processes that share a rate; need the rate limit service and Redis",
    "remote": "backfills that are one pipeline; need Prism",
    "streams": "streams; need the Pub/Sub emulator and Prism",
    "test_packaging.py": "the package, built and installed in three ways",
}
"""Entries of tests/ that are slow, each with what is in it."""

QUICK: Final = (
    "e2e/inputs/test_fields.py",
    "e2e/inputs/test_inputs.py",
    "e2e/backfill/test_sequences.py",
    "e2e/commands/test_usage.py",
    "e2e/inputs/test_wire.py",
)
"""Files in these folders that are not slow: every kind of record and every format, from end to end."""

ALONE: Final = ("rates/test_together.py",)
"""Slow files that measure a rate: they run after all others, one test at a time, with both cores to themselves."""

ELSEWHERE: Final = "single tests that take long"
"""What a slow test is that has a mark of its own."""

LEFT_OUT: Final = pytest.StashKey[Counter[str]]()


def reason(path: str) -> str | None:
    """Why the tests of a file are slow; None when they are not. `path` is relative to tests/, with slashes."""
    return None if path in QUICK else SLOW.get(path.partition("/")[0])


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = Counter()


@pytest.hookimpl(tryfirst=True)  # before pytest takes those out that -m does not choose
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if reason(_place(item)) is not None:
            item.add_marker("slow")
        if _place(item) in ALONE:
            item.add_marker("alone")


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:  # those to be run alone are left out while others run, and follow
        if item.get_closest_marker("slow") is not None and "not alone" not in item.config.option.markexpr:
            item.config.stash[LEFT_OUT][_entry(item)] += 1


def _place(item: pytest.Item) -> str:
    """The file of a test, relative to tests/."""
    return item.nodeid.partition("::")[0].removeprefix("tests/")


def _entry(item: pytest.Item) -> str:
    entry = _place(item).partition("/")[0]
    return entry if entry in SLOW else ""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist tells the process that started it, which collects nothing itself."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = dict(session.config.stash[LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT] |= Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in summary(config.stash[LEFT_OUT]):
        terminalreporter.write_line(line)


def summary(left_out: Counter[str]) -> Iterator[str]:
    """The lines at the end of a run that left slow tests out; `left_out` counts them by entry of SLOW."""
    if not left_out:
        return
    count = f"{left_out.total():,} slow tests"
    yield f"Left out: {count}. `make test-all` runs them too; `make tools` installs what they need."
    for entry, number in sorted(left_out.items(), key=lambda one: (one[0] == "", one[0])):
        yield f"  {f'tests/{entry}' if entry else 'elsewhere':24} {number:5,}  {SLOW.get(entry, ELSEWHERE)}"
