"""What a simulated Talon.One is like: its limits, its temper, and what it reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ErrorDetail = Literal["first", "all", "none"]
RetryAfter = Literal["none", "seconds", "date"]
Entity = Literal["session", "profile", "cart_item", "event", "referral"]


@dataclass(frozen=True)
class SimulatorSettings:
    """All that can be chosen of a simulator. Everything is plain data, so that it can be sent to another process."""

    key: str | None = None
    """The one API key that is accepted; None accepts any that is not empty."""
    rate: float | None = None
    """Requests a second that are let through, evenly spaced; None is no limit."""
    burst: int = 1
    """How many requests may come at once after a pause, with `rate`."""
    latency_ms: float = 0.0
    """How long every request takes, in milliseconds: half before it acts, half after."""
    jitter_ms: float = 0.0
    """Up to how many milliseconds are added to the latency, evenly distributed."""
    faults: tuple[str, ...] = ()
    """Faults to order, each as `NAME:param=value,...`; see faults.py."""
    seed: int = 0
    """Seeds every dice: the same requests in the same order meet the same faults."""
    unknown_attributes: tuple[str, ...] = ()
    """Attribute names that the account does not know, on any entity."""
    known_attributes: Mapping[Entity, tuple[str, ...]] = field(default_factory=dict)
    """For each entity named here: the only attribute names that the account knows."""
    unknown_audiences: tuple[int, ...] = ()
    """Audience ids that do not exist; all others do."""
    unknown_coupons: tuple[str, ...] = ()
    """Coupon codes that do not exist; all others do."""
    unknown_programs: tuple[int, ...] = ()
    """Loyalty program ids that do not exist; all others do, with members and cards."""
    unknown_catalogs: tuple[int, ...] = ()
    """Catalog ids that do not exist; all others do, empty at first."""
    campaigns: int = 3
    """How many campaigns run; their ids are 1 and up."""
    errors: ErrorDetail = "all"
    """Which problems of a refused request are reported: the first, all, or the first without saying where."""
    retry_after: RetryAfter = "none"
    """How a 429 says when to come back."""
    unknown_session_status: Literal[400, 404] = 404
    """What reading a session that does not exist answers; the vendor's document leaves it open."""
    ledger: str | None = None
    """File to which a line is appended for every request that acted, when it was answered."""
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
        for name, value, known in (
            ("errors", self.errors, ("first", "all", "none")),
            ("retry-after", self.retry_after, ("none", "seconds", "date")),
        ):
            if value not in known:
                raise ValueError(f"{name}: {value!r} is not one of {', '.join(known)}")
