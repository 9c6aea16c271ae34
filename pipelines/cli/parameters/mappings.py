"""The options of `mappings`."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.cli.parameters.groups import Group


@dataclass(frozen=True, kw_only=True)
class MappingsParameters(Group):
    """The action, and the presets, mapping files and samples that it takes."""

    TITLE = "Input"

    action: Annotated[
        Literal["show", "draft", "try"] | None,
        typer.Argument(
            metavar="show|draft|try",
            help="show NAME prints a preset. draft SAMPLE proposes a mapping for the documents of a file. try FILE "
            "SAMPLE shows what a mapping makes of them. Default: list the presets.",
        ),
    ] = None
    words: Annotated[
        list[str] | None, typer.Argument(metavar="NAME|FILE|SAMPLE", help="A preset, a mapping file, a sample.")
    ] = None
    show: Annotated[
        int,
        typer.Option("--show", metavar="N", parser=whole("--show", 0), help="try: show the first N documents."),
    ] = 3
