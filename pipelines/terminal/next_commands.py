"""The commands that may follow a run, ready to be copied: at the end of the run, and on its page."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from beam_talonone.pipelines.backfill.options import BackfillOptions
from beam_talonone.pipelines.dead_letters.needs import mapped_before, needs_of, shapes_of
from beam_talonone.pipelines.report.recording.run_settings import API_KEY_SECRET, run_settings
from beam_talonone.pipelines.terminal.command_line import command_line, free_folder
from beam_talonone.pipelines.terminal.resume_command import command_again, resume_command

READABLE = ("orders", "returns", "profiles")
"""The kinds that `verify` reads back."""

REPLAYABLE = ("backfill", "replay")
"""The commands whose dead letters can be sent again."""

READING = (
    "--assume-timezone", "--ambiguous-time", "--max-future", "--unknown-fields", "--attributes",
    "--unknown-attributes",
)  # fmt: skip
"""The options with which a record is read as in the run before, apart from its mapping."""

REQUESTS = ("--allow-unknown-api-fields", "--profile-mode", "--events-api", "--edit-closed", "--results")
"""The options with which a record becomes the same requests."""

CONNECTION = (
    API_KEY_SECRET, "--insecure", "--client-cert", "--ca-bundle", "--http-client", "--rate", "--rate-service",
)  # fmt: skip
"""The options with which the same deployment is reached, at the same pace."""

DEFAULTS = {
    "--profile-mode": "bulk", "--events-api": "v2", "--unknown-attributes": "fail", "--http-client": "auto",
    "--rate": 100.0,
}  # fmt: skip
"""Values that a command line need not name."""

MAPPING = "MAPPING"
"""Stands in commands for a mapping whose name is not known."""

ATTRIBUTES = "ATTRIBUTES"
"""Stands in commands for a list of attributes whose file is not known."""


def next_commands(
    options: BackfillOptions,
    report: Mapping[str, Any],
    commands: Collection[str],
    *,
    replayable: bool,
    typed: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> list[str]:
    """Lines that say what to do next, with the commands that make sense after a run with `options` and its `report`.

    `commands` are those of this version, and `typed` the words after the name of the program. `replayable` is False
    if there is no deployment to send to, or to read from, afterwards: after a dry run or a demo.
    """
    output, settings = options.output, run_settings(options, ())
    lines = ["this was a dry run: nothing was changed in Talon.One"] if settings.get("--dry") else []
    if report.get("remaining") and (resume := resume_command(typed, rest=True)) is not None:
        lines.append(f"to {'read' if options.command == 'lookup' else 'send'} the rest: {resume}")
    if any(counts["dead_lettered"] for counts in report["kinds"].values()):
        if "dead-letters" in commands:
            lines.append(f"to look at the dead letters: {dead_letters_command(output)}")
        if options.command == "backfill" and not settings.get("--mapping"):
            lines += [": ".join(filter(None, step)) for step in preset_commands(output, typed)]
        if replayable:
            again = replay_commands(output, settings, environment)
            lines += [f"to send {which or 'them'} again, corrected: {command}" for which, command in again]
    verify = verify_command(output, options.command, settings, report, environment) if replayable else None
    return lines if verify is None else [*lines, f"to compare Talon.One with the input: {verify}"]


def preset_commands(folder: Path, typed: Sequence[str]) -> Iterator[tuple[str, str]]:
    """For each kind whose dead letters look like the documents of a preset: what to do, and the backfill with this
    mapping. The command is empty where the words that were `typed` are not known."""
    for kind, shape in shapes_of(folder).items():
        what = f"{kind} look like documents of {shape.system}: begin again with --mapping {shape.preset}"
        yield what, command_again(typed, "mapped", more=("--mapping", shape.preset)) or ""


def dead_letters_command(folder: Path) -> str:
    """The command that shows the dead letters in the folder of a job."""
    return command_line(["dead-letters", str(folder)])


def report_command(folder: Path) -> str:
    """The command that writes the page of a job again."""
    return command_line(["report", str(folder)])


def replay_commands(
    folder: Path, settings: Mapping[str, Any], environment: Mapping[str, str]
) -> list[tuple[str, str]]:
    """The commands that send the dead letters in `folder` again, as the run with `settings` sent them. They name the
    deployment where the `environment` does not.

    A replay with a mapping sends only records that a mapping made, and one without it the others. So there are two
    commands where there are both, each with its dead letters in words; none where a replay would send nothing.
    """
    needs, mapping = needs_of(folder), settings.get("--mapping")
    if needs is None:
        return [("", _replay_command(folder, settings, environment, mapping))]
    mapped = needs.mapped or (needs.others and mapping and not needs.unmapped)
    unmapped = needs.unmapped or (needs.others and not mapped)
    commands = []
    if mapped:
        before = {} if mapping else mapped_before(settings)
        read = {**settings, **{name: settings.get(name) or before.get(name) for name in READING}}
        which = "those of a mapping" if unmapped else ""
        mapping = mapping or before.get("--mapping") or MAPPING
        commands.append((which, _replay_command(folder, read, environment, mapping)))
    if unmapped:
        which = "those that no mapping made" if mapped else ""
        commands.append((which, _replay_command(folder, settings, environment, None)))
    return commands


def _replay_command(folder: Path, settings: Mapping[str, Any], environment: Mapping[str, str], mapping: Any) -> str:
    words = [f"{folder / 'dead-letters'}/*.jsonl", "--output", str(free_folder(folder, "replay"))]
    options = {**settings, "--mapping": mapping}
    return command_line(
        ["replay", *words, *_api(settings, environment), *_options(options, (*READING, "--mapping", *REQUESTS))]
    )


def verify_command(
    folder: Path, command: str, settings: Mapping[str, Any], report: Mapping[str, Any], environment: Mapping[str, str]
) -> str | None:
    """The command that compares Talon.One with the input of the run; None where it makes no sense, or where options
    that it needs are not known."""
    applied = any(report["kinds"].get(kind, {}).get("applied") for kind in READABLE)
    if command != "backfill" or not applied or report.get("remaining"):
        return None
    words = _options(settings, tuple(f"--{kind}" for kind in READABLE))
    if not words or settings.get("--dry"):
        return None
    words += _options(settings, ("--mapping",)) + _joins(settings)
    words += _options(settings, ("--format", *READING, "--since", "--until"))
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
    return [_word(each) for each in value] if isinstance(value, list | tuple) else [_word(value)]


def _word(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _api(settings: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """The options that lead to the same deployment with the same key, where the environment does not."""
    url = settings.get("--base-url")
    words = [] if url is None or environment.get("TALONONE_BASE_URL") == url else ["--base-url", str(url)]
    return words + _options(settings, CONNECTION)
