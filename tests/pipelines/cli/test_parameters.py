"""Groups of parameters: typer sees their fields, and the command gets the group."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from beam_talonone.pipelines.cli.group import COMMANDS, function_of
from beam_talonone.pipelines.cli.parameters.groups import Group, with_groups


@dataclass(frozen=True, kw_only=True)
class Pair(Group):
    TITLE = "Pair"

    first: Annotated[int, typer.Option("--first")] = 1
    second: Annotated[str | None, typer.Option("--second")] = None


GIVEN: list[tuple[str, Pair, bool]] = []


@with_groups
def example(*, name: Annotated[str, typer.Argument()], pair: Pair, flag: bool = False) -> int:
    """Do something."""
    GIVEN.append((name, pair, flag))
    return 7


def test_the_fields_stand_in_the_place_of_the_group() -> None:
    assert list(inspect.signature(example).parameters) == ["name", "first", "second", "flag"]
    assert (example.__name__, example.__doc__) == ("example", "Do something.")


def test_the_function_gets_the_group() -> None:
    GIVEN.clear()
    alone = typer.Typer(add_completion=False)
    alone.command()(example)
    for words in (["n"], ["n", "--first", "3", "--second", "x", "--flag"]):
        assert alone(words, standalone_mode=False) == 7
    assert [("n", Pair(), False), ("n", Pair(first=3, second="x"), True)] == GIVEN


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_of_a_command_is_declared_twice(name: str) -> None:
    built = typer.main.get_command(_alone(name))
    words = [word for parameter in built.params for word in (*parameter.opts, *parameter.secondary_opts)]
    assert len(words) == len(set(words))
    assert {parameter.name for parameter in built.params} == set(inspect.signature(function_of(name)).parameters)


def _alone(name: str) -> typer.Typer:
    alone = typer.Typer(add_completion=False)
    alone.command(name)(function_of(name))
    return alone
