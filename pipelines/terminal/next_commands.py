"""The commands that may follow a run, ready to be copied: at the end of the run, and on its page."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.report.recording.run_settings import API_KEY_SECRET, run_settings
from beam_talonone.pipelines.terminal.command_line import command_line, free_folder

READABLE = ("orders", "returns", "profiles")
"""The kinds that `verify` reads back."""

REPLAYABLE = ("backfill", "replay")
"""The commands whose dead letters can be sent again."""

READING = ("--assume-timezone", "--ambiguous-time", "--max-future", "--unknown-fields", "--mapping")
"""The options with which a record is read as in the run before."""

REQUESTS = ("--allow-unknown-api-fields", "--profile-mode", "--events-api", "--edit-closed")
"""The options with which a record becomes the same requests."""

DEFAULTS = {"--profile-mode": "bulk", "--events-api": "v2"}
"""Values that a command line need not name."""


def next_commands(
    options: BackfillOptions,
    report: Mapping[str, Any],
    commands: Collection[str],
    *,
    replayable: bool,
    mapping: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> list[str]:
    """Lines that say what to do next, with the commands that make sense after a run with `options` and its `report`.

    `commands` are those of this version. `replayable` is False if there is no deployment to send to, or to read
    from, afterwards: after a dry run or a demo. `mapping` is the --mapping as it was typed.
    """
    output, settings = options.output, {**run_settings(options, ()), "--mapping": mapping}
    lines = ["this was a dry run: nothing was changed in Talon.One"] if settings.get("--dry") else []
    if any(counts["dead_lettered"] for counts in report["kinds"].values()):
        if "dead-letters" in commands:
            lines.append(f"to look at the dead letters: {command_line(['dead-letters', str(output)])}")
        if replayable:
            lines.append(f"to send them again, corrected: {replay_command(output, settings, environment)}")
    verify = verify_command(output, options.command, settings, report, environment) if replayable else None
    return lines if verify is None else [*lines, f"to compare Talon.One with the input: {verify}"]


def replay_command(folder: Path, settings: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """The command that sends the dead letters in `folder` again, as the run with `settings` sent them. It names the
    deployment where the `environment` does not."""
    words = [f"{folder / 'dead-letters'}/*.jsonl", "--output", str(free_folder(folder, "replay"))]
    return command_line(["replay", *words, *_api(settings, environment), *_options(settings, READING + REQUESTS)])


def verify_command(
    folder: Path, command: str, settings: Mapping[str, Any], report: Mapping[str, Any], environment: Mapping[str, str]
) -> str | None:
    """The command that compares Talon.One with the input of the run; None where it makes no sense, or where options
    that it needs are not known."""
    applied = any(report["kinds"].get(kind, {}).get("applied") for kind in READABLE)
    # the name of the file with the attributes is not kept
    if command != "backfill" or not applied or report.get("remaining") or "--attributes" in settings:
        return None
    words = _options(settings, tuple(f"--{kind}" for kind in READABLE))
    if not words or settings.get("--dry"):
        return None
    words += _options(settings, ("--mapping",)) + _joins(settings)
    words += _options(settings, ("--format", *READING[:-1], "--since", "--until"))
    words += ["--output", str(free_folder(folder, "verify")), *_api(settings, environment)]
    return command_line(["verify", *words])


def _options(settings: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    """The settings among `names` that are no defaults, as words of a command line."""
    words: list[str] = []
    for name in names:
        value = settings.get(name)
        if value is True:
            words.append(name)
        elif value not in (None, False, DEFAULTS.get(name)):
            words += [word for each in _several(value) for word in (name, each)]
    return words


def _joins(settings: Mapping[str, Any]) -> list[str]:
    joins = [(name.partition(" ")[2], value) for name, value in settings.items() if name.startswith("--join ")]
    return [word for name, files in joins for pattern in _several(files) for word in ("--join", f"{name}={pattern}")]


def _several(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def _api(settings: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """The options that lead to the same deployment with the same key, where the environment does not."""
    url = settings.get("--base-url")
    words = [] if url is None or environment.get("TALONONE_BASE_URL") == url else ["--base-url", str(url)]
    return words + _options(settings, (API_KEY_SECRET, "--insecure"))
