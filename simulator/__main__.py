"""`python -m beam_talonone.simulator`: the same as `beam-talonone simulate`."""

import typer

from beam_talonone.pipelines.cli.commands.simulate import simulate

if __name__ == "__main__":
    typer.run(simulate)
