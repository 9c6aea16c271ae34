"""The options of the program itself, and of Beam."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

import beam_talonone
from beam_talonone.pipelines.cli.parameters.groups import Group, TemplateParameter

ENGINES = ("apache-beam", "httptools", "uvloop")
"""What runs the pipelines, and what sends: their versions belong into each report of a fault."""


def _show_version(requested: bool) -> None:
    if requested:
        import platform
        from importlib.metadata import version

        print(f"beam-talonone {beam_talonone.__version__}")
        print(f"Python {platform.python_version()}")
        for name in ENGINES:
            print(f"{name} {version(name)}")
        raise typer.Exit


@dataclass(frozen=True, kw_only=True)
class CommonParameters(Group):
    """The options of the program itself."""

    TITLE = "Program"

    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show tracebacks and Beam's own messages."),
        TemplateParameter(
            label="Debug", help="true: show tracebacks and Beam's own messages in the log of the launcher."
        ),
    ] = False
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False


@dataclass(frozen=True, kw_only=True)
class BeamParameters(Group):
    """The runner and its options."""

    TITLE = "Runner"

    runner_config: Annotated[
        Path | None,
        typer.Option("--runner-config", metavar="FILE", help="YAML file with the runner and options of Beam for it."),
    ] = None
    beam_args: Annotated[list[str] | None, typer.Argument(metavar="[-- BEAM_OPTIONS]", help="Options of Beam.")] = (
        None
    )
