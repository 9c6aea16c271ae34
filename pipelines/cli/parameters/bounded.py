"""The options that only one of the commands on files has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.cli.parameters.dead_letters import kind_names, reason_names
from beam_talonone.pipelines.cli.parameters.groups import Group, TemplateParameter
from beam_talonone.pipelines.cli.parameters.patterns import UP_TO_1000


@dataclass(frozen=True, kw_only=True)
class BackfillParameters(Group):
    """What a backfill sends, and in which order."""

    TITLE = "Job"

    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            metavar="N",
            parser=whole("--limit"),
            help="Send the first N records of each kind. --resume sends the rest, or with --limit the next N.",
        ),
    ] = None
    profiles_first: Annotated[
        bool,
        typer.Option("--profiles-first", help="Send all profiles before everything else."),
        TemplateParameter(
            label="Profiles first",
            help="true: send all profiles before everything else. Each shard does so for its own customers.",
        ),
    ] = False
    dry: Annotated[
        bool,
        typer.Option("--dry", help="Send with dry=true: nothing changes."),
        TemplateParameter(label="Dry run", help="true: send with dry=true, so that nothing changes."),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ShardParameters(Group):
    """How a backfill runs on another runner."""

    TITLE = "Runner"

    shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            metavar="N",
            parser=whole("--shards", 1, 1000),
            help="On another runner: the number of senders. Each has its share of the customers and of the rate.",
        ),
        TemplateParameter(
            label="Shards",
            help="The number of parts of the customers that are sent at the same time, each with its share of the "
            "rate. Resume a job with the same number. Default: one for each 1,000 of the rate.",
            pattern=UP_TO_1000,
            kind="NUMBER",
        ),
    ] = None
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="On another runner: start the job, and do not wait for its end.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class CheckParameters(Group):
    """Which requests a check shows, and of which run."""

    TITLE = "Check"

    show: Annotated[
        int, typer.Option("--show", metavar="N", parser=whole("--show", 0), help="Print the first N requests.")
    ] = 0
    dry: Annotated[bool, typer.Option("--dry", help="Show the requests of a dry run.")] = False
    results: Annotated[bool, typer.Option("--results", help="Show the requests of a run with --results.")] = False
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Also write the answers as one HTML page, such as check.html."),
    ] = None


def read_names() -> list[str]:
    """The operations that read, for the completion in a shell."""
    from beam_talonone.schemas.operations import OPERATIONS

    return [row.name for row in OPERATIONS.values() if row.is_read]


@dataclass(frozen=True, kw_only=True)
class LookupParameters(Group):
    """What a lookup reads, and from which files."""

    TITLE = "Input"

    operation: Annotated[
        str,
        typer.Argument(
            metavar="OPERATION",
            help="The operation to call, for example get_loyalty_balances.",
            autocompletion=read_names,
        ),
    ]
    input: Annotated[
        list[str],
        typer.Option(
            "--input",
            metavar="GLOB",
            help="JSONL or CSV files with the operation's parameters, in quotes. Repeatable.",
        ),
    ]
    format: Annotated[
        Literal["jsonl", "csv"] | None,
        typer.Option("--format", help="Format of all files. Default: the format that their names tell."),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", parser=whole("--limit"), help="Read the first N lines. --resume reads the rest."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ReplayParameters(Group):
    """Which dead letters are sent again."""

    TITLE = "Input"

    dead_letters: Annotated[
        str,
        typer.Argument(metavar="DEAD_LETTERS_GLOB", help="Files of dead letters, or a subscription of them."),
    ]
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="The --state of the stream that wrote these dead letters."),
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="REASON",
            help="Replay only dead letters of this reason, leave the others. Repeatable.",
            autocompletion=reason_names,
        ),
    ] = None
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Replay only dead letters of this kind, such as orders. Repeatable.",
            autocompletion=kind_names,
        ),
    ] = None
    set: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Set a field of each record before it is sent, such as currency=EUR or /items/0/quantity=2. "
            "VALUE is JSON, or a text without quotes. Repeatable.",
        ),
    ] = None
