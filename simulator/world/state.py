"""Everything that a reset forgets. A request keeps the state that it arrived in, so none of it survives a reset."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from beam_talonone.simulator.exchange.body_store import BodyStore
from beam_talonone.simulator.exchange.faults import FaultPlan, parse_faults
from beam_talonone.simulator.exchange.gate import Keys, Queues, Rate
from beam_talonone.simulator.exchange.ledger import Ledger
from beam_talonone.simulator.server.settings import SimulatorSettings
from beam_talonone.simulator.world.account import World


@dataclass(slots=True)
class State:
    """The state of a simulator between two resets. Times are in seconds since `started`."""

    settings: SimulatorSettings
    clock: Callable[[], float]
    started: float
    world: World
    ledger: Ledger
    plan: FaultPlan
    rate: Rate | None
    faults: tuple[str, ...]
    keys: Keys = field(default_factory=Keys)
    queues: Queues = field(default_factory=Queues)
    rate_refused: int = 0

    def elapsed(self) -> float:
        """Seconds since the start or the last reset."""
        return self.clock() - self.started

    def set_faults(self, specs: tuple[str, ...]) -> None:
        """Replace the faults. Their times and request numbers count from now.

        Raises ValueError for invalid faults, and then changes nothing.
        """
        received = len(self.ledger.received)
        self.plan = FaultPlan(parse_faults(specs), seed=self.settings.seed, started=self.elapsed(), before=received)
        self.faults = specs

    def latency(self) -> float:
        """Seconds that the next request takes, without faults."""
        settings = self.settings
        if not settings.latency_ms and not settings.jitter_ms:
            return 0.0
        return (settings.latency_ms + self.plan.rng.random() * settings.jitter_ms) / 1000


def new_state(settings: SimulatorSettings, clock: Callable[[], float], file: BinaryIO | None) -> State:
    """The state of a simulator that has just started. Raises ValueError for invalid faults."""
    body_store = BodyStore()
    return State(
        settings=settings,
        clock=clock,
        started=clock(),
        world=World(settings, body_store),
        ledger=Ledger(body_store, file),
        plan=FaultPlan(parse_faults(settings.faults), seed=settings.seed, started=0.0, before=0),
        rate=Rate(settings.rate, settings.burst) if settings.rate else None,
        faults=settings.faults,
    )
