"""The parameters that several commands have, each declared once: single ones as types, those that go together as
groups.

A group is a dataclass whose fields are parameters of the command line. `with_groups` puts the fields in the place of
the group.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from beam_talonone.pipelines.cli.numbers import a_second, seconds_of, whole
from beam_talonone.schemas.decoding.settings import MAX_FUTURE, Ambiguous, UnknownFields

Glob = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Files of these records, local or gs://, quoted; repeatable.")
]
Format = Annotated[
    Literal["jsonl", "avro", "csv", "parquet"] | None,
    typer.Option("--format", help="Format of all files, instead of telling it by their names."),
]
OUTPUT = typer.Option("--output", metavar="DIR", help="Folder for the report, dead letters and state.")
Output = Annotated[Path, OUTPUT]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the job in --output.")]
Since = Annotated[str | None, typer.Option("--since", metavar="T", help="Leave out records before T.")]
Until = Annotated[str | None, typer.Option("--until", metavar="T", help="Leave out records from T on.")]
Results = Annotated[bool, typer.Option("--results", help="Write results/ with the effects of each record.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask: sending triggers live campaigns.")]
EditClosed = Annotated[
    Literal["reopen"] | None, typer.Option("--edit-closed", help="Reopen sessions that are closed to edit them.")
]
AllowUnknownApiFields = Annotated[
    bool,
    typer.Option(
        "--allow-unknown-api-fields",
        help="Send names and enum values in calls and lookups that this version does not know, and count them.",
    ),
]
UnknownFieldsOption = Annotated[
    UnknownFields | None,
    typer.Option(
        "--unknown-fields",
        help="refuse: each is a dead letter; ignore: none is; else those that resemble a known field are.",
    ),
]
Rate = Annotated[
    float, typer.Option("--rate", metavar="N", parser=a_second, help="Requests a second for the whole job.")
]


@dataclass(frozen=True, kw_only=True)
class InputParameters:
    """The files of each kind."""

    orders: Glob = None
    returns: Glob = None
    profiles: Glob = None
    events: Glob = None
    calls: Glob = None


@dataclass(frozen=True, kw_only=True)
class RequestParameters:
    """What records are turned into."""

    profile_mode: Annotated[
        Literal["bulk", "rules"],
        typer.Option(
            "--profile-mode", help="bulk: up to 1000 profiles a request; rules: one each, with the rule engine."
        ),
    ] = "bulk"
    events_api: Annotated[
        Literal["v2", "v3"],
        typer.Option("--events-api", help="v3: events have ids of their own, and are taken once for ever."),
    ] = "v2"
    allow_unknown_api_fields: AllowUnknownApiFields = False


@dataclass(frozen=True, kw_only=True)
class ReadingParameters:
    """How records are read."""

    assume_timezone: Annotated[
        str | None, typer.Option("--assume-timezone", metavar="ZONE", help="Zone of times without an offset.")
    ] = None
    ambiguous_time: Annotated[
        Ambiguous | None,
        typer.Option("--ambiguous-time", help="Which instant is meant where a local time occurs twice or never."),
    ] = None
    max_future: Annotated[
        str,
        typer.Option(
            "--max-future", metavar="DURATION", help="How far ahead an event time may be: 90s, 30m, 12h, 7d."
        ),
    ] = MAX_FUTURE
    unknown_fields: UnknownFieldsOption = None


@dataclass(frozen=True, kw_only=True)
class ApiParameters:
    """Which deployment is called, with which key, how fast, and over which connection."""

    base_url: Annotated[
        str | None, typer.Option("--base-url", envvar="TALONONE_BASE_URL", help="The deployment's address.")
    ] = None
    api_key_secret: Annotated[
        str | None,
        typer.Option(
            "--api-key-secret",
            metavar="SECRET",
            help="The API key in Secret Manager, instead of TALONONE_API_KEY: "
            "projects/P/secrets/S, or .../versions/V.",
        ),
    ] = None
    rate: Rate = 100.0
    rate_service: Annotated[
        str | None,
        typer.Option(
            "--rate-service",
            metavar="HOST:PORT",
            help="Envoy's rate limit service, for one limit over many processes; --rate is then the most of each.",
        ),
    ] = None
    concurrency: Annotated[
        int,
        typer.Option("--concurrency", metavar="N", parser=whole("--concurrency"), help="Requests in flight at most."),
    ] = 64
    http_client: Annotated[
        Literal["auto", "fast", "httpx"],
        typer.Option("--http-client", help="auto: fast, or httpx where HTTPS_PROXY or ALL_PROXY applies."),
    ] = "auto"
    client_cert: Annotated[
        str | None,
        typer.Option("--client-cert", metavar="FILE", help="A client certificate and its key, in PEM format."),
    ] = None
    ca_bundle: Annotated[
        str | None,
        typer.Option(
            "--ca-bundle", metavar="FILE", help="Authorities to trust instead of the system's, in PEM format."
        ),
    ] = None
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow http:// to other hosts: the API key travels in clear text.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class LimitParameters:
    """When a run that ends by itself gives up."""

    give_up_after: Annotated[
        float,
        typer.Option(
            "--give-up-after",
            metavar="SECONDS",
            parser=seconds_of("--give-up-after"),
            help="How long the API may be unreachable.",
        ),
    ] = 300.0
    max_dead_letters: Annotated[
        str,
        typer.Option(
            "--max-dead-letters",
            metavar="N|P%",
            help="More dead letters than this end the run with 1. A share applies from 1,000 records on.",
        ),
    ] = "50%"


@dataclass(frozen=True, kw_only=True)
class BeamParameters:
    """The runner and its options."""

    runner_config: Annotated[
        Path | None,
        typer.Option(
            "--runner-config", metavar="FILE", help="A YAML file: the runner, and Beam's own options for it."
        ),
    ] = None
    beam_args: Annotated[
        list[str] | None, typer.Argument(metavar="[-- BEAM_OPTIONS]", help="Beam's own options.")
    ] = None


def with_groups(function: Callable[..., int]) -> Callable[..., int]:
    """`function` as typer reads and calls it: the fields of each group stand as parameters in the group's place."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}

    @functools.wraps(function)
    def command(**given: Any) -> int:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return function(**given)

    parameters = list(_parameters(function, hints, groups))
    command.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _parameters(
    function: Callable[..., int], hints: dict[str, Any], groups: dict[str, Any]
) -> Iterator[inspect.Parameter]:
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            yield from inspect.signature(groups[name]).parameters.values()
        else:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
