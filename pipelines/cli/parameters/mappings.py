"""The options of the actions of `mappings`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from beam_talonone.pipelines.cli.numbers import whole
from beam_talonone.pipelines.cli.parameters.groups import Group


def preset_names() -> list[str]:
    """The presets, for the completion in a shell."""
    from beam_talonone.transforms.mapping.resolve import presets

    return presets()


_SAMPLE = typer.Argument(metavar="SAMPLE", help="A file of your documents, of any format. The first 1,000 are read.")


@dataclass(frozen=True, kw_only=True)
class PresetParameters(Group):
    """A preset by its name."""

    TITLE = "Input"

    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A preset, such as shopify.", autocompletion=preset_names)
    ]


@dataclass(frozen=True, kw_only=True)
class SampleParameters(Group):
    """A sample of foreign documents."""

    TITLE = "Input"

    sample: Annotated[Path, _SAMPLE]


@dataclass(frozen=True, kw_only=True)
class TrialParameters(Group):
    """A mapping, and a sample to try it on."""

    TITLE = "Input"

    mapping: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A mapping: your file, a preset, or pkg.mod:func.", autocompletion=preset_names
        ),
    ]
    sample: Annotated[Path, _SAMPLE]
    show: Annotated[
        int,
        typer.Option(
            "--show", metavar="N", parser=whole("--show", 0), help="Show the first N documents. 0: only the summary."
        ),
    ] = 3
