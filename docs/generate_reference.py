"""Write reference pages from the code that declares their rows: reasons, exit codes and errors, metrics, faults.

`make docs` runs this file. tests/test_reference.py fails if a page is out of date.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from beam_talonone.pipelines.streaming.prometheus import METRICS, full_name
from beam_talonone.pipelines.terminal import exit_codes
from beam_talonone.schemas.reasons import Reason
from beam_talonone.simulator.exchange.faults import COMMON, EFFECTS, FAULTS, LIMITS
from beam_talonone.talonone import errors

FOLDER = Path(__file__).with_name("reference")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table with these cells. Vertical bars within a cell are escaped."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")


def code(*names: object) -> str:
    """The names as code, with commas between."""
    return ", ".join(f"`{name}`" for name in names)


def with_code(text: str) -> str:
    """A text with its options and paths as code."""
    return re.sub(r"(?<![`\w-])(--[a-z][a-z-]+|/healthz)", r"`\1`", text)


REASONS = """\
# Dead-letter reasons

This page lists the reasons of [dead letters](../dead-letters.md). `make docs` generates it from `schemas/reasons.py`.

* **Stage** is the step that rejects the record: decoding, mapping, validation or sending.
* **Replay helps** says whether a [replay](../dead-letters.md#replay) of the dead letter can apply the record. The
  cause is in the record, in an option of the command, or in the settings of Talon.One.

"""


def reasons_page() -> str:
    """The page of reasons, in the order of the code."""
    rows = (
        [code(reason.value), ", ".join(reason.stages), with_code(reason.meaning), reason.action, str(reason.replay)]
        for reason in Reason
    )
    return REASONS + table(["reason", "stage", "meaning", "what to do", "replay helps"], rows)


EXIT_CODES = """\
# Exit codes and errors

`make docs` generates this page from `pipelines/terminal/exit_codes.py` and `talonone/errors.py`.

## Exit codes

"""

OF_COMMANDS = """
These commands give a code a more exact meaning:

"""

ERRORS = """
A command that the system kills has the code of the signal, such as 137 for a lack of memory. Continue it with
`--resume`.

## Errors

Your own pipeline gets these exceptions from the [library](../library.md). The command line prints the message and
exits with the code.

"""

ERRORS_END = """
A failure of one record is never an exception. The record becomes a [dead letter](reasons.md).
"""


def exit_codes_page() -> str:
    """The page of exit codes and exceptions."""
    codes = ([str(number), meaning] for number, meaning in exit_codes.MEANINGS.items())
    of_commands = (
        [code(command), str(number), meaning]
        for command, meanings in exit_codes.OF_COMMANDS.items()
        for number, meaning in meanings.items()
    )
    return (
        EXIT_CODES
        + table(["exit code", "meaning"], codes)
        + OF_COMMANDS
        + table(["command", "exit code", "meaning"], of_commands)
        + ERRORS
        + table(["exception", "exit code", "meaning"], _errors(errors.TalonOneError, ""))
        + ERRORS_END
    )


def _errors(kind: type[BaseException], indent: str) -> Iterator[list[str]]:
    """A row for an exception, and for those that derive from it, in the order of the module."""
    number = exit_codes.USAGE if issubclass(kind, errors.ConfigurationError) else exit_codes.STOPPED
    shown = "1 or 2" if kind is errors.TalonOneError else str(number)
    yield [f"{indent}{code(kind.__name__)}", shown, with_code(summary(kind))]
    below = (each for _, each in vars(errors).items() if inspect.isclass(each) and kind in each.__bases__)
    for each in below:
        yield from _errors(each, indent + "&emsp;")


def summary(kind: type) -> str:
    """The first paragraph of a docstring in one line, without its example."""
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())


METRICS_HEAD = """\
# Metrics of a stream

This page lists the metrics that a stream on a machine serves at `/metrics`
([metrics.md](../metrics.md#metrics-of-a-stream-on-this-machine) has labels, alerts, and the metrics of Beam).
`make docs` generates it from `pipelines/streaming/prometheus.py`. All counts start at 0 with the process.

"""


def metrics_page() -> str:
    """The page of the metrics of a stream."""
    rows = (
        [
            code(full_name(name)), f"{row.type}, {row.unit}", code(*row.labels) if row.labels else "",
            with_code(row.meaning.rstrip(".") + (f"; absent {row.absent}" if row.absent else "")),
        ]
        for name, row in METRICS.items()
    )  # fmt: skip
    return METRICS_HEAD + table(["metric", "type, unit", "labels", "meaning"], rows)


FAULTS_HEAD = """\
# Faults of the simulator

This page lists the faults that the [simulator](../simulator.md#faults) takes with `--fault`. `make docs` generates it
from `simulator/exchange/faults.py`. A fault is text: `NAME:parameter=value,parameter=value`.

"""

FAULTS_MIDDLE = """
`trickle`, `short-body`, `extra-bytes` and `compressed` need a body: an answer 204 stays as it is.

These parameters limit a fault to a part of the requests. Several of them apply together:

"""


def faults_page() -> str:
    """The page of the faults of the simulator."""
    faults = ([code(name), code(*own) if own else "", EFFECTS[name]] for name, own in FAULTS.items())
    limits = ([code(name), LIMITS[name]] for name in COMMON)
    return (
        FAULTS_HEAD
        + table(["fault", "parameters of its own", "effect"], faults)
        + FAULTS_MIDDLE
        + table(["parameter", "the fault affects"], limits)
    )


PAGES: dict[str, Callable[[], str]] = {
    "reasons.md": reasons_page,
    "exit-codes.md": exit_codes_page,
    "metrics.md": metrics_page,
    "faults.md": faults_page,
}
"""The generated pages in docs/reference, and what makes their text."""


if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
