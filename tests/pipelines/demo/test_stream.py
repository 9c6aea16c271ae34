"""The demo of streams: what it needs is looked for before anything is published."""

from pathlib import Path

import pytest
from apache_beam.runners.portability.prism_runner import PrismJobServer

from beam_talonone.pipelines.demo import stream
from beam_talonone.pipelines.runners import prism
from beam_talonone.talonone.errors import ConfigurationError, StopRun


@pytest.fixture
def no_prism(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Prism, on which it cannot be downloaded."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def fail(server: PrismJobServer) -> None:
        raise OSError("no network")

    monkeypatch.setattr(PrismJobServer, "subprocess_cmd_and_endpoint", fail)


@pytest.mark.usefixtures("no_prism")
@pytest.mark.parametrize("checkout", [True, False])
def test_without_prism_nothing_is_written_or_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: bool
) -> None:
    monkeypatch.setattr(stream, "_emulator", lambda: pytest.fail("nothing may be published"))
    if not checkout:
        monkeypatch.setattr(prism, "MAKEFILE", tmp_path / "Makefile")
    with pytest.raises(ConfigurationError, match=r"Prism was not found, .*go install ") as raised:
        stream.run_demo_stream(100.0, tmp_path / "demo")
    assert ("run `make tools` (with .tools/bin on the PATH)" in str(raised.value)) == checkout
    assert not (tmp_path / "demo").exists()


class Ended:
    """A process that has ended."""

    def poll(self) -> int:
        return 1


def test_a_stream_that_has_ended_is_not_one_without_progress() -> None:
    with pytest.raises(StopRun, match="the stream ended with exit code 1, see above"):
        stream._wait(lambda: False, Ended())  # type: ignore[arg-type]
