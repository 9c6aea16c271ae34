"""How the progress of a job is shown."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.cli.parameters.groups import Group


@dataclass(frozen=True, kw_only=True)
class ProgressParameters(Group):
    """How the progress of a job in this process is shown on stderr."""

    TITLE = "Program"

    progress: Annotated[
        Literal["auto", "none", "plain", "bar", "json"],
        typer.Option(
            "--progress",
            help="How progress is shown on stderr. auto: bar on a terminal, else plain, a line every 30 s.",
        ),
    ] = "auto"
