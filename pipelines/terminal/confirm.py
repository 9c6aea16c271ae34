"""Asking the person at the terminal before something is sent."""

import sys

import typer

from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.talonone.errors import ConfigurationError


def confirm(yes: bool, question: str) -> None:
    """Ask the person at the terminal. Raises ConfigurationError when there is none, or the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError("this sends to a live deployment, and there is no terminal to confirm it: add --yes")
    with STOP.raising():
        agreed = typer.confirm(question, err=True)
    if not agreed:
        raise ConfigurationError("nothing was sent")
