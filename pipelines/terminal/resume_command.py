"""For the person at the terminal after an early end: what is done, what is left, and how to go on. Pure."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from beam_talonone.pipelines.terminal.command_line import command_line, free_folder
from beam_talonone.pipelines.terminal.words import counted, of_all

if TYPE_CHECKING:  # the command line imports this module, and must start quickly
    from beam_talonone.pipelines.backfill.sending.tally import Tally

RESUMABLE = ("backfill", "replay", "verify", "lookup")


def resume_command(words: Sequence[str], *, rest: bool = False) -> str | None:
    """The command line `words` with --resume, quoted for a shell; None for a command that cannot be resumed.

    With `rest` it leaves out --limit, so that nothing remains.

    >>> resume_command(["backfill", "--orders", "my orders/*.csv", "--output", "out"])
    "beam-talonone backfill --orders 'my orders/*.csv' --output out --resume"
    >>> resume_command(["backfill", "--limit", "10", "--output", "out"], rest=True)
    'beam-talonone backfill --output out --resume'
    """
    if next((word for word in words if not word.startswith("-")), None) not in RESUMABLE:
        return None
    end = words.index("--") if "--" in words else len(words)
    resume = [] if "--resume" in words[:end] else ["--resume"]
    kept = _without_limit(words[:end]) if rest else words[:end]
    return command_line([*kept, *resume, *words[end:]])


def _without_limit(words: Sequence[str]) -> list[str]:
    before = ("", *words)
    pairs = zip(before, words, strict=False)
    return [word for last, word in pairs if "--limit" not in (last, word) and not word.startswith("--limit=")]


def command_again(
    words: Sequence[str], purpose: str, without: Collection[str] = (), more: Sequence[str] = ()
) -> str | None:
    """The command line `words` as that of another job, which asks first: into a free folder, `without` some flags,
    and with `more` words. None where `words` have no folder.

    >>> command_again(["backfill", "--dry", "--yes", "--output=/no/out"], "sent", ("--dry",))
    'beam-talonone backfill --output /no/out-sent'
    """
    output = output_of(words)
    if output is None:
        return None
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word not in ("--resume", "--yes", *without)]
    place = next(place for place, word in enumerate(kept) if word.partition("=")[0] == "--output")
    kept[place : place + 2 - ("=" in kept[place])] = ["--output", str(free_folder(output, purpose))]
    return command_line([*kept, *more, *words[end:]])


def output_of(words: Sequence[str]) -> Path | None:
    """The folder that --output names in a command line; None without one."""
    for number, word in enumerate(words):
        if word.startswith("--output="):
            return Path(word.removeprefix("--output="))
        if word == "--output" and number + 1 < len(words):
            return Path(words[number + 1])
    return None


def progress_so_far(tally: "Tally", things: str) -> str | None:
    """A line about what is done and what is left; None before the input is read."""
    if tally.phase in ("reading", "sorting"):
        return f"read so far: {counted(tally.read, 'record')}; nothing was sent"
    if not tally.total:
        return None
    done, dead = tally.already + tally.ended, tally.dead_before + tally.dead
    dead_letters = f", {counted(dead, 'dead letter')}" if dead else ""
    return f"done so far: {of_all(done, tally.total, things)}{dead_letters}; left: {tally.total - done:,}"
