"""The settings of a simulated Talon.One: its limits, its faults, and its reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ErrorDetail = Literal["first", "all", "none"]
RetryAfter = Literal["none", "seconds", "date"]
Entity = Literal["session", "profile", "cart_item", "event", "referral"]


@dataclass(frozen=True)
class SimulatorSettings:
    """All settings of a simulator, as plain data that can be sent to another process.

    Raises ValueError for an invalid value.
    """

    key: str | None = None
    """The only API key that is accepted; None accepts any key that is not empty."""
    rate: float | None = None
    """Requests per second that are admitted, evenly spaced; None is no limit."""
    burst: int = 1
    """With `rate`: requests that are admitted at once after a pause."""
    latency_ms: float = 0.0
    """Milliseconds that every request takes: half before it acts, half after."""
    jitter_ms: float = 0.0
    """The most milliseconds that are added to the latency, evenly distributed."""
    faults: tuple[str, ...] = ()
    """Faults, each as `NAME:param=value,...`; see exchange/faults.py."""
    seed: int = 0
    """Seeds the random numbers: the same requests in the same order meet the same faults."""
    unknown_attributes: tuple[str, ...] = ()
    """Names of attributes that the account does not define, on any entity."""
    known_attributes: Mapping[Entity, tuple[str, ...]] = field(default_factory=dict)
    """Entity -> the only attributes that the account defines for it. Other entities have any attributes."""
    unknown_audiences: tuple[int, ...] = ()
    """Audience ids that do not exist; all others do."""
    unknown_coupons: tuple[str, ...] = ()
    """Coupon codes that do not exist; all others do."""
    unknown_programs: tuple[int, ...] = ()
    """Loyalty program ids that do not exist; all others do, with members and cards."""
    unknown_catalogs: tuple[int, ...] = ()
    """Catalog ids that do not exist; all others do, empty at first."""
    campaigns: int = 3
    """The number of running campaigns; their ids count from 1."""
    errors: ErrorDetail = "all"
    """The problems of a refused request in the answer: the first, all, or the first without its place."""
    retry_after: RetryAfter = "none"
    """The form of the header Retry-After of a 429."""
    unknown_session_status: Literal[400, 404] = 404
    """The status for reading an unknown session, which the vendor's document leaves open."""
    ledger: str | None = None
    """File for the ledger: a line is appended for every request that acted, when it is answered."""
    keep_bodies: bool = True
    """Whether the ledger keeps the bodies of requests."""

    def __post_init__(self) -> None:
        if self.rate is not None and self.rate <= 0:
            raise ValueError(f"rate: {self.rate} requests a second let nothing through; leave it out for no limit")
        if self.burst < 1:
            raise ValueError(f"burst: {self.burst} would let nothing through; the least is 1")
        if self.latency_ms < 0 or self.jitter_ms < 0:
            raise ValueError("latency and jitter are milliseconds, 0 or more")
        if self.campaigns < 0:
            raise ValueError(f"campaigns: {self.campaigns} is not 0 or more")
        for name, value, choices in (
            ("errors", self.errors, ("first", "all", "none")),
            ("retry-after", self.retry_after, ("none", "seconds", "date")),
        ):
            if value not in choices:
                raise ValueError(f"{name}: {value!r} is not one of {', '.join(choices)}")
