"""Groups of options: a command names the groups that it takes, and typer sees their fields.

A group is a dataclass whose fields are annotated as parameters of typer. `with_groups` puts the fields in the place
of the group.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, TypeVar, get_args, get_type_hints

from typer.models import ParameterInfo

T = TypeVar("T")


class Group:
    """The base of all groups. A field may also carry a TemplateParameter."""

    TITLE: ClassVar[str]
    """The heading of the options in the help and on the page. Several groups may share a heading."""


@dataclass(frozen=True, kw_only=True)
class TemplateParameter:
    """What the metadata of a Flex Template says of an option, beyond its declaration.

    `pattern` is a regular expression without its anchors. An option with choices, and a flag, need none. `kind` is a
    ParameterType of Dataflow. `several` allows several values, separated by commas.
    """

    label: str
    help: str
    stream_help: str | None = None
    pattern: str | None = None
    kind: str = "TEXT"
    required: bool = False
    several: bool = False


def groups_of(function: Callable[..., Any]) -> dict[str, type[Group]]:
    """The groups that a command takes, by the names of its parameters."""
    hints = get_type_hints(inspect.unwrap(function), include_extras=True)
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, Group)}


def with_groups(function: Callable[..., T]) -> Callable[..., T]:
    """`function` as typer reads and calls it: the fields of each group stand as parameters in the group's place."""
    groups: dict[str, Any] = groups_of(function)

    @functools.wraps(function)
    def command(**values: Any) -> T:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        return function(**values)

    parameters = list(_parameters(function, groups))
    result = get_type_hints(function)["return"]
    command.__signature__ = inspect.Signature(parameters, return_annotation=result)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _parameters(function: Callable[..., Any], groups: dict[str, Any]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in groups:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
            continue
        for field in inspect.signature(groups[name]).parameters.values():
            yield field.replace(annotation=_under(groups[name].TITLE, field.annotation))


def _under(title: str, annotation: Any) -> Any:
    """`annotation` with a copy of its typer declaration, which names the heading."""
    kind, *extras = get_args(annotation)
    infos = [copy.copy(extra) if isinstance(extra, ParameterInfo) else extra for extra in extras]
    for info in infos:
        if isinstance(info, ParameterInfo):
            info.rich_help_panel = title
    return Annotated[kind, *infos]
