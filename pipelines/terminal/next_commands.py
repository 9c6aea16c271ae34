"""The commands that may follow a run, ready to be copied."""

import os
from collections.abc import Collection, Mapping
from typing import Any

from beam_talonone.pipelines.backfill.options import BackfillOptions, SendingOptions
from beam_talonone.pipelines.terminal.command_line import command_line, free_folder

READABLE = ("orders", "returns", "profiles")
"""The kinds that `verify` reads back."""


def next_commands(
    options: BackfillOptions,
    report: Mapping[str, Any],
    commands: Collection[str],
    *,
    replayable: bool,
    mapping: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> list[str]:
    """Lines with the commands that make sense after a run with `options` and its `report`.

    `commands` are those of this version. `replayable` is False if there is no deployment to send to, or to read
    from, afterwards: after a dry run or a demo. `mapping` is the --mapping as it was typed.
    """
    output = options.output
    lines = []
    if any(counts["dead_lettered"] for counts in report["kinds"].values()):
        if "dead-letters" in commands:
            lines.append(f"to look at the dead letters: {command_line(['dead-letters', str(output)])}")
        if replayable:
            words = [f"{output / 'dead-letters'}/*.jsonl", "--output", str(free_folder(output, "replay"))]
            words += _api(options.sending, environment) + _mapped(mapping)
            lines.append(f"to send them again, corrected: {command_line(['replay', *words])}")
    if replayable and options.command == "backfill" and _can_be_verified(options, report):
        words = _verified(options, mapping) + _api(options.sending, environment)
        lines.append(f"to compare Talon.One with the input: {command_line(['verify', *words])}")
    if "report" in commands:
        lines.append(f"to see the run as a page: {command_line(['report', str(output), '--open'])}")
    return lines


def _can_be_verified(options: BackfillOptions, report: Mapping[str, Any]) -> bool:
    selected = options.input
    applied = any(report["kinds"].get(kind, {}).get("applied") for kind in READABLE)
    # the name of the file with the attributes is not kept
    return applied and not selected.dry and not report.get("remaining") and selected.attributes is None


def _verified(options: BackfillOptions, mapping: str | None) -> list[str]:
    selected = options.input
    words = []
    for kind in READABLE:
        words += _repeated(f"--{kind}", selected.globs.get(kind, ()))
    words += _mapped(mapping)
    for name, patterns in selected.joins.items():
        words += _repeated("--join", patterns, f"{name}=")
    for name in ("format", "assume_timezone", "ambiguous_time", "unknown_fields"):
        value = getattr(selected, name)
        words += [] if value is None else [f"--{name.replace('_', '-')}", str(value)]
    for name in ("since", "until"):
        moment = getattr(selected, name)
        words += [] if moment is None else [f"--{name}", moment.isoformat()]
    return [*words, "--output", str(free_folder(options.output, "verify"))]


def _repeated(option: str, patterns: str | tuple[str, ...], prefix: str = "") -> list[str]:
    several = (patterns,) if isinstance(patterns, str) else patterns
    return [word for pattern in several for word in (option, prefix + pattern)]


def _mapped(mapping: str | None) -> list[str]:
    return [] if mapping is None else ["--mapping", mapping]


def _api(sending: SendingOptions, environment: Mapping[str, str]) -> list[str]:
    """The options that lead to the same deployment with the same key, where the environment does not."""
    url = [] if environment.get("TALONONE_BASE_URL") == sending.base_url else ["--base-url", sending.base_url]
    secret = [] if sending.api_key_secret is None else ["--api-key-secret", sending.api_key_secret]
    insecure = ["--insecure"] if sending.http.insecure else []
    return url + secret + insecure
