"""From the parameters as they are typed to the settings of a run, checked."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.options import (
    InputOptions,
    SendingOptions,
    parse_max_dead_letters,
    parse_time_option,
)
from beam_talonone.pipelines.backfill.output_folder import check_begun
from beam_talonone.pipelines.cli.numbers import positive
from beam_talonone.pipelines.cli.parameters.api import ApiParameters, LimitParameters
from beam_talonone.pipelines.cli.parameters.files import JobParameters, SelectionParameters
from beam_talonone.pipelines.cli.parameters.program import BeamParameters
from beam_talonone.pipelines.cli.parameters.records import (
    AttributeParameters,
    EditParameters,
    ReadingParameters,
    RequestParameters,
)
from beam_talonone.pipelines.runners.runner_config import runner_args
from beam_talonone.schemas.decoding.account_attributes import AccountAttributes
from beam_talonone.schemas.kinds import DEAD_LETTER_KINDS, KINDS, LETTERS, RECORDS
from beam_talonone.schemas.reasons import Reason
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.address import check_base_url
from beam_talonone.talonone.http.api_key import check_secret_name
from beam_talonone.talonone.http.client_choice import HttpSettings, route_to
from beam_talonone.talonone.http.tls import Tls
from beam_talonone.talonone.streaming.message_source import FILES
from beam_talonone.transforms.mapping.result import Mapping as Converts
from beam_talonone.transforms.outputs.sinks import is_subscription, names_hint


def refuse_output(job: JobParameters) -> None:
    """Raises ConfigurationError where --resume does not fit the folder of --output, before anything is asked."""
    if job.output and ":/" not in job.output:
        with suppress(OSError):  # the job itself says why the folder cannot be used
            check_begun(Path(job.output), resume=job.resume)


def globs_of(**globs: list[str] | None) -> dict[str, str | tuple[str, ...]]:
    """The inputs that were given, in the order of kinds. Raises ConfigurationError for none."""
    inputs = {kind: one_or_several(patterns) for kind in KINDS if (patterns := globs.get(kind))}
    if not inputs:
        raise ConfigurationError("no input: give at least one of --orders, --returns, --profiles, --events, --calls")
    return inputs


def subscriptions_of(by_kind: Mapping[str, list[str] | None]) -> dict[str, tuple[str, ...]]:
    """The subscriptions of each kind, of RECORDS and of FILES, in the order in which they were given.

    Raises ConfigurationError for none at all, for a name that is no subscription, and for one that is given twice.
    """
    options = (*KINDS, RECORDS, FILES)
    subscriptions = {option: tuple(names) for option in options if (names := by_kind.get(option))}
    if not subscriptions:
        raise ConfigurationError(f"no input: give at least one of {', '.join(f'--{option}' for option in options)}")
    seen: dict[str, str] = {}
    for option, name in ((option, name) for option, names in subscriptions.items() for name in names):
        if not is_subscription(name):
            raise ConfigurationError(f"--{option} takes projects/P/subscriptions/S, not {name!r}{names_hint(name)}")
        if name in seen:
            raise ConfigurationError(_named_twice(name, seen[name], option))
        seen[name] = option
    return subscriptions


def _named_twice(subscription: str, first: str, second: str) -> str:
    if first == second:
        return f"--{first} {subscription} was given twice: give each subscription once"
    if second == FILES:
        return f"--{first} and --{FILES} are the same subscription: the notifications of a bucket have their own"
    if second == RECORDS:
        return (
            f"--{first} and --{RECORDS} are the same subscription, {subscription}: give it once, as --{first} if all"
            f" its messages are {first}, else as --{RECORDS}"
        )
    return f"--{first} and --{second} are the same subscription: each kind has its own"


def one_or_several(patterns: list[str]) -> str | tuple[str, ...]:
    """The pattern that was given alone, or all of them; what was given twice counts once."""
    different = tuple(dict.fromkeys(patterns))
    return different[0] if len(different) == 1 else different


def input_options(
    globs: dict[str, str | tuple[str, ...]],
    selection: SelectionParameters,
    reading: ReadingParameters,
    requests: RequestParameters,
    attributes: AttributeParameters | None = None,
    runner: str | None = None,
    **rest: Any,
) -> InputOptions:
    """InputOptions of what was typed; `rest` are its other fields. Raises ConfigurationError.

    `runner` is another runner that is to read the input: it takes only mappings whose documents are single rows.
    """
    mapping = mapping_of(selection.mapping)
    if runner is not None:
        row_by_row(mapping, f"--runner={runner}")
    options = InputOptions(
        globs,
        selection.format,
        **vars(reading),
        **vars(requests),
        attributes=attributes_of(attributes),
        mapping=mapping,
        joins=joins_of(selection.join, mapping, globs),
        **rest,
    )
    settings = options.reading()
    return replace(
        options,
        since=parse_time_option("--since", selection.since, settings),
        until=parse_time_option("--until", selection.until, settings),
    )


def attributes_of(given: AttributeParameters | None) -> AccountAttributes | None:
    """The list that --attributes names; None without one. Raises ConfigurationError."""
    if given is None or given.attributes is None:
        if given is not None and given.unknown_attributes is not None:
            raise ConfigurationError("--unknown-attributes goes with --attributes, which lists those of the account")
        return None
    from beam_talonone.pipelines.cli.attributes_file import read_attributes

    return read_attributes(given.attributes, drop=given.unknown_attributes == "drop")


def joins_of(
    joins: list[str] | None, mapping: Converts | None, inputs: dict[str, Any]
) -> dict[str, str | tuple[str, ...]]:
    """The patterns of --join by name. Raises ConfigurationError unless they are those that the mapping joins."""
    if LETTERS in inputs:  # a dead letter holds the whole document
        return {}
    patterns: dict[str, list[str]] = {}
    for text in joins or ():
        name, equals, pattern = text.partition("=")
        if not (name and equals and pattern):
            raise ConfigurationError(f"--join takes NAME=GLOB, such as items='items-*.csv', not {text!r}")
        patterns.setdefault(name, []).append(pattern)
    required = () if mapping is None else tuple(join.name for join in mapping.table.joins)
    for name in patterns:
        if name not in required:
            reason = f"it joins {', '.join(required)}" if required else "no join is in `table` of the --mapping"
            raise ConfigurationError(f"--join {name}: {reason}")
    for name in required:
        if name not in patterns:
            raise ConfigurationError(f"the --mapping joins `{name}`: give its files with --join '{name}=GLOB'")
    if mapping is not None and (required or mapping.table.group_by) and len(inputs) > 1:
        raise ConfigurationError(
            f"the --mapping groups or joins rows: give one input option, not --{', --'.join(inputs)}"
        )
    return {name: one_or_several(several) for name, several in patterns.items()}


def listed_reasons(option: str, names: list[str] | None) -> tuple[str, ...]:
    """The reasons of dead letters that `option` names. Raises ConfigurationError for one that does not exist."""
    return _listed(option, names, [reason.value for reason in Reason], "reason")


def listed_kinds(option: str, names: list[str] | None) -> tuple[str, ...]:
    """The kinds of dead letters that `option` names. Raises ConfigurationError for one that does not exist."""
    return _listed(option, names, list(DEAD_LETTER_KINDS), "kind")


def _listed(option: str, names: list[str] | None, allowed: list[str], what: str) -> tuple[str, ...]:
    for name in names or ():
        if name not in allowed:
            likely = get_close_matches(name, allowed, 1)
            hint = f"did you mean {likely[0]}?" if likely else f"the {what}s are {', '.join(allowed)}"
            raise ConfigurationError(f"{option} {name}: no such {what}; {hint}")
    return tuple(dict.fromkeys(names or ()))


def row_by_row(mapping: Converts | None, where: str) -> Converts | None:
    """The mapping. Raises ConfigurationError for one whose documents have several rows: `where` cannot make them."""
    if mapping is not None and mapping.table.makes_documents_of_rows:
        raise ConfigurationError(
            f"--mapping {mapping.name} makes documents of several rows (group_by, fill_down or join in `table`):"
            f" {where} cannot group or join rows. Run backfill, check or verify on one machine, without --runner,"
            " or group the rows before, for example in BigQuery, so that each document is one JSON object"
        )
    return mapping


def mapping_of(name: str | None) -> Converts | None:
    """The mapping that --mapping names. Raises ConfigurationError."""
    if name is None:
        return None
    from beam_talonone.transforms.mapping.errors import MappingFileError
    from beam_talonone.transforms.mapping.resolve import resolve_mapping

    try:
        return resolve_mapping(name)
    except MappingFileError as error:
        raise ConfigurationError(f"--mapping {error}") from None


def sending_options(
    api: ApiParameters, limits: LimitParameters | None = None, edit: EditParameters | None = None
) -> SendingOptions:
    """SendingOptions of what was typed; without `limits`, with their defaults. Raises ConfigurationError."""
    from beam_talonone.transforms.runtime.rate_service import check_address

    limits = limits or LimitParameters()
    if not api.base_url:
        raise ConfigurationError("no base URL: give --base-url or set TALONONE_BASE_URL")
    http = HttpSettings(api.http_client, Tls(api.client_cert, api.ca_bundle), api.insecure)
    route_to(api.base_url, http)
    return SendingOptions(
        check_base_url(api.base_url),
        api_key_secret=None if api.api_key_secret is None else check_secret_name(api.api_key_secret),
        rate=positive("--rate", api.rate),
        rate_service=None if api.rate_service is None else check_address(api.rate_service),
        concurrency=int(positive("--concurrency", api.concurrency)),
        give_up_after=positive("--give-up-after", limits.give_up_after),
        api_is_up=limits.api_is_up,
        max_dead_letters=parse_max_dead_letters(limits.max_dead_letters),
        edit_closed=(edit or EditParameters()).edit_closed,
        http=http,
    )


def beam_arguments(beam: BeamParameters) -> tuple[str, ...]:
    """Beam's arguments: those of the runner's file, then those that were typed. Raises ConfigurationError."""
    return runner_args(beam.runner_config, beam.beam_args)
