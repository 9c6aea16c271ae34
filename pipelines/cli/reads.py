"""The commands that only read, as they are typed."""

from typing import Annotated, Literal

import typer

from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.cli.commands import (
    AmbiguousOption,
    BaseUrl,
    BeamArgs,
    CaBundle,
    Client,
    ClientCert,
    Concurrency,
    Format,
    GiveUp,
    Glob,
    Insecure,
    KeySecret,
    MaxDead,
    MaxFuture,
    Output,
    Rate,
    RateService,
    Resume,
    RunnerConfig,
    Since,
    UnknownApiFields,
    UnknownFieldsOption,
    Until,
    Zone,
    given_globs,
    http_settings,
    input_options,
    one_or_several,
    sending_options,
)
from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.runners.runner_config import runner_args
from beam_talonone.schemas.decoding.settings import MAX_FUTURE
from beam_talonone.schemas.records import LOOKUPS
from beam_talonone.talonone.errors import ConfigurationError


def verify(
    output: Output,
    orders: Glob = None,
    returns: Glob = None,
    profiles: Glob = None,
    resume: Resume = False,
    since: Since = None,
    until: Until = None,
    format: Format = None,
    assume_timezone: Zone = None,
    ambiguous_time: AmbiguousOption = None,
    max_future: MaxFuture = MAX_FUTURE,
    unknown_fields: UnknownFieldsOption = None,
    base_url: BaseUrl = None,
    api_key_secret: KeySecret = None,
    rate: Rate = 100.0,
    rate_service: RateService = None,
    concurrency: Concurrency = 64,
    http_client: Client = "auto",
    client_cert: ClientCert = None,
    ca_bundle: CaBundle = None,
    insecure: Insecure = False,
    give_up_after: GiveUp = 300.0,
    max_dead_letters: MaxDead = "50%",
    runner_config: RunnerConfig = None,
    beam_args: BeamArgs = None,
) -> int:
    """Read back what a backfill of these files leads to, and tell each difference. Nothing is changed."""
    if not (orders or returns or profiles):
        raise ConfigurationError("no input: give at least one of --orders, --returns, --profiles")
    globs = given_globs(orders=orders, returns=returns, profiles=profiles, events=None, calls=None)
    given = input_options(
        globs, format, assume_timezone, since, until, ambiguous_time=ambiguous_time, max_future=max_future,
        unknown_fields=unknown_fields,
    )  # fmt: skip
    options = BackfillOptions(
        given,
        sending_options(
            base_url,
            rate,
            concurrency,
            give_up_after,
            max_dead_letters,
            None,
            api_key_secret,
            rate_service,
            http_settings(http_client, client_cert, ca_bundle, insecure),
        ),
        output,
        resume,
        beam_args=runner_args(runner_config, beam_args),
        command="verify",
    )
    from beam_talonone.pipelines.verify.job import run_verify

    return run_verify(options)


def lookup(
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION", help="What to read, for example get_loyalty_balances.")
    ],
    input: Annotated[
        list[str],
        typer.Option(
            "--input", metavar="GLOB", help="JSONL or CSV files of what the operation needs, quoted; repeatable."
        ),
    ],
    output: Output,
    resume: Resume = False,
    format: Annotated[
        Literal["jsonl", "csv"] | None, typer.Option("--format", help="Format of all files, instead of their names'.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", parser=whole("--limit"), help="Read N, then stop; look, then --resume."),
    ] = None,
    allow_unknown_api_fields: UnknownApiFields = False,
    unknown_fields: UnknownFieldsOption = None,
    base_url: BaseUrl = None,
    api_key_secret: KeySecret = None,
    rate: Rate = 100.0,
    rate_service: RateService = None,
    concurrency: Concurrency = 64,
    http_client: Client = "auto",
    client_cert: ClientCert = None,
    ca_bundle: CaBundle = None,
    insecure: Insecure = False,
    give_up_after: GiveUp = 300.0,
    max_dead_letters: MaxDead = "50%",
    runner_config: RunnerConfig = None,
    beam_args: BeamArgs = None,
) -> int:
    """Read from the API for each line of a file of ids: all pages, at the rate, resumable."""
    from beam_talonone.transforms.reads.prepare import read_operation

    row = read_operation(operation)
    options = BackfillOptions(
        input_options(
            {LOOKUPS: one_or_several(input)},
            format,
            operation=row.name,
            allow_unknown_api_fields=allow_unknown_api_fields,
            unknown_fields=unknown_fields,
        ),
        sending_options(
            base_url,
            rate,
            concurrency,
            give_up_after,
            max_dead_letters,
            None,
            api_key_secret,
            rate_service,
            http_settings(http_client, client_cert, ca_bundle, insecure),
        ),
        output,
        resume,
        limit,
        runner_args(runner_config, beam_args),
        command="lookup",
    )
    from beam_talonone.pipelines.lookup.job import Lookup
    from beam_talonone.pipelines.terminal.console import run_with_progress

    return run_with_progress(Lookup, options)
