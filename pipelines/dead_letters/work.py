"""What `dead-letters` does: read, narrow down, then summarize or export."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from beam_talonone.pipelines.dead_letters.aggregate import DeadLetterSummary
from beam_talonone.pipelines.dead_letters.applied_since import applied_since
from beam_talonone.pipelines.dead_letters.export import csv_header, csv_line, jsonl_line
from beam_talonone.pipelines.dead_letters.read import BadLine, DeadLetter, dead_letter_files, read_dead_letters
from beam_talonone.pipelines.dead_letters.show import summary_lines
from beam_talonone.pipelines.terminal.exit_codes import DEAD_LETTERS, FINISHED
from beam_talonone.pipelines.terminal.logs import notice
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.state.whole_file import write_whole_file
from beam_talonone.talonone.telemetry.logs import printable, printable_json, printable_line

MOST_BAD = 20
"""Bad lines that are named one by one."""


@dataclass(frozen=True)
class DeadLettersOptions:
    """The options of `dead-letters`. Without `reasons` or `kinds`, all are wanted; without `export`, a summary with
    `examples` of each group is printed. `output` is the file of the export, None for stdout."""

    places: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    examples: int = 3
    export: Literal["csv", "jsonl"] | None = None
    output: Path | None = None

    def selects(self, dead_letter: DeadLetter) -> bool:
        """Whether the dead letter is of the reasons and kinds."""
        fields = dead_letter.fields
        return (not self.reasons or fields["reason"] in self.reasons) and (
            not self.kinds or fields["kind"] in self.kinds
        )


class _Selection:
    """The dead letters of some files that the options select. It counts the others, and names bad lines on stderr."""

    def __init__(self, files: list[str], options: DeadLettersOptions) -> None:
        self._files, self._options = files, options
        self.selected = self.others = self.bad = 0

    def __iter__(self) -> Iterator[DeadLetter]:
        for read in read_dead_letters(self._files):
            if isinstance(read, BadLine):
                self.bad += 1
                if self.bad <= MOST_BAD:
                    notice(str(read))
            elif self._options.selects(read):
                self.selected += 1
                yield read
            else:
                self.others += 1


def run_dead_letters(options: DeadLettersOptions) -> int:
    """Print the summary, or export; returns the exit code: 3 if lines were no dead letters.

    Raises ConfigurationError for places without files and an output that cannot be written, Interrupted after a
    signal.
    """
    if options.output is not None and options.export is None:
        raise ConfigurationError("--output is the file of an export: add --export csv or --export jsonl")
    files = dead_letter_files(options.places, notice)
    selection = _Selection(files, options)
    if options.export is None:
        _print_summary(selection, options)
    else:
        _export(selection, options)
    if selection.bad > MOST_BAD:
        notice(f"{selection.bad:,} lines in all are no dead letters")
    return DEAD_LETTERS if selection.bad else FINISHED


def _print_summary(selection: _Selection, options: DeadLettersOptions) -> None:
    summary = DeadLetterSummary(options.examples)
    for dead_letter in selection:
        replay = dead_letter.replayability()
        summary.add(dead_letter.fields, replay.problem, unmapped=replay.needs_mapping)
    for line in _counted(selection):
        print(line)
    if summary.count:
        print()
        for line in summary_lines(summary):
            print(printable_line(line))
        for line in filter(None, map(applied_since, options.places)):
            print(f"\n{line}")


def _counted(selection: _Selection) -> Iterator[str]:
    number = selection.selected
    count = "no dead letters" if not number else "1 dead letter" if number == 1 else f"{number:,} dead letters"
    yield f"{count} of {number + selection.others:,}" if selection.others else count


def _export(selection: _Selection, options: DeadLettersOptions) -> None:
    lines = _export_lines(selection, options)
    if options.output is None:
        sys.stdout.flush()
        on_screen = sys.stdout.isatty()
        for line in lines:
            sys.stdout.buffer.write(_on_screen(line, options.export) if on_screen else line)
        sys.stdout.buffer.flush()
    else:
        _write(options.output, lines)
    where = "" if options.output is None else f" to {options.output}"
    notice(f"{next(_counted(selection))} exported{where}")


def _on_screen(line: bytes, form: str | None) -> bytes:
    """A line of an export for a terminal, which would carry out the control characters of a record."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    return f"{printable(text) if form == 'csv' else printable_json(text)}\n".encode()


def _export_lines(selection: _Selection, options: DeadLettersOptions) -> Iterator[bytes]:
    if options.export == "csv":
        yield csv_header()
    for dead_letter in selection:
        yield csv_line(dead_letter) if options.export == "csv" else jsonl_line(dead_letter)


def _write(path: Path, lines: Iterator[bytes]) -> None:
    """Write the lines to a new file, whole or not at all. An existing one may have been corrected by hand."""
    if path.exists():
        raise ConfigurationError(f"--output {path} exists already: name another file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole_file(path, lines)
    except OSError as error:
        raise ConfigurationError(f"--output {path} cannot be written: {error.strerror}") from None
