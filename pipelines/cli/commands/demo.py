"""`beam-talonone demo`: the connector at work, without an account."""

from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.cli.numbers import positive
from beam_talonone.pipelines.cli.parameters import Rate


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
