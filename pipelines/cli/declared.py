"""The declared options of all commands as data, for the page, the templates and the checks."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, ParameterInfo

from beam_talonone.pipelines.cli.command_table import COMMANDS
from beam_talonone.pipelines.cli.group import actions_of, function_of
from beam_talonone.pipelines.cli.parameters.groups import Group, TemplateParameter, groups_of
from beam_talonone.pipelines.cli.parameters.program import CommonParameters


@dataclass(frozen=True)
class Declared:
    """An option or argument. `name` is that of its field, `default` is MISSING for a required one."""

    name: str
    section: str
    info: ParameterInfo
    kind: Any
    default: Any
    template: TemplateParameter | None

    @property
    def spelling(self) -> str:
        """How the option is typed, with the placeholder of its value: `--rate N`, `--resume`, `OPERATION`."""
        if isinstance(self.info, ArgumentInfo):
            return str(self.info.metavar)
        words = "/".join(self.info.param_decls or (self._word(),))
        if self.choices:
            return f"{words} {'|'.join(self.choices)}"
        return words if self.is_flag else f"{words} {self.info.metavar or 'VALUE'}"

    @property
    def is_flag(self) -> bool:
        """Whether the option takes no value."""
        return self.kind is bool

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that the option takes, if these are listed."""
        kinds = (self.kind, *get_args(self.kind))
        return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())

    @property
    def shown_default(self) -> str:
        """The default as it is typed, empty for none. A flag is off."""
        if self.default is MISSING or self.default is None or self.default is False:
            return ""
        return str(self.default).removesuffix(".0")

    def _word(self) -> str:
        word = self.name.replace("_", "-")
        return f"--{word}/--no-{word}" if self.default is True else f"--{word}"


def options_of(command: str) -> list[Declared]:
    """The options of a command, or of all its actions, in the order of its help, then those of the program. Imports
    the command's module."""
    functions = [function_of(command), *actions_of(command).values()]
    groups = [*(group for function in functions for group in groups_of(function).values()), CommonParameters]
    return [option for group in groups for option in _declared(group)]


def all_options() -> list[tuple[Declared, tuple[str, ...]]]:
    """Every declared option once, with the commands that take it."""
    options: dict[tuple[str, int], Declared] = {}
    commands: dict[tuple[str, int], list[str]] = {}
    for command in COMMANDS:
        for option in options_of(command):
            key = option.name, id(option.info)
            options.setdefault(key, option)
            commands.setdefault(key, []).append(command)
    return [(option, tuple(commands[key])) for key, option in options.items()]


def _declared(group: type[Group]) -> Iterator[Declared]:
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):  # type: ignore[arg-type]
        kind, *extras = get_args(hints[field.name])
        [info] = [extra for extra in extras if isinstance(extra, ParameterInfo)]
        template = next((extra for extra in extras if isinstance(extra, TemplateParameter)), None)
        yield Declared(field.name, group.TITLE, info, kind, field.default, template)
