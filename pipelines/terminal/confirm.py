"""Asking the person at the terminal before something is sent."""

import shutil
import sys

import typer

from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.pipelines.terminal.words import wrapped
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.http.address import is_here


class Declined(ConfigurationError):
    """The person at the terminal does not want to send."""


def must_ask(yes: bool, base_url: str) -> bool:
    """Whether to ask before something is sent: not with --yes. Raises ConfigurationError if there is no terminal."""
    if not yes and not sys.stdin.isatty():
        where = f"{base_url}, an address of this machine" if is_here(base_url) else "a live deployment"
        raise ConfigurationError(f"this sends to {where}, and there is no terminal to confirm it: add --yes")
    return not yes


def ask(question: str) -> None:
    """Ask the person at the terminal. Raises Declined for any answer but yes, Interrupted after a signal."""
    width = shutil.get_terminal_size().columns - len(" [y/N]: y")
    text = "\n".join(wrapped(line, width, "") for line in question.splitlines())
    with STOP.raising():
        agreed = typer.confirm(text, err=True)
    if not agreed:
        raise Declined("nothing was sent")
