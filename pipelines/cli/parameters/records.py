"""How records are read, and which requests they become."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.cli.parameters.groups import Group, TemplateParameter
from beam_talonone.pipelines.cli.parameters.patterns import BUCKET, DURATION, ZONE
from beam_talonone.schemas.decoding.settings import MAX_FUTURE, Ambiguous, UnknownFields


@dataclass(frozen=True, kw_only=True)
class UnknownApiFieldParameters(Group):
    """Whether names that only a newer API knows are sent."""

    TITLE = "Requests"

    allow_unknown_api_fields: Annotated[
        bool,
        typer.Option(
            "--allow-unknown-api-fields",
            help="Send names and enum values in calls and lookups that this version does not know, and count them.",
        ),
        TemplateParameter(
            label="Unknown names of the API",
            help="true: send and count names and enum values in calls that this version does not know. "
            "Without it, such a call is a dead letter.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class RequestParameters(UnknownApiFieldParameters):
    """Which requests the records become."""

    profile_mode: Annotated[
        Literal["bulk", "rules"],
        typer.Option(
            "--profile-mode",
            help="bulk: up to 1000 profiles in a request. rules: one profile in a request, with the rule engine.",
        ),
        TemplateParameter(
            label="Profile mode",
            help="bulk: many profile changes in a request. rules: one in a request, with the rule engine.",
        ),
    ] = "bulk"
    events_api: Annotated[
        Literal["v2", "v3"],
        typer.Option("--events-api", help="v3: events have ids of their own, and the API accepts each id only once."),
        TemplateParameter(label="Events API", help="v2, or v3, where events have ids of their own."),
    ] = "v2"


@dataclass(frozen=True, kw_only=True)
class EditParameters(Group):
    """What happens to a changed order whose session is closed."""

    TITLE = "Requests"

    edit_closed: Annotated[
        Literal["reopen"] | None,
        typer.Option("--edit-closed", help="reopen: reopen closed sessions to edit them."),
        TemplateParameter(
            label="Edit closed sessions",
            help="reopen: reopen a closed session to apply a newer version of its order. "
            "Without it, such an order is a dead letter.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class UnknownFieldParameters(Group):
    """What happens to fields of records that are not known."""

    TITLE = "Reading"

    unknown_fields: Annotated[
        UnknownFields | None,
        typer.Option(
            "--unknown-fields",
            help="refuse: a record with an unknown field is a dead letter. ignore: it is not. "
            "Default: it is if the field resembles a known one.",
        ),
        TemplateParameter(
            label="Unknown fields",
            help="refuse: a record with an unknown field is a dead letter. ignore: it is not. "
            "Without it, the record is a dead letter if the field resembles a known one.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class AttributeParameters(Group):
    """Which attributes the account defines."""

    TITLE = "Reading"

    attributes: Annotated[
        str | None,
        typer.Option(
            "--attributes",
            metavar="FILE",
            help="List of the attributes of the account, local or gs://: the JSON of GET /v1/attributes, or a line "
            "Entity.name each.",
        ),
        TemplateParameter(
            label="Attributes of the account",
            help="List of the attributes of the account: the JSON of GET /v1/attributes, or a line Entity.name each.",
            pattern=rf"{BUCKET}/[^\n\r*?\[\]]+",
            kind="GCS_READ_FILE",
        ),
    ] = None
    unknown_attributes: Annotated[
        Literal["fail", "drop"] | None,
        typer.Option(
            "--unknown-attributes",
            help="With --attributes. drop: leave out attributes that are not listed. fail: such a record is a dead "
            "letter, as without this option.",
        ),
        TemplateParameter(
            label="Other attributes",
            help="fail: a record with an attribute that is not listed is a dead letter, as without it. drop: the "
            "attribute is left out.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ReadingParameters(UnknownFieldParameters):
    """How the times and fields of records are read."""

    assume_timezone: Annotated[
        str | None,
        typer.Option("--assume-timezone", metavar="ZONE", help="Time zone of times without an offset."),
        TemplateParameter(
            label="Time zone of times without an offset",
            help="Such as Europe/Berlin. Without it, a time without an offset is invalid.",
            pattern=ZONE,
        ),
    ] = None
    ambiguous_time: Annotated[
        Ambiguous | None,
        typer.Option(
            "--ambiguous-time", help="Which instant a local time means that occurs twice or never, as clocks change."
        ),
        TemplateParameter(
            label="Local times that occur twice or never",
            help="When clocks change, a local time can stand for two instants: earlier or later chooses one. "
            "Without it, the record is a dead letter.",
        ),
    ] = None
    max_future: Annotated[
        str,
        typer.Option(
            "--max-future", metavar="DURATION", help="How far ahead an event time may be: 90s, 30m, 12h, 7d."
        ),
        TemplateParameter(
            label="How far ahead an event time may be",
            help="Such as 90s, 30m, 12h or 7d. A record with a later event time is a dead letter.",
            pattern=DURATION,
        ),
    ] = MAX_FUTURE
