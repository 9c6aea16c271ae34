"""The options about dead letters: which of them, and what becomes of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.cli.parameters.groups import Group
from beam_talonone.schemas.kinds import DEAD_LETTER_KINDS


def reason_names() -> list[str]:
    """The reasons of dead letters, for the completion in a shell."""
    from beam_talonone.schemas.reasons import Reason

    return [reason.value for reason in Reason]


def kind_names() -> list[str]:
    """The kinds of dead letters, for the completion in a shell."""
    return list(DEAD_LETTER_KINDS)


@dataclass(frozen=True, kw_only=True)
class NarrowingParameters(Group):
    """Which dead letters are looked at."""

    TITLE = "Dead letters"

    reason: Annotated[
        list[str] | None,
        typer.Option(
            "--reason",
            metavar="REASON",
            help="Only dead letters of this reason. Repeatable.",
            autocompletion=reason_names,
        ),
    ] = None
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Only dead letters of this kind, such as orders. Repeatable.",
            autocompletion=kind_names,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class DeadLettersParameters(Group):
    """Where the dead letters are, and how they are shown."""

    TITLE = "Dead letters"

    places: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR|GLOB", help="The --output of a job, the folder of a stream, or files. Local or gs://."
        ),
    ]
    show: Annotated[
        int,
        typer.Option(
            "--show", metavar="N", parser=whole("--show", 0), help="Show the first N dead letters of each reason."
        ),
    ] = 3
    export: Annotated[
        Literal["csv", "jsonl"] | None,
        typer.Option(
            "--export",
            help="Write the dead letters instead of a summary. csv: for a spreadsheet. jsonl: unchanged, for replay.",
        ),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="With --export: a new file to write. Default: stdout."),
    ] = None
