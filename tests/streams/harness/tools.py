"""Where the tools that some tests need are on this machine.

Streams need Prism and the Pub/Sub emulator, and a shared rate needs Envoy's rate limit service and Redis. Some tests
need an emulator of Cloud Storage.

`python tests/streams/harness/tools.py` lists the tools and how to get the missing ones; 1 is its exit code if any is.
Without a tool its tests are skipped; with STREAM_TOOLS=required in the environment, as in CI, they fail.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

ROOT = Path(__file__).parents[3]
Tool = TypeVar("Tool")

NO_PRISM = "Prism is not here: `make tools` installs it (needs Go), or set PRISM to the binary"
NO_JAVA = "the Pub/Sub emulator needs Java: no `java` on PATH (Debian: apt install default-jre-headless)"
NO_EMULATOR = (
    "the Pub/Sub emulator is not here: `gcloud components install beta pubsub-emulator`, or with Google's apt"
    " repository `apt install google-cloud-cli google-cloud-cli-pubsub-emulator`; or set PUBSUB_EMULATOR to a"
    " command that takes --host and --port"
)

NO_RATE_SERVICE = (
    "Envoy's rate limit service is not here: `make tools` installs it (needs Go), or set RATE_SERVICE to the binary"
)
NO_REDIS = (
    "Redis is not here, which Envoy's rate limit service counts in: no `redis-server` on PATH (Debian: apt install"
    " redis-server); or set REDIS_SERVER to the binary"
)
NO_STORAGE = (
    "the Cloud Storage emulator is not here: `pip install -c constraints.txt gcp-storage-emulator`, which is in the"
    " extra `dev`; or set STORAGE_EMULATOR to the program"
)

GCLOUD_HOMES = ("/usr/lib/google-cloud-sdk/bin", "~/google-cloud-sdk/bin")
"""Where gcloud is when PATH does not say."""


class Missing(Exception):
    """A tool is not on this machine; the message says how to get it."""


def find_prism() -> Path:
    """The Prism binary: PRISM, the checkout's own, PATH, then where `go install` puts it. Raises Missing."""
    return _program("PRISM", "prism", NO_PRISM)


def find_rate_service() -> Path:
    """The binary of Envoy's rate limit service: RATE_SERVICE, then as Prism is found. Raises Missing."""
    return _program("RATE_SERVICE", "service_cmd", NO_RATE_SERVICE)


def find_redis() -> Path:
    """The Redis server: REDIS_SERVER, then PATH. Raises Missing."""
    return _program("REDIS_SERVER", "redis-server", NO_REDIS)


def find_storage() -> Path:
    """The program `gcp-storage-emulator`: STORAGE_EMULATOR, then as Prism is found. Raises Missing."""
    return _program("STORAGE_EMULATOR", "gcp-storage-emulator", NO_STORAGE)


def _program(variable: str, name: str, missing: str) -> Path:
    named = os.environ.get(variable)
    if named:
        if not _runs(named):
            raise Missing(f"{variable}={named} is no program that can be run")
        return Path(named).resolve()
    beside = Path(sys.executable).with_name(name)  # where this environment's packages put theirs
    for place in (ROOT / ".tools/bin" / name, beside, shutil.which(name), Path("~/go/bin").expanduser() / name):
        if place is not None and _runs(place):
            return Path(place)
    raise Missing(missing)


def find_emulator() -> list[str]:
    """The start of the command line that runs the emulator; `host_options` has the rest. Raises Missing.

    The component is looked for first: gcloud started without it would begin to install it.
    """
    named = os.environ.get("PUBSUB_EMULATOR")
    if named:
        command = shlex.split(named)
        if shutil.which(command[0]) is None:
            raise Missing(f"PUBSUB_EMULATOR={named} is no program that can be run")
        return command
    gcloud = shutil.which("gcloud") or shutil.which("gcloud", path=os.pathsep.join(_homes()))
    if gcloud is None or not (Path(gcloud).resolve().parents[1] / "platform/pubsub-emulator").is_dir():
        raise Missing(NO_EMULATOR)
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        raise Missing(NO_JAVA)
    return [gcloud, "beta", "emulators", "pubsub", "start", "--quiet"]


def host_options(command: list[str], port: int, data: Path) -> list[str]:
    """The options after `find_emulator()`: gcloud and the emulator's own script name them differently."""
    if "emulators" in command:
        return [f"--host-port=127.0.0.1:{port}", f"--data-dir={data}"]
    return ["--host=127.0.0.1", f"--port={port}"]


def quiet_gcloud(config: Path) -> dict[str, str]:
    """Settings with which gcloud asks nothing, looks for no updates, and leaves the person's own settings alone."""
    return {
        "CLOUDSDK_CONFIG": str(config),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
    }


def needed(find: Callable[[], Tool]) -> Tool:
    """What `find` finds; else the test is skipped, or fails where the tools are required."""
    try:
        return find()
    except Missing as reason:
        unavailable(str(reason))


def unavailable(reason: str) -> NoReturn:
    if os.environ.get("STREAM_TOOLS") == "required":
        pytest.fail(f"STREAM_TOOLS=required: {reason}", pytrace=False)
    pytest.skip(reason)


def _runs(program: str | Path) -> bool:
    return Path(program).is_file() and os.access(program, os.X_OK)


def _homes() -> list[str]:
    return [str(Path(home).expanduser()) for home in GCLOUD_HOMES]


def main() -> int:
    """Print where each tool is, or how to get it. 1 when one is missing."""
    code = 0
    tools: dict[str, Callable[[], Path | list[str]]] = {
        "Prism": find_prism,
        "Pub/Sub emulator": find_emulator,
        "rate limit service": find_rate_service,
        "Redis": find_redis,
        "Cloud Storage emulator": find_storage,
    }
    for name, find in tools.items():
        try:
            found = find()
            print(f"{name}: {shlex.join(found) if isinstance(found, list) else found}")
        except Missing as reason:
            print(reason, file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
