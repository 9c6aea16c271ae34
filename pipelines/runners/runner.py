"""Which engine runs a bounded pipeline, and what of Beam's own options is allowed with it."""

import contextlib
import io
import shutil
from pathlib import Path
from typing import Any

from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.talonone.telemetry.process_tuning import tune_process

IN_PROCESS = ("directrunner", "fnapirunner", "bundlebaseddirectrunner")


def beam_options(beam_args: tuple[str, ...]) -> Any:
    """Beam's PipelineOptions of what was typed after `--`. Raises ConfigurationError for what Beam does not know."""
    from apache_beam.options.pipeline_options import PipelineOptions

    for argument in beam_args:
        if not argument.startswith("--"):
            raise ConfigurationError(
                f"unexpected argument {argument!r}: quote a pattern, or the shell expands it;"
                " Beam's own options follow `--` as --name=value"
            )
    option_names = beam_option_names()
    for argument in beam_args:
        if argument.split("=", 1)[0] not in option_names:
            raise ConfigurationError(f"Beam has no option {argument.split('=', 1)[0]}")
    complaint = io.StringIO()
    try:
        # argparse tells a bad value on stderr, and exits
        with contextlib.redirect_stderr(complaint):
            options = PipelineOptions(list(beam_args))
            options.get_all_options()
    except SystemExit:
        why = complaint.getvalue().strip().rpartition("error: ")[2]
        raise ConfigurationError(f"Beam refuses its options: {why}") from None
    return options


def beam_option_names() -> set[str]:
    """The options that Beam has, such as `--num_workers`. Imports Beam."""
    from apache_beam.options.pipeline_options import PipelineOptions

    return {option for kind in PipelineOptions.__subclasses__() for option in _option_names(kind)}


def bounded_runner(beam_args: tuple[str, ...]) -> tuple[Any, Any]:
    """(runner, options) for a bounded pipeline: the in-process FnApiRunner.

    `--runner=DirectRunner` means it too; Beam's own switch of that name may download another engine. Raises
    ConfigurationError for other runners, for unknown options, and for modes that lose elements.
    """
    from apache_beam.options.pipeline_options import DirectOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    options = beam_options(beam_args)
    name = runner_name(options)
    if name.lower() not in IN_PROCESS:
        raise ConfigurationError(
            f"--runner={name}: this command runs only in this process (DirectRunner), as its journal is on this disk"
        )
    direct = options.view_as(DirectOptions)
    if direct.direct_running_mode != "in_memory" or direct.direct_num_workers != 1:
        raise ConfigurationError(
            "--direct_running_mode and --direct_num_workers must keep their defaults, as Beam's multi_threading loses"
            " elements"
        )
    return FnApiRunner(), options


WAYS = (
    "--sdk_container_image=IMAGE (built of templates/Dockerfile), --setup_file=./setup.py in a clone of the"
    " repository, or --extra_packages=FILE (its wheel or sdist)"
)
"""How the workers of Dataflow get the code: each of these alone is enough."""


def check_code(options: Any) -> None:
    """Raise ConfigurationError for a launch on Dataflow whose workers would not have the code of this package.

    A setup file is made absolute: Beam changes to its folder, and does not take a name without one.
    """
    from apache_beam.options.pipeline_options import SetupOptions, WorkerOptions

    setup = options.view_as(SetupOptions)
    image = options.view_as(WorkerOptions).sdk_container_image
    if not (image or setup.setup_file or setup.extra_packages):
        raise ConfigurationError(
            f"--runner={runner_name(options)}: the workers would not have the code of beam-talonone:"
            f" give them after `--` or in --runner-config one of {WAYS}"
        )
    if setup.setup_file:
        path = Path(setup.setup_file).absolute()
        if path.name not in ("setup.py", "pyproject.toml") or not path.is_file():
            raise ConfigurationError(f"--setup_file={setup.setup_file} is not an existing setup.py or pyproject.toml")
        setup.setup_file = str(path)
    for package in setup.extra_packages or ():
        if "://" not in package and not Path(package).is_file():
            raise ConfigurationError(f"--extra_packages={package} does not exist, or is not a file")


REFUSED = {"daskrunner": "it loses tagged outputs and the output of finish_bundle, without an error"}


def runner_name(options: Any) -> str:
    """The runner that Beam's options name, DirectRunner without one."""
    from apache_beam.options.pipeline_options import StandardOptions

    return str(options.view_as(StandardOptions).runner or "DirectRunner").rsplit(".", 1)[-1]


def other_runner(beam_args: tuple[str, ...]) -> str | None:
    """The runner that was typed after `--`, None if it runs the steps in this process. Does not import Beam.

    >>> other_runner(("--region=europe-west3", "--runner=DataflowRunner"))
    'DataflowRunner'
    """
    names = [argument.partition("=")[2] for argument in beam_args if argument.startswith("--runner=")]
    name = names[-1].rsplit(".", 1)[-1] if names else ""
    return name if name and name.lower() not in IN_PROCESS else None


def is_in_process(options: Any) -> bool:
    """Whether Beam's options name a runner that runs the steps in this process."""
    return runner_name(options).lower() in IN_PROCESS


def has_worker_processes(options: Any) -> bool:
    """Whether Beam's options let a runner in this process run the steps in processes of their own."""
    from apache_beam.options.pipeline_options import DirectOptions

    return bool(options.view_as(DirectOptions).direct_running_mode == "multi_processing")


def make_runner(options: Any) -> Any:
    """The runner of another engine, as its name says. Raises ConfigurationError for one that is not to be used."""
    from apache_beam.runners.runner import create_runner

    name = runner_name(options)
    if name.lower() in REFUSED:
        raise ConfigurationError(f"--runner={name}: {REFUSED[name.lower()]}")
    try:
        return create_runner(name)
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"--runner={name}: {error}") from None


def _option_names(kind: Any) -> set[str]:
    import argparse

    parser = argparse.ArgumentParser(add_help=False)
    try:
        kind._add_argparse_args(parser)
    except AttributeError:
        return set()
    return {name for action in parser._actions for name in action.option_strings}


def run_bounded(pipeline: Any) -> None:
    """Run to the end. Raises what Beam raises when a step failed."""
    tune_process()
    # Beam's empty folder, which only transforms of other languages use: a killed process would leave it
    shutil.rmtree(pipeline.local_tempdir, ignore_errors=True)
    pipeline.run().wait_until_finish()


def last_line(error: Exception) -> str:
    """The line of an error that says what happened: runners wrap it in the stack traces of their workers."""
    lines = [line.strip() for line in str(error).splitlines() if any(map(str.isalnum, line))]
    ours = [line for line in lines if line.startswith("beam_talonone.") and ": " in line]
    message = ours[-1].split(": ", 1)[1] if ours else (lines[-1] if lines else type(error).__name__)
    return message[:500]
