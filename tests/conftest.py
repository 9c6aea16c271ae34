"""Settings of all tests, and what many share: the simulator, Prism, Cloud Storage. Imports are where they are needed:
most tests need none of these."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from e2e.harness import Simulator
    from support.servers.storage import CloudStorage

pytest_plugins = ["choice", "pytester"]

# Two cores that others use as well: how long a property takes says nothing about it.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("shared")


# A run in the background ignores SIGINT, one under nohup SIGHUP: what tests start must not inherit that.
for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, action)

# A developer's proxy is none of the tests' business; those of proxies set their own.
for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
    os.environ.pop(name, None)
    os.environ.pop(name.lower(), None)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name binary parameters by their argument: packed data differs between processes, and names must not."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(scope="module")
def server() -> "Iterator[Simulator]":
    """One simulator for a file: a start for each test would take longer than the test."""
    from e2e.harness import simulator

    with simulator(unknown_attributes=("bad",)) as running:
        yield running


@pytest.fixture
def api(server: "Simulator") -> "Simulator":
    """That of the file, as if it had just been started. It does not know the attribute `bad`."""
    server.reset()
    return server


@pytest.fixture(scope="session")
def prism() -> Path:
    """The Prism binary, for --prism-location."""
    from streams.harness.tools import find_prism, needed

    return needed(find_prism)


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[CloudStorage]":
    """An emulator of Cloud Storage."""
    from streams.harness.tools import find_storage, needed
    from support.servers.storage import running_storage

    with running_storage(needed(find_storage), tmp_path_factory.mktemp("storage")) as running:
        yield running
