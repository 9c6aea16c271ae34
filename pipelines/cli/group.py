"""The commands by name, and the group that imports a command's module only when the command is called."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Command(NamedTuple):
    """The module of a command, whose function has the command's name, and the line that the group's help lists."""

    module: str
    help: str


_MODULES = "beam_talonone.pipelines.cli.commands"

COMMANDS = {
    "backfill": Command(
        f"{_MODULES}.backfill",
        "Send orders, returns, profiles, events and calls from files: once, in order, resumable.",
    ),
    "replay": Command(
        f"{_MODULES}.replay", "Send dead letters again: one pass, never over what the same job has applied since."
    ),
    "dead-letters": Command(
        f"{_MODULES}.dead_letters",
        "Count dead letters by kind, stage, reason, field and file, with examples, or export them.",
    ),
    "report": Command(
        f"{_MODULES}.report",
        "Write report.html of a job again: charts, outcomes, dead letters. Also while the job runs, or after a kill.",
    ),
    "check": Command(
        f"{_MODULES}.check", "Decode, map and validate everything, and show what a backfill would send. No network."
    ),
    "lookup": Command(
        f"{_MODULES}.lookup", "Read from the API for each line of a file of ids: all pages, at the rate, resumable."
    ),
    "verify": Command(
        f"{_MODULES}.verify",
        "Read back the results of a backfill of these files, and report each difference. Nothing is changed.",
    ),
    "mappings": Command(
        f"{_MODULES}.mappings",
        "List the presets, print one, draft a mapping from a sample, or try one on a sample. Nothing is sent.",
    ),
    "stream": Command(
        f"{_MODULES}.stream",
        "Apply what arrives on Pub/Sub within seconds, until stopped. SIGTERM or Ctrl-C drains and ends with 0.",
    ),
    "demo": Command(
        f"{_MODULES}.demo",
        "Simulator, sample data with every kind of trouble, a backfill with faults on, and its report.",
    ),
    "simulate": Command(
        f"{_MODULES}.simulate",
        "Run a local Talon.One to try the connector on, with limits, faults and a ledger at /_simulator/.",
    ),
}
"""In the order of the help."""


def function_of(name: str) -> Callable[..., Any]:
    """The function of the command `name`, with the parameters that typer reads. Imports its module."""
    function: Callable[..., Any] = getattr(import_module(COMMANDS[name].module), name.replace("-", "_"))
    return function


def called(words: Sequence[str]) -> str | None:
    """The command that a command line calls, None for none. The group's own options take no values."""
    word = next((word for word in words if not word.startswith("-")), None)
    return word if word in COMMANDS else None


class SectionedCommand(TyperCommand):
    """A command whose help lists its options under the headings of their groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments first, then the options in sections, in the order of the declarations."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        for parameter in self.get_params(ctx):
            if (row := parameter.get_help_record(ctx)) is not None:
                is_argument = parameter.param_type_name == "argument"
                heading = "Arguments" if is_argument else getattr(parameter, "rich_help_panel", None) or "Other"
                sections.setdefault(heading, []).append(row)
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


class LazyGroup(TyperGroup):
    """A group that lists its commands from the table, and builds the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Of the command line `args`: the name, the command and the words that follow. Fails for an unknown name."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else _built(name), rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its whole line: typer itself cuts a line that is longer than the terminal."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


def add_commands(app: typer.Typer) -> None:
    """List all commands in `app`, which has a LazyGroup."""
    for name, command in COMMANDS.items():
        app.command(name, help=command.help)(_listed)


def _listed() -> None:
    """Stands for each command until it is called."""
    raise NotImplementedError


def _built(name: str) -> Any:
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=SectionedCommand)(function_of(name))
    return typer.main.get_command(alone)
