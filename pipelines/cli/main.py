"""The command line: what is typed becomes options, failures become one line and an exit code."""

import contextlib
import os
import resource
import sys
import traceback
from typing import Any

import typer

from beam_talonone.pipelines.cli.group import LazyGroup, add_commands, called, function_of
from beam_talonone.pipelines.cli.parameters.groups import with_groups
from beam_talonone.pipelines.cli.parameters.program import CommonParameters
from beam_talonone.pipelines.cli.suggest import message_of
from beam_talonone.pipelines.terminal import logs
from beam_talonone.pipelines.terminal.exit_codes import FINISHED, STOPPED, USAGE
from beam_talonone.pipelines.terminal.resume_command import output_of, resume_command
from beam_talonone.pipelines.terminal.stopping import STOP
from beam_talonone.pipelines.terminal.unbroken import unbroken
from beam_talonone.talonone.errors import ConfigurationError, StopRun, TooManyDeadLetters
from beam_talonone.talonone.telemetry.error_text import error_line
from beam_talonone.talonone.telemetry.logs import printable
from beam_talonone.talonone.telemetry.redact import keep_secret, without_keys

TYPER_INTERRUPTED = 130

_BadCommandLine: Any = typer.BadParameter.__mro__[1]
"""Typer's error for a wrong command line, which it does not export: the parent of its BadParameter."""

_NoCommand: Any = next(
    (kind for kind in _BadCommandLine.__subclasses__() if kind.__name__ == "NoArgsIsHelpError"), _BadCommandLine
)

app = typer.Typer(
    name="beam-talonone",
    cls=LazyGroup,
    help="Feed Talon.One from files and streams: once, in order, at the rate, with nothing lost.",
    no_args_is_help=True,
    rich_markup_mode=None,  # importing what rich needs to show a help takes twice as long as everything else
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
    pretty_exceptions_enable=False,
)
add_commands(app)


@app.callback()
@with_groups
def common(*, options: CommonParameters) -> None:
    """Feed Talon.One from files and streams."""
    logs.set_up(options.debug)


def main() -> None:
    """Entry point of `beam-talonone`: runs a command and exits with its code."""
    os.umask(0o077)  # reports, dead letters and state hold personal data
    _leave_no_core_file()
    unbroken()
    if (name := called(sys.argv[1:])) is not None:
        function_of(name)  # before signals are taken: until then, one ends the process at once
    with STOP.taking_signals():
        code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if STOP.abandoned:  # the interpreter's own end would wait for what hangs, or fall over it
        os._exit(code)
    sys.exit(code)


def _leave_no_core_file() -> None:
    """Memory holds the API key and personal data. Processes that this one starts inherit the limit."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(arguments: list[str]) -> int:
    """Run the command line `arguments`; returns the exit code. Each failure becomes one line on stderr."""
    # --debug is taken wherever it stands before Beam's own options
    ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in ours
    if debug:
        arguments = ["--debug", *(word for word in ours if word != "--debug"), *arguments[len(ours) :]]
    try:
        code = app(arguments, prog_name="beam-talonone", standalone_mode=False)
        if code == TYPER_INTERRUPTED:
            raise KeyboardInterrupt
        return code if isinstance(code, int) else FINISHED
    except _NoCommand as error:
        print(error.format_message(), file=sys.stderr)  # the help
        return USAGE
    except _BadCommandLine as error:
        return _fail(
            USAGE, message_of(error).replace("Value error, ", ""), debug
        )  # which pydantic puts before reasons
    except ConfigurationError as error:
        return _fail(USAGE, str(error), debug)
    except (typer.Abort, KeyboardInterrupt):
        return _stopped("stopped by Ctrl-C", debug, arguments)
    except TooManyDeadLetters as error:  # the same command would end the same way
        return _fail(STOPPED, str(error), debug)
    except StopRun as error:
        return _stopped(str(error), debug, arguments)
    except OSError as error:
        return _stopped(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), debug, arguments)
    except Exception as error:
        return _stopped(f"{error_line(error)} (--debug shows more)", debug, arguments)


def _stopped(message: str, debug: bool, arguments: list[str]) -> int:
    """End with STOPPED. The command that goes on comes first: the last line is the reason."""
    command, output = resume_command(arguments), output_of(arguments)
    if command is not None and output is not None and os.path.exists(output / "job.json"):  # never raises
        logs.notice(f"to go on: {_without_key(command)}")
    return _fail(STOPPED, message, debug)


def _fail(code: int, message: str, debug: bool) -> int:
    if debug:
        print(printable(_without_key(traceback.format_exc())), file=sys.stderr)
    logs.notice(_without_key(message), "ERROR")
    return code


def _without_key(message: str) -> str:
    keep_secret(os.environ.get("TALONONE_API_KEY", "").strip())
    return without_keys(message)


if __name__ == "__main__":
    main()
