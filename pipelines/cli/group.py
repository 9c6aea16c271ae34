"""The group that imports a command's module only when the command is called, and the help of groups and commands."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from beam_talonone.pipelines.cli.command_table import COMMANDS

PROGRAM = "beam-talonone"

ACTIONS = "ACTIONS"
"""A name in the module of a command that has actions: the functions of these by name, the default first."""


def function_of(name: str) -> Callable[..., Any]:
    """The function of the command `name`, with the parameters that typer reads. Imports its module.

    Of a command with actions, it is the function of the default action, with the docstring of the command.
    """
    function: Callable[..., Any] = getattr(import_module(COMMANDS[name].module), name.replace("-", "_"))
    return function


def actions_of(name: str) -> dict[str, Callable[..., Any]]:
    """The functions of the actions of a command by name; none for most commands. Imports its module."""
    actions: dict[str, Callable[..., Any]] = getattr(import_module(COMMANDS[name].module), ACTIONS, {})
    return actions


def called(words: Sequence[str]) -> str | None:
    """The command that a command line calls, None for none. The group's own options take no values."""
    word = next((word for word in words if not word.startswith("-")), None)
    return word if word in COMMANDS else None


def _write_end(context: Any, formatter: Any) -> None:
    """Write the examples and the page of the command that the context is in."""
    words = context.command_path.split()[1:]
    row = COMMANDS[words[0]]
    examples = [line for line in row.examples if len(words) == 1 or line.split()[:2] == words]
    if examples:
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{' ' * formatter.current_indent}{PROGRAM} {line}\n")
    formatter.write_paragraph()
    formatter.write_text(f"Documentation: {row.page}")


class SectionedCommand(TyperCommand):
    """A command whose help lists its options under the headings of their groups, and ends with examples."""

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

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples and the page."""
        _write_end(ctx, formatter)


class ActionGroup(TyperGroup):
    """A command with actions. Without one, its first action runs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of the command. A shell that completes them has no default."""
        default = [] if ctx.resilient_parsing else [next(iter(self.commands))]
        return super().parse_args(ctx, args or default)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Of the words `args`: the name of an action, the action and the words that follow. Fails for other words."""
        if args[0] not in self.commands and not ctx.resilient_parsing:
            names = ", ".join(repr(name) for name in self.commands)
            raise typer.BadParameter(f"{args[0]!r} is not one of {names}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each action with its whole help."""
        with formatter.section("Actions"):
            formatter.write_dl([(name, str(action.help)) for name, action in self.commands.items()])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples and the page."""
        _write_end(ctx, formatter)


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

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write where more is."""
        formatter.write_paragraph()
        formatter.write_text(f"`{PROGRAM} COMMAND --help` has options and examples. Documentation: docs/README.md")


def add_commands(app: typer.Typer) -> None:
    """List all commands in `app`, which has a LazyGroup."""
    for name, command in COMMANDS.items():
        app.command(name, help=command.help)(_listed)


def _listed() -> None:
    """Stands for each command until it is called."""
    raise NotImplementedError


def _built(name: str) -> Any:
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    function, actions = function_of(name), actions_of(name)
    if not actions:
        alone.command(name, cls=SectionedCommand)(function)
        return typer.main.get_command(alone)
    alone.callback(cls=ActionGroup, help=COMMANDS[name].help)(_actions)
    for action, each in actions.items():
        alone.command(action, cls=SectionedCommand)(each)
    return typer.main.get_command(alone)


def _actions() -> None:
    """Stands for a command with actions, which do all of its work."""
