"""Prism, the engine of local streams: found, started, and never left behind."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import beam_talonone
from beam_talonone.pipelines.runners.runner import runner_name
from beam_talonone.talonone.errors import ConfigurationError, StopRun
from beam_talonone.talonone.state.temporary_files import TemporaryFolder
from beam_talonone.talonone.telemetry.error_text import error_line

START_TIMEOUT = 30.0
API_KEY_ENV = "TALONONE_API_KEY"
"""Prism gets the environment without it: it sends nothing, and listens on all addresses of the machine."""

MAKEFILE = Path(beam_talonone.__file__).parents[1] / "Makefile"
"""The Makefile of a checkout, in which `make tools` builds Prism; an installed package has none."""

YEARS = 10 * 365 * 86_400

_STARTER = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
parent, command = int(sys.argv[1]), sys.argv[2:]
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != parent:  # it ended before we could ask
    sys.exit(1)
try:
    os.execv(command[0], command)
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
"""
"""What becomes the engine: the request outlives the exec."""


def prism_binary(location: str | None) -> str | None:
    """The Prism to run: `location`, else one on PATH, else ~/go/bin/prism; None when Beam is to download it.

    Raises ConfigurationError when `location` is a path without a program.
    """
    if location is not None:
        if "://" in location:
            return None
        if not os.access(location, os.X_OK) or Path(location).is_dir():
            raise ConfigurationError(f"--prism-location {location} is not an executable file")
        return os.path.abspath(location)  # a bare name would be looked for on PATH
    home = Path.home() / "go" / "bin" / "prism"
    return shutil.which("prism") or (str(home) if os.access(home, os.X_OK) else None)


def is_ours(options: Any) -> bool:
    """Whether Beam's options mean a Prism that is started here, with the steps in this process."""
    from apache_beam.options.pipeline_options import PortableOptions

    portable = options.view_as(PortableOptions)
    loopback = (portable.environment_type or "LOOPBACK").upper() == "LOOPBACK"
    return runner_name(options).lower() == "prismrunner" and loopback and not portable.job_endpoint


def find_prism(options: Any) -> None:
    """Let Beam run the Prism that a stream would run. Raises ConfigurationError as `prism_binary` does."""
    from apache_beam.options.pipeline_options import PrismRunnerOptions

    if runner_name(options).lower() == "prismrunner":
        prism = options.view_as(PrismRunnerOptions)
        prism.prism_location = prism_binary(prism.prism_location) or prism.prism_location


def prism_command(options: Any, location: str | None) -> tuple[list[Any], str]:
    """The command line that runs Prism, which Beam downloads if need be, and the address at which it will listen.

    Raises ConfigurationError as `prism_binary` does, StopRun where there is no Prism.
    """
    from apache_beam.options.pipeline_options import PrismRunnerOptions
    from apache_beam.runners.portability.prism_runner import PrismJobServer

    settings = options.view_as(PrismRunnerOptions)
    settings.prism_location = prism_binary(location) or location
    settings.prism_log_level = "warn"
    try:
        command, endpoint = PrismJobServer(options).subprocess_cmd_and_endpoint()
    except Exception as error:
        make = "run `make tools` (with .tools/bin on the PATH), " if MAKEFILE.exists() else ""
        raise StopRun(
            f"Prism was not found, and it cannot be downloaded ({error_line(error)}): {make}give --prism-location, or"
            f" run `go install github.com/apache/beam/sdks/v2/go/cmd/prism@v{version('apache-beam')}`"
        ) from None
    return command, endpoint


@contextmanager
def prism_for(options: Any, log: str | None) -> Iterator["Prism"]:
    """A Prism of our own runs meanwhile, for pipelines with these options of Beam's. `log` takes what it says."""
    from apache_beam.options.pipeline_options import PrismRunnerOptions

    location = options.view_as(PrismRunnerOptions).prism_location
    with ExitStack() as left:
        if log is None:
            log = f"{left.enter_context(closing(TemporaryFolder('beam-talonone-prism-'))).path}/prism.log"
        prism = Prism(options, location, Path(log))
        try:
            prism.serve(options)
            yield prism
        finally:
            prism.stop()


class Prism:
    """A Prism process of our own. It runs in a session of its own, so that Ctrl-C at the terminal reaches only this
    process and the stream can drain. It dies with the thread that started it, whatever kills that."""

    def __init__(self, options: Any, location: str | None, log: Path) -> None:
        """`options` are Beam's, `log` takes what Prism says. To be called in the main thread, with which it dies.
        Raises StopRun when it does not come up."""
        command, self.endpoint = prism_command(options, location)
        self._log = log
        words = _dying_with_us([str(word) for word in command])
        try:
            with log.open("wb") as says:
                self._process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=says, stderr=says, start_new_session=True,
                    env={name: value for name, value in os.environ.items() if name != API_KEY_ENV},
                )  # fmt: skip
        except OSError as error:
            raise StopRun(f"Prism did not start: {error.filename}: {error.strerror}") from None
        self._wait_until_it_listens()

    def serve(self, options: Any) -> None:
        """Let pipelines with these options of Beam's run here, their steps in this process, for however long."""
        from apache_beam.options.pipeline_options import PortableOptions

        portable = options.view_as(PortableOptions)
        portable.job_endpoint = self.endpoint
        portable.environment_type = "LOOPBACK"
        portable.job_server_timeout = YEARS  # else it ends after five minutes

    @property
    def pid(self) -> int:
        """The process id of Prism, also once it has ended."""
        return self._process.pid

    def ended(self, within: float = 0.0) -> int | None:
        """Its exit code; None when it still runs after so many seconds. Its connections break before it has ended."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(within)
        return None

    def stop(self) -> None:
        """Kill Prism if it still runs, and wait until the process is gone."""
        if self._process.poll() is None:
            self._process.kill()  # it keeps nothing that is to be saved
        self._process.wait()

    def _wait_until_it_listens(self) -> None:
        host, port = self.endpoint.rsplit(":", 1)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((host, int(port)), 1.0).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        output = self._log.read_text(errors="replace").strip().splitlines()
        raise StopRun(f"Prism did not start: {output[-1][:300] if output else 'it wrote no output'}")


def _dying_with_us(command: list[str]) -> list[str]:
    """The command, started by a few lines that ask the kernel to kill it when we end, whatever ends us.

    They run in a process of their own. Between fork and exec, code in this process could wait for ever for a lock of
    another thread, such as one of gRPC's.
    """
    if sys.platform != "linux" or not sys.executable:
        return command
    return [sys.executable, "-I", "-S", "-c", _STARTER, str(os.getpid()), *command]
