"""Referrals of WriteToTalonOne are made once, also when a worker that lives tries a bundle again."""

import time
from collections import Counter
from typing import Any

import pytest

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.parse import parse
from beam_talonone.talonone.delivery.send_options import SendOptions
from beam_talonone.talonone.errors import Unreachable
from beam_talonone.talonone.requests.build import BuildOptions, build
from beam_talonone.transforms.runtime.engines import EngineConfig, close_engine, engine_config, engine_for
from beam_talonone.transforms.sink.write_steps import SendLanes
from e2e.backfill.test_unsafe import REFERRAL, referral
from e2e.harness import KEY, Json, Simulator, simulator

COUNT = 20


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALONONE_API_KEY", KEY)


def packed(record: Json) -> tuple[bytes, bytes]:
    return build("calls", parse("calls", record).record, BuildOptions()).to_bytes(), jsonio.dumps(record)


def bundle(config: EngineConfig) -> tuple[SendLanes, list[Any]]:
    """A bundle that has taken in all records and is not at its end, and what it has emitted so far."""
    step = SendLanes(config, SendOptions(), "step", "job")
    step.start_bundle()
    emitted = list(step.process(("calls", [packed(referral(number)) for number in range(COUNT)])))
    return step, emitted


def ends(step: SendLanes, emitted: list[Any]) -> Counter[Any]:
    """The ends of all records of a bundle: of those that it emitted before its end, too."""
    lines = [_bare(output) for output in (*emitted, *step.finish_bundle())]
    return Counter(line.get("outcome", line.get("reason")) for line in lines)


def _bare(output: Any) -> Json:
    while not isinstance(output, dict):
        output = output.value
    return output


def made(sim: Simulator) -> Counter[Any]:
    return Counter(row["body"]["advocateProfileIntegrationId"] for row in sim.acted(REFERRAL))


ONCE = Counter({f"a{number}": 1 for number in range(COUNT)})


def test_a_bundle_that_is_tried_again_while_the_first_is_still_being_sent() -> None:
    """Another step of the bundle failed: its records are in the engine still, most of them not yet sent."""
    with simulator(latency_ms=200) as sim:
        config = engine_config(sim.url, "TALONONE_API_KEY", 1000.0, 2, 300.0)
        try:
            bundle(config)
            found = ends(*bundle(config))
        finally:
            close_engine(config)
        assert made(sim) == ONCE
        assert found == {"applied": COUNT}


def test_a_bundle_that_is_tried_again_after_the_engine_gave_up() -> None:
    """The API was unreachable for too long, the runner tries again: the new engine knows of nothing that was made."""
    with simulator() as sim:
        config = engine_config(sim.url, "TALONONE_API_KEY", 1000.0, 64, 300.0)
        try:
            bundle(config)
            deadline = time.monotonic() + 60
            while len(sim.acted(REFERRAL)) < COUNT and time.monotonic() < deadline:
                time.sleep(0.05)
            engine_for(config).stop(Unreachable("the API has not answered for 300 s"))
            found = ends(*bundle(config))
        finally:
            close_engine(config)
        assert made(sim) == ONCE
        assert sum(found.values()) == COUNT
