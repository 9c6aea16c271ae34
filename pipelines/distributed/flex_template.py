"""The entry of the Dataflow Flex Templates: what a launcher gives becomes the words of the command line.

A launcher runs one of the files in templates/ with `--name=value` arguments, the template's parameters and Beam's own
options mixed. Parameters become options of `beam-talonone backfill` or `stream`, all else follows `--`.
"""

import re
import sys
from collections.abc import Iterable
from typing import Any

from beam_talonone.pipelines.cli import main as cli
from beam_talonone.pipelines.cli.parameters.api import ApiParameters
from beam_talonone.pipelines.distributed.template_parameters import TEMPLATES, Template
from beam_talonone.pipelines.terminal.exit_codes import FINISHED, USAGE
from beam_talonone.pipelines.terminal.logs import notice
from beam_talonone.talonone.errors import ConfigurationError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}", re.ASCII)
"""What may be the name of a parameter. Else it may be a key, and no error shows it."""

TRUTHS = {"true": True, "false": False}

DEFAULT_CONCURRENCY = str(ApiParameters().concurrency)
SEVERAL = ("--experiments",)
"""Options of Beam that add up: what a launcher gives of them does not take the place of ours."""


def main(name: str) -> None:
    """Run the template `name` with the arguments of this process, and exit with the code of the command line."""
    arguments = sys.argv[1:]
    if arguments in (["--help"], ["-h"]):
        print(f"Parameters of the {name} template, as --name=value, and Beam's own options:")
        print("\n".join(f"  {parameter}" for parameter in TEMPLATES[name].parameters))
        sys.exit(FINISHED)
    try:
        words = command_line(name, arguments)
    except ConfigurationError as error:
        notice(str(error), "ERROR")
        sys.exit(USAGE)
    sys.exit(cli.run(words))


def command_line(name: str, arguments: Iterable[str]) -> list[str]:
    """The words of the command line for what a launcher gives to the template `name`.

    A parameter with an empty value counts as absent. Raises ConfigurationError for a name that is neither a parameter
    of the template nor an option of Beam, and for a repeated parameter. It also does so for a flag that is neither
    true nor false. The error shows no value, because it may be a key that was given by mistake.
    """
    template = TEMPLATES[name]
    beam = _beam_options()
    ours: list[str] = []
    beams: list[str] = []
    received: dict[str, str] = {}
    for argument in arguments:
        parameter, value = _taken_apart(argument)
        if value == "":
            continue
        if parameter in received:
            raise ConfigurationError(f"{parameter} was given more than once: a template takes each parameter once")
        if parameter in (*template.values, *template.flags):
            received[parameter] = value or ""
        if parameter in template.values:
            needed = _needed(parameter, value)
            values = needed.split(",") if parameter in template.lists else [needed]
            ours += [f"{_option(parameter)}={item}" for item in values]
        elif parameter in template.flags:
            ours += [_option(parameter)] if _truth(parameter, value) else []
        elif f"--{parameter}" in beam:
            beams += _for_beam(f"--{parameter}", value, beam)
        else:
            shown = parameter if _NAME.fullmatch(parameter) else "an argument"
            raise ConfigurationError(
                f"{shown} is neither a parameter of the {name} template nor an option of Beam;"
                f" the parameters are {', '.join(template.parameters)}"
            )
    added = _added(template, beams, received.get("concurrency", DEFAULT_CONCURRENCY))
    return [template.command, *ours, *template.always, "--", *beams, *added]


def _taken_apart(argument: str) -> tuple[str, str | None]:
    """`--name=value`, or `--name` alone, whose value is None."""
    name, equals, value = argument.partition("=")
    if not name.startswith("--") or len(name) == 2:
        raise ConfigurationError("a template takes its parameters as --name=value, and one has another form")
    return name[2:], value if equals else None


def _option(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")


def _needed(parameter: str, value: str | None) -> str:
    if value is None:
        raise ConfigurationError(f"{parameter} needs a value: --{parameter}=...")
    return value


def _truth(parameter: str, value: str | None) -> bool:
    """What a flag says; its name alone says true."""
    flag = True if value is None else TRUTHS.get(value.lower())
    if flag is None:
        raise ConfigurationError(f"{parameter} must be true or false")
    return flag


def _beam_options() -> dict[str, Any]:
    """Beam's own options, each with argparse's description of it."""
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    parser = _BeamArgumentParser(add_help=False, allow_abbrev=False)
    for kind in PipelineOptions.__subclasses__():
        if kind.__module__.startswith("apache_beam."):
            kind._add_argparse_args(parser)
    return {name: action for action in parser._actions for name in action.option_strings}


def _for_beam(option: str, value: str | None, beam: dict[str, Any]) -> list[str]:
    """An option for Beam. A switch, which takes no value there, is said or not, or its counterpart is."""
    action = beam[option]
    if value is None or action.nargs != 0:
        return [option if value is None else f"{option}={value}"]
    if _truth(option[2:], value):
        return [option]
    counterpart = (name for name, other in beam.items() if other.dest == action.dest and other.const != action.const)
    return [name for name in counterpart if beam[name].nargs == 0][:1]


def _added(template: Template, beams: list[str], concurrency: str) -> list[str]:
    """The options that Beam gets besides those of the launcher."""
    launcher_options = {word.partition("=")[0] for word in beams}
    return [
        f"{option}={value.format(concurrency=concurrency)}"
        for option, value in template.defaults
        if option in SEVERAL or option not in launcher_options
    ]
