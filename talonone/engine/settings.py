"""The settings of an engine."""

from dataclasses import dataclass, field

from beam_talonone.talonone.http.client_choice import DEFAULT, HttpSettings

WINDOW = 10_000
"""Jobs taken in and not yet done. A slice of a backfill fits in it: then every customer's first record may start."""

READY = 1000
"""The least value of `EngineSettings.ready`."""

JOBS_OF_A_POST = 10
"""Jobs that take about as long to take in as another post, with what they bring about."""


@dataclass(frozen=True)
class EngineSettings:
    """Where and how to send. `rate` in requests a second for the whole engine, `concurrency` requests in flight,
    `give_up_after` and `timeout` in seconds (None: never give up)."""

    base_url: str
    rate: float = 100.0
    concurrency: int = 64
    give_up_after: float | None = 300.0
    api_is_up: bool = False
    """The user says that the API works: requests that it keeps answering with 500 become dead letters, however many
    they are. See talonone.delivery.retry_budget."""
    timeout: float = 30.0
    window: int = WINDOW
    http: HttpSettings = DEFAULT
    phase: float | None = None
    """Where other processes have parts of the same rate: the seconds after a whole interval of the wall clock at
    which the requests of this one leave. See talonone.rate.pacer."""
    in_code: bool = field(default=False, compare=False)
    """The settings are arguments of a step, not options of the command line: messages name them so."""

    @property
    def ready(self) -> int:
        """Requests that wait for nothing but the rate. With so many, no more jobs are taken in: those that wait for
        long are out of the processor's caches when their turn comes."""
        return max(READY, 4 * self.concurrency)
