"""The tools of the stream tests, one of each for a pytest process (with xdist: for a worker)."""

from collections.abc import Callable, Iterator

import pytest

from streams.harness.emulator import Emulator, running_emulator
from streams.harness.pubsub import PubSub
from streams.harness.stream_command import StreamCommand
from streams.harness.tools import find_emulator, needed


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """A fresh Pub/Sub emulator: it keeps a thread for each ordering key it ever saw, so none is shared or kept."""
    command = needed(find_emulator)
    with running_emulator(command, tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def pubsub(emulator: Emulator) -> Iterator[PubSub]:
    """Topics and subscriptions on that emulator. Each test makes its own, with names that are used once."""
    with PubSub(emulator.host) as client:
        yield client


@pytest.fixture
def stream_command(pubsub, emulator, prism, tmp_path) -> Iterator[Callable[..., StreamCommand]]:
    """Makes a stream command for a simulator; its processes are killed at the end of the test."""
    commands: list[StreamCommand] = []

    def make(api, *words: object, **more: bool) -> StreamCommand:
        folder = tmp_path / f"stream-{len(commands)}"
        folder.mkdir()
        commands.append(StreamCommand(api, pubsub, emulator.host, prism, folder, words, **more))
        return commands[-1]

    yield make
    for command in commands:
        if command.process is not None and command.process.poll() is None:
            command.process.kill()
            command.process.wait(10)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test that used the emulator shows the end of its log."""
    report = yield
    running = getattr(item, "funcargs", {}).get("emulator")
    if report.failed and isinstance(running, Emulator):
        report.sections.append(("log of the Pub/Sub emulator", running.tail()))
    return report
