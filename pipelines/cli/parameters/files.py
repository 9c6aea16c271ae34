"""The files that commands read and write, and the job that these belong to."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.cli.parameters.groups import Group, TemplateParameter
from beam_talonone.pipelines.cli.parameters.mappings import preset_names
from beam_talonone.pipelines.cli.parameters.patterns import BUCKET, NO_SPACE, TIME


@dataclass(frozen=True, kw_only=True)
class JobParameters(Group):
    """The folder of a job. `output` is a path of this machine; for a backfill on another runner also gs://."""

    TITLE = "Job"

    output: Annotated[
        str,
        typer.Option("--output", metavar="DIR", help="Folder for the report, dead letters and state."),
        TemplateParameter(
            label="Output folder",
            help="Folder for the report, dead letters and state of this job: gs://your-bucket/jobs/NAME. "
            "Each job has a folder of its own.",
            pattern=rf"{BUCKET}/[^\n\r*?\[\]]+",
            kind="GCS_WRITE_FOLDER",
            required=True,
        ),
    ]
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue the job in --output."),
        TemplateParameter(
            label="Resume",
            help="true: continue the job in the folder output. Inputs, base_url and the parameters that change "
            "requests must be the same as before.",
        ),
    ] = False


def _glob(kind: str, records: str) -> TemplateParameter:
    return TemplateParameter(
        label=records,
        help=f"Files of {records.lower()}: a Cloud Storage path or pattern, such as gs://your-bucket/{kind}/*.jsonl. "
        "The job needs at least one of orders, returns, profiles, events and calls.",
        pattern=rf"{BUCKET}/[^\n\r]+",
        kind="GCS_READ_FILE",
    )


_GLOB = typer.Option(metavar="GLOB", help="Files of these records, local or gs://, in quotes. Repeatable.")


@dataclass(frozen=True, kw_only=True)
class ReadableInputs(Group):
    """The files of the kinds that can be read back from the API."""

    TITLE = "Input"

    orders: Annotated[list[str] | None, _GLOB, _glob("orders", "Orders")] = None
    returns: Annotated[list[str] | None, _GLOB, _glob("returns", "Returns")] = None
    profiles: Annotated[list[str] | None, _GLOB, _glob("profiles", "Profile changes")] = None


@dataclass(frozen=True, kw_only=True)
class InputParameters(ReadableInputs):
    """The files of each kind."""

    events: Annotated[list[str] | None, _GLOB, _glob("events", "Events")] = None
    calls: Annotated[list[str] | None, _GLOB, _glob("calls", "Calls")] = None


@dataclass(frozen=True, kw_only=True)
class MappingParameters(Group):
    """What makes records of foreign documents."""

    TITLE = "Input"

    mapping: Annotated[
        str | None,
        typer.Option(
            "--mapping",
            metavar="NAME|FILE|pkg.mod:func",
            help="Make records of documents of another shape: a preset such as shopify, your file, or your function.",
            autocompletion=preset_names,
        ),
        TemplateParameter(
            label="Mapping of foreign documents",
            help="A preset such as shopify, or a mapping file or a Python function (pkg.mod:func) in the container "
            "image: makes records of documents of another shape.",
            pattern=NO_SPACE,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SelectionParameters(MappingParameters):
    """How files are read, and which of their records are used."""

    TITLE = "Input"

    join: Annotated[
        list[str] | None,
        typer.Option(
            "--join",
            metavar="NAME=GLOB",
            help="Files whose rows the mapping joins as NAME, in quotes. Repeatable.",
        ),
    ] = None
    format: Annotated[
        Literal["jsonl", "json", "avro", "csv", "parquet"] | None,
        typer.Option("--format", help="Format of all files. Default: the format that their names tell."),
        TemplateParameter(
            label="Format", help="Format of all files. Without it, the names of the files tell the format."
        ),
    ] = None
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="T", help="Leave out records before T."),
        TemplateParameter(
            label="From", help="Leave out records before this time, such as 2026-01-01T00:00:00Z.", pattern=TIME
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="T", help="Leave out records from T on."),
        TemplateParameter(label="Until", help="Leave out records from this time on.", pattern=TIME),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ResultParameters(Group):
    """Whether the effects of each record are kept."""

    TITLE = "Job"

    results: Annotated[
        bool,
        typer.Option("--results", help="Write the effects of each record to results/."),
        TemplateParameter(
            label="Results", help="true: request the effects of each record, and write them to results/ in output."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ConsentParameters(Group):
    """Whether the user has agreed to send."""

    TITLE = "Job"

    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Sending triggers live campaigns.")] = False
