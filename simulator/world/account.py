"""The simulated account: profiles, sessions, all other entities, and the counters for their numbers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from beam_talonone.simulator.exchange.answers import decode, encode
from beam_talonone.simulator.exchange.body_store import BodyStore
from beam_talonone.simulator.server.settings import SimulatorSettings
from beam_talonone.simulator.world.entities import (
    Audience,
    AudienceKey,
    Belongings,
    Catalog,
    Coupon,
    Event,
    Price,
    Program,
    Referral,
)

APPLICATION_ID = 1
ACCOUNT_ID = 1
FIRST_AUDIENCE = 1_000_001
"""The number of the first created audience, far from the ids that exist anyway."""


class Profile(msgspec.Struct, gc=False):
    """A customer. Times are in seconds since 1970. `known` is False from an erasure until the next request about
    them.
    """

    number: int
    id: str
    created: float
    updated: float
    attributes: dict[str, Any] = {}
    audiences: set[int] = set()
    sessions: list[str] = []
    events: int = 0
    erased: int = 0
    known: bool = True


class Session(msgspec.Struct, gc=False):
    """A customer session. `content` is the place in the body store of its last content: a whole request body."""

    number: int
    id: str
    profile: str
    state: str
    created: float
    updated: float
    content: int
    first: bool = True
    updates: int = 1
    returned: dict[int, int] = {}
    returns: tuple[dict[str, Any], ...] = ()


@dataclass(slots=True)
class World:
    """The whole account. Only handlers change it, and they never await meanwhile."""

    settings: SimulatorSettings
    body_store: BodyStore
    profiles: dict[str, Profile] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    belongings: dict[str, Belongings] = field(default_factory=dict)
    audiences: dict[int, Audience] = field(default_factory=dict)
    audience_keys: dict[AudienceKey, int] = field(default_factory=dict)
    audience_numbers: "count[int]" = field(default_factory=lambda: count(FIRST_AUDIENCE))
    deleted_audiences: set[int] = field(default_factory=set)
    coupons: dict[str, Coupon] = field(default_factory=dict)
    referrals: dict[str, Referral] = field(default_factory=dict)
    referral_calls: int = 0
    programs: dict[int, Program] = field(default_factory=dict)
    transactions: int = 0
    catalogs: dict[int, Catalog] = field(default_factory=dict)
    prices: dict[str, list[Price]] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)

    def profile(self, id: str, now: float) -> Profile:
        """The profile `id`, created if there is none, as the API creates profiles that requests name."""
        profile = self.profiles.get(id)
        if profile is None:
            profile = self.profiles[id] = Profile(next(self.numbers), id, now, now)
        profile.updated = now
        profile.known = True
        return profile

    def belonging(self, id: str) -> Belongings:
        """The belongings of the customer `id`, for changes."""
        return self.belongings.setdefault(id, Belongings())

    def program(self, id: int) -> Program:
        """The loyalty program `id`, for changes."""
        return self.programs.setdefault(id, Program())

    def has_audience(self, id: int) -> bool:
        """Whether the audience exists: all do, except deleted ones and those that the settings exclude."""
        return id not in self.deleted_audiences and id not in self.settings.unknown_audiences

    def content(self, session: Session) -> dict[str, Any]:
        """The content of the session with all updates merged."""
        content: dict[str, Any] = decode(self.body_store.get(session.content))["customerSession"]
        return content

    def keep(self, content: dict[str, Any]) -> int:
        """Store the content of a session; returns its place in the body store."""
        return self.body_store.put(encode({"customerSession": content}))


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The attributes after an update, merged by name; null removes an attribute."""
    return {name: value for name, value in (old | new).items() if value is not None}


def timestamp(moment: float) -> str:
    """`moment` (seconds since 1970) as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
