"""The options of `report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.cli.parameters.groups import Group


@dataclass(frozen=True, kw_only=True)
class ReportParameters(Group):
    """Which job, and whether a browser shows its page."""

    TITLE = "Report"

    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The --output of a backfill, replay, verification or lookup."),
    ]
    open: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False
