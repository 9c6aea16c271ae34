"""The deployment that is called, how fast, and when a run gives up."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.cli.numbers import a_second, seconds_of, whole
from beam_talonone.pipelines.cli.parameters.groups import Group, TemplateParameter
from beam_talonone.pipelines.cli.parameters.patterns import (
    ABOVE_ZERO,
    FILE_IN_IMAGE,
    HOST_PORT,
    SECRET,
    SHARE,
    URL,
    WHOLE,
)


@dataclass(frozen=True, kw_only=True)
class RateParameters(Group):
    """How fast requests are sent, in requests per second."""

    TITLE = "Talon.One"

    rate: Annotated[
        float,
        typer.Option("--rate", metavar="N", parser=a_second, help="Requests per second of the whole job."),
        TemplateParameter(
            label="Requests per second",
            help="The most requests per second of the whole job.",
            stream_help="The most requests per second of all workers together: each has its share.",
            pattern=ABOVE_ZERO,
            kind="NUMBER",
        ),
    ] = 100.0


@dataclass(frozen=True, kw_only=True)
class ApiParameters(RateParameters):
    """Which deployment is called, with which key, how fast, and over which connection."""

    base_url: Annotated[
        str | None,
        typer.Option("--base-url", envvar="TALONONE_BASE_URL", metavar="URL", help="Address of the deployment."),
        TemplateParameter(
            label="Base URL",
            help="Address of your Talon.One deployment, such as https://yourcompany.europe-west1.talon.one.",
            pattern=URL,
            required=True,
        ),
    ] = None
    api_key_secret: Annotated[
        str | None,
        typer.Option(
            "--api-key-secret",
            metavar="SECRET",
            help="Secret in Secret Manager with the API key, instead of TALONONE_API_KEY: "
            "projects/P/secrets/S, or .../versions/V.",
        ),
        TemplateParameter(
            label="Secret with the API key",
            help="Name of the secret in Secret Manager that holds the API key: "
            "projects/your-project/secrets/talonone-api-key, with /versions/N for a fixed version. "
            "The key itself is never a parameter.",
            pattern=SECRET,
            required=True,
        ),
    ] = None
    rate_service: Annotated[
        str | None,
        typer.Option(
            "--rate-service",
            metavar="HOST:PORT",
            help="Envoy's rate limit service, for one limit of many processes. --rate then limits each process.",
        ),
        TemplateParameter(
            label="Rate limit service",
            help="HOST:PORT of Envoy's rate limit service as the workers reach it, in plain text: one limit for all "
            "workers. rate then limits each worker.",
            pattern=HOST_PORT,
        ),
    ] = None
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency", metavar="N", parser=whole("--concurrency"), help="The most requests in flight."
        ),
        TemplateParameter(
            label="Requests in flight",
            help="The most requests in flight, in each process that sends.",
            pattern=WHOLE,
            kind="NUMBER",
        ),
    ] = 64
    http_client: Annotated[
        Literal["auto", "fast", "httpx"],
        typer.Option("--http-client", help="auto: fast, or httpx where HTTPS_PROXY or ALL_PROXY applies."),
        TemplateParameter(
            label="HTTP client",
            help="auto: the fast client, or httpx where the workers' environment names a proxy for the API.",
        ),
    ] = "auto"
    client_cert: Annotated[
        str | None,
        typer.Option("--client-cert", metavar="FILE", help="A client certificate and its key, in PEM format."),
        TemplateParameter(
            label="Client certificate",
            help="A file in the workers' image with a client certificate and its key, in PEM format.",
            pattern=FILE_IN_IMAGE,
        ),
    ] = None
    ca_bundle: Annotated[
        str | None,
        typer.Option(
            "--ca-bundle", metavar="FILE", help="Authorities to trust instead of the system's, in PEM format."
        ),
        TemplateParameter(
            label="Certificate authorities",
            help="A file in the workers' image with the authorities to trust instead of the system's, in PEM format.",
            pattern=FILE_IN_IMAGE,
        ),
    ] = None
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Allow http:// to other hosts: the API key travels in clear text."),
        TemplateParameter(
            label="Allow plain HTTP",
            help="true: allow a base URL that begins with http://. The API key then travels in clear text.",
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class LimitParameters(Group):
    """When a run that ends by itself gives up."""

    TITLE = "Limits"

    give_up_after: Annotated[
        float,
        typer.Option(
            "--give-up-after",
            metavar="SECONDS",
            parser=seconds_of("--give-up-after"),
            help="How long the API may be unreachable.",
        ),
        TemplateParameter(
            label="Give up after",
            help="Seconds that the API may be unreachable before the job fails.",
            pattern=ABOVE_ZERO,
            kind="NUMBER",
        ),
    ] = 300.0
    api_is_up: Annotated[
        bool,
        typer.Option(
            "--api-is-up",
            help="You know that the API works: records that it keeps answering with 500 become dead letters, however "
            "many they are.",
        ),
        TemplateParameter(
            label="The API is up",
            help="true: you know that the API works. Records that it keeps answering with 500 become dead letters, "
            "however many they are.",
        ),
    ] = False
    max_dead_letters: Annotated[
        str,
        typer.Option(
            "--max-dead-letters",
            metavar="N|P%",
            help="More dead letters than this end the run with 1. A share applies from 1,000 records on.",
        ),
        TemplateParameter(
            label="Most dead letters",
            help="More dead letters than this fail the job: a number, or a share such as 10%, which applies from "
            "1,000 records on.",
            pattern=SHARE,
        ),
    ] = "50%"
