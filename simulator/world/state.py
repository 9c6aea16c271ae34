"""Everything a reset forgets. A request keeps the state it arrived in, so that none of it leaks over a reset."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from beam_talonone.simulator.exchange.faults import FaultPlan, parse_faults
from beam_talonone.simulator.exchange.gate import Keys, Lanes, Rate
from beam_talonone.simulator.exchange.ledger import Ledger
from beam_talonone.simulator.exchange.spool import Spool
from beam_talonone.simulator.server.settings import SimulatorSettings
from beam_talonone.simulator.world.account import World


@dataclass(slots=True)
class State:
    """One life of a simulator; times are seconds since `started`."""

    settings: SimulatorSettings
    clock: Callable[[], float]
    started: float
    world: World
    ledger: Ledger
    plan: FaultPlan
    rate: Rate | None
    faults: tuple[str, ...]
    keys: Keys = field(default_factory=Keys)
    lanes: Lanes = field(default_factory=Lanes)
    rate_refused: int = 0

    def elapsed(self) -> float:
        return self.clock() - self.started

    def set_faults(self, specs: tuple[str, ...]) -> None:
        """These faults instead of those before; their times and request numbers count from now.

        Raises ValueError for what is not understood, and changes nothing.
        """
        received = len(self.ledger.received)
        self.plan = FaultPlan(parse_faults(specs), seed=self.settings.seed, started=self.elapsed(), before=received)
        self.faults = specs

    def latency(self) -> float:
        """How many seconds the next request takes, faults apart."""
        settings = self.settings
        if not settings.latency_ms and not settings.jitter_ms:
            return 0.0
        return (settings.latency_ms + self.plan.dice.random() * settings.jitter_ms) / 1000


def new_state(settings: SimulatorSettings, clock: Callable[[], float], file: BinaryIO | None) -> State:
    """The state of a simulator just started. Raises ValueError for faults that are not understood."""
    spool = Spool()
    return State(
        settings=settings,
        clock=clock,
        started=clock(),
        world=World(settings, spool),
        ledger=Ledger(spool, file),
        plan=FaultPlan(parse_faults(settings.faults), seed=settings.seed, started=0.0, before=0),
        rate=Rate(settings.rate, settings.burst) if settings.rate else None,
        faults=settings.faults,
    )
