"""The commands as they are typed. Each checks what was given, and hands over to the module that does it.

That module is imported only then: importing Beam takes seconds, and a wrong option should be told at once.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from beam_talonone.pipelines.backfill.options import (
    KINDS,
    InputOptions,
    SendingOptions,
    parse_max_dead_letters,
    parse_time_option,
)
from beam_talonone.pipelines.cli.numbers import a_second, seconds_of, whole
from beam_talonone.pipelines.runners.runner_config import runner_args
from beam_talonone.pipelines.sinks.sinks import is_subscription, is_topic
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.schemas.decoding.settings import MAX_FUTURE, Ambiguous, UnknownFields
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.client_choice import DEFAULT, HttpSettings, route_to
from beam_talonone.talonone.http.tls import Tls

Glob = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Files of these records, local or gs://, quoted; repeatable.")
]
Format = Annotated[
    Literal["jsonl", "avro", "csv", "parquet"] | None,
    typer.Option("--format", help="Format of all files, instead of telling it by their names."),
]
Zone = Annotated[
    str | None, typer.Option("--assume-timezone", metavar="ZONE", help="Zone of times without an offset.")
]
AmbiguousOption = Annotated[
    Ambiguous | None,
    typer.Option("--ambiguous-time", help="Which instant is meant where a local time occurs twice or never."),
]
MaxFuture = Annotated[
    str,
    typer.Option("--max-future", metavar="DURATION", help="How far ahead an event time may be: 90s, 30m, 12h, 7d."),
]
UnknownFieldsOption = Annotated[
    UnknownFields | None,
    typer.Option(
        "--unknown-fields",
        help="refuse: each is a dead letter; ignore: none is; else those that resemble a known field are.",
    ),
]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", envvar="TALONONE_BASE_URL", help="The deployment's address.")
]
KeySecret = Annotated[
    str | None,
    typer.Option(
        "--api-key-secret",
        metavar="SECRET",
        help="The API key in Secret Manager, instead of TALONONE_API_KEY: projects/P/secrets/S, or .../versions/V.",
    ),
]
Rate = Annotated[
    float, typer.Option("--rate", metavar="N", parser=a_second, help="Requests a second for the whole job.")
]
RateService = Annotated[
    str | None,
    typer.Option(
        "--rate-service",
        metavar="HOST:PORT",
        help="Envoy's rate limit service, for one limit over many processes; --rate is then the most of each.",
    ),
]
Client = Annotated[
    Literal["auto", "fast", "httpx"],
    typer.Option("--http-client", help="auto: fast, or httpx where HTTPS_PROXY or ALL_PROXY applies."),
]
ClientCert = Annotated[
    str | None,
    typer.Option("--client-cert", metavar="FILE", help="A client certificate and its key, in PEM format."),
]
CaBundle = Annotated[
    str | None,
    typer.Option("--ca-bundle", metavar="FILE", help="Authorities to trust instead of the system's, in PEM format."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Allow http:// to other hosts: the API key travels in clear text.")
]
Concurrency = Annotated[
    int,
    typer.Option("--concurrency", metavar="N", parser=whole("--concurrency"), help="Requests in flight at most."),
]
GiveUp = Annotated[
    float,
    typer.Option(
        "--give-up-after",
        metavar="SECONDS",
        parser=seconds_of("--give-up-after"),
        help="How long the API may be unreachable.",
    ),
]
MaxDead = Annotated[
    str,
    typer.Option(
        "--max-dead-letters",
        metavar="N|P%",
        help="More dead letters than this end the run with 1; a share is judged from 1,000 records on.",
    ),
]
Output = Annotated[
    Path, typer.Option("--output", metavar="DIR", help="Folder for the report, dead letters and state.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask: sending triggers live campaigns.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the job in --output.")]
Mode = Annotated[
    Literal["bulk", "rules"],
    typer.Option(
        "--profile-mode", help="bulk: up to 1000 profiles a request; rules: one each, with the rule engine."
    ),
]
EventsApi = Annotated[
    Literal["v2", "v3"],
    typer.Option("--events-api", help="v3: events have ids of their own, and are taken once for ever."),
]
UnknownApiFields = Annotated[
    bool,
    typer.Option(
        "--allow-unknown-api-fields",
        help="Send names and enum values in calls and lookups that this version does not know, and count them.",
    ),
]
EditClosed = Annotated[
    Literal["reopen"] | None, typer.Option("--edit-closed", help="Reopen sessions that are closed to edit them.")
]
Since = Annotated[str | None, typer.Option("--since", metavar="T", help="Leave out records before T.")]
Until = Annotated[str | None, typer.Option("--until", metavar="T", help="Leave out records from T on.")]
ProfilesFirst = Annotated[bool, typer.Option("--profiles-first", help="Send all profiles before everything else.")]
RunnerConfig = Annotated[
    Path | None,
    typer.Option("--runner-config", metavar="FILE", help="A YAML file: the runner, and Beam's own options for it."),
]
BeamArgs = Annotated[list[str] | None, typer.Argument(metavar="[-- BEAM_OPTIONS]", help="Beam's own options.")]


def replay(
    dead_letters: Annotated[
        str, typer.Argument(metavar="DEAD_LETTERS_GLOB", help="Files of dead letters, or a subscription of them.")
    ],
    output: Output,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="The --state of the stream whose letters they are.")
    ] = None,
    resume: Resume = False,
    edit_closed: EditClosed = None,
    profile_mode: Mode = "bulk",
    events_api: EventsApi = "v2",
    allow_unknown_api_fields: UnknownApiFields = False,
    results: Annotated[
        bool, typer.Option("--results", help="Write results/ with the effects of each record.")
    ] = False,
    yes: Yes = False,
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
    """Send dead letters again: one pass, never over what the same job has applied since."""
    subscription = letters_subscription(dead_letters)
    globs: dict[str, str | tuple[str, ...]] = {} if subscription is not None else {"dead_letters": dead_letters}
    given = input_options(
        globs, "jsonl", assume_timezone, profile_mode=profile_mode, results=results, events_api=events_api,
        allow_unknown_api_fields=allow_unknown_api_fields,
        ambiguous_time=ambiguous_time, max_future=max_future, unknown_fields=unknown_fields,
    )  # fmt: skip
    sending = sending_options(
        base_url, rate, concurrency, give_up_after, max_dead_letters, edit_closed, api_key_secret, rate_service,
        http_settings(http_client, client_cert, ca_bundle, insecure),
    )  # fmt: skip
    confirm(yes, f"Closed sessions trigger live campaigns at {sending.base_url}. Go on?")
    from beam_talonone.pipelines.replay.job import Replay, ReplayOptions
    from beam_talonone.pipelines.terminal.console import run_with_progress

    options = ReplayOptions(
        given, sending, output, resume, None, runner_args(runner_config, beam_args),
        subscription=subscription, state=state,
    )  # fmt: skip
    return run_with_progress(Replay, options, replayable=True)


def letters_subscription(given: str) -> str | None:
    """The subscription that `replay` was given, None for files. Raises ConfigurationError for what is neither."""
    if is_subscription(given):
        return given
    if is_topic(given):
        raise ConfigurationError(f"DEAD_LETTERS_GLOB {given} is a topic: name a subscription of it")
    if re.match(r"projects/[^/]*/(subscriptions|topics)/", given):
        raise ConfigurationError(f"DEAD_LETTERS_GLOB {given} is no subscription: projects/P/subscriptions/S is one")
    return None


def check(
    orders: Glob = None,
    returns: Glob = None,
    profiles: Glob = None,
    events: Glob = None,
    calls: Glob = None,
    show: Annotated[
        int, typer.Option("--show", metavar="N", parser=whole("--show", 0), help="Print the first N requests.")
    ] = 0,
    since: Since = None,
    until: Until = None,
    profile_mode: Mode = "bulk",
    events_api: EventsApi = "v2",
    allow_unknown_api_fields: UnknownApiFields = False,
    dry: Annotated[bool, typer.Option("--dry", help="As the requests of a dry run.")] = False,
    results: Annotated[bool, typer.Option("--results", help="As the requests of a run with --results.")] = False,
    format: Format = None,
    assume_timezone: Zone = None,
    ambiguous_time: AmbiguousOption = None,
    max_future: MaxFuture = MAX_FUTURE,
    unknown_fields: UnknownFieldsOption = None,
    rate: Rate = 100.0,
    runner_config: RunnerConfig = None,
    beam_args: BeamArgs = None,
) -> int:
    """Decode, map and validate everything, and tell what a backfill would send. No network."""
    globs = given_globs(orders=orders, returns=returns, profiles=profiles, events=events, calls=calls)
    options = input_options(
        globs, format, assume_timezone, since, until, profile_mode=profile_mode, dry=dry, results=results,
        events_api=events_api, allow_unknown_api_fields=allow_unknown_api_fields, ambiguous_time=ambiguous_time,
        max_future=max_future, unknown_fields=unknown_fields,
    )  # fmt: skip
    from beam_talonone.pipelines.backfill.check import run_check

    return run_check(options, positive("--rate", rate), show, runner_args(runner_config, beam_args))


def demo(
    rate: Rate = 100.0,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the demo leaves its files.")] = Path(
        "demo-output"
    ),
    stream: Annotated[
        bool, typer.Option("--stream", help="The same as a stream; needs the Pub/Sub emulator and Prism.")
    ] = False,
) -> int:
    """Simulator, sample data with every kind of trouble, a backfill with faults on, and its account."""
    if stream:
        from beam_talonone.pipelines.demo.stream import run_demo_stream

        return run_demo_stream(positive("--rate", rate), output)
    from beam_talonone.pipelines.demo.backfill import run_demo

    return run_demo(positive("--rate", rate), output)


def given_globs(**globs: list[str] | None) -> dict[str, str | tuple[str, ...]]:
    """The inputs that were given, in the order of kinds. Raises ConfigurationError for none."""
    found = {kind: one_or_several(patterns) for kind in KINDS if (patterns := globs[kind])}
    if not found:
        raise ConfigurationError("no input: give at least one of --orders, --returns, --profiles, --events, --calls")
    return found


def one_or_several(patterns: list[str]) -> str | tuple[str, ...]:
    """The pattern that was given alone, or all of them; what was given twice counts once."""
    different = tuple(dict.fromkeys(patterns))
    return different[0] if len(different) == 1 else different


def input_options(
    globs: dict[str, str | tuple[str, ...]],
    format_name: Any,
    zone: str | None = None,
    since: str | None = None,
    until: str | None = None,
    **rest: Any,
) -> InputOptions:
    """InputOptions of what was typed; `rest` are its other fields. Raises ConfigurationError."""
    given = InputOptions(globs, format_name, zone, **rest)
    reading = given.reading()
    return replace(
        given,
        since=parse_time_option("--since", since, reading),
        until=parse_time_option("--until", until, reading),
    )


def sending_options(
    base_url: str | None,
    rate: float,
    concurrency: int,
    give_up: float,
    max_dead: str,
    edit_closed: str | None,
    api_key_secret: str | None,
    rate_service: str | None = None,
    http: HttpSettings = DEFAULT,
) -> SendingOptions:
    """SendingOptions of what was typed. Raises ConfigurationError."""
    from beam_talonone.talonone.http.address import check_base_url
    from beam_talonone.talonone.http.api_key import check_secret_name
    from beam_talonone.transforms.runtime.rate_service import check_address

    if not base_url:
        raise ConfigurationError("no base URL: give --base-url or set TALONONE_BASE_URL")
    route_to(base_url, http)
    return SendingOptions(
        check_base_url(base_url),
        api_key_secret=None if api_key_secret is None else check_secret_name(api_key_secret),
        rate=positive("--rate", rate),
        rate_service=None if rate_service is None else check_address(rate_service),
        concurrency=int(positive("--concurrency", concurrency)),
        give_up_after=positive("--give-up-after", give_up),
        max_dead_letters=parse_max_dead_letters(max_dead),
        edit_closed=edit_closed,
        http=http,
    )


def http_settings(client: Any, client_cert: str | None, ca_bundle: str | None, insecure: bool) -> HttpSettings:
    """How the API is reached, of what was typed."""
    return HttpSettings(client, Tls(client_cert, ca_bundle), insecure)


def positive(name: str, value: float) -> float:
    """`value`, if it is above 0 and finite. Raises ConfigurationError that names the option."""
    if not 0 < value < 1e6:
        raise ConfigurationError(f"{name} takes a number above 0 and below a million, not {value:g}")
    return value


def confirm(yes: bool, question: str) -> None:
    """Ask the person at the terminal. Raises ConfigurationError when there is none, or the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("this sends to a live deployment: say --yes, as nobody is here to be asked")
    with STOP.raising():
        agreed = typer.confirm(question, err=True)
    if not agreed:
        raise ConfigurationError("nothing was sent")
