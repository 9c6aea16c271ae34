"""The other entities of an account. Times are in seconds since 1970, except those of points."""

from decimal import Decimal
from typing import Any

import msgspec

from beam_talonone.simulator.world.points import Batches

AudienceKey = tuple[str | None, str]


class Audience(msgspec.Struct, gc=False):
    """An audience that was created or renamed. `content` is the last request body about it."""

    number: int
    created: float
    content: dict[str, Any]

    @property
    def key(self) -> AudienceKey | None:
        """The platform and the id there, which no two audiences share; None for an audience without a platform."""
        return (
            (self.content.get("integration"), self.content["integrationId"])
            if "integrationId" in self.content
            else None
        )


class Coupon(msgspec.Struct, gc=False):
    """A reserved coupon code. `reserved` maps its customers to the times of their reservations."""

    number: int
    code: str
    created: float
    reserved: dict[str, float] = {}


class Referral(msgspec.Struct, gc=False):
    """A referral code. `call` is the number of the call that created it, counted over both operations."""

    number: int
    code: str
    created: float
    call: int
    campaign: int
    advocate: str
    content: dict[str, Any]


class Card(msgspec.Struct, gc=False):
    """A loyalty card. `profiles` maps its customers to the times at which they were linked."""

    number: int
    program: int
    identifier: str
    created: float
    modified: float
    status: str = "active"
    profiles: dict[str, float] = {}
    batches: Batches = []


class Member(msgspec.Struct, gc=False):
    """A customer in a profile-based loyalty program."""

    joined: float
    batches: Batches = []


class Program(msgspec.Struct, gc=False):
    """A loyalty program: its members by customer, and its cards by identifier."""

    members: dict[str, Member] = {}
    cards: dict[str, Card] = {}


class Item(msgspec.Struct, gc=False):
    """An item of a catalog. The keys of `adjustments` are price type and reference."""

    sku: str
    price: Decimal | int | None = None
    attributes: dict[str, Any] = {}
    product: dict[str, Any] | None = None
    adjustments: dict[tuple[str, str], dict[str, Any]] = {}


class Catalog(msgspec.Struct, gc=False):
    """A catalog: its items by SKU. Each synchronisation increases `version` by one."""

    number: int
    created: float
    modified: float
    version: int = 1
    items: dict[str, Item] = {}


class Price(msgspec.Struct, gc=False):
    """The price of an item from `at` on. `adjustment` is its source; None for the item's own price."""

    number: int
    at: float
    price: Decimal | int
    context: str = ""
    adjustment: dict[str, Any] | None = None


class Event(msgspec.Struct, gc=False):
    """An advanced event, which has an id of its own. `content` is its request body."""

    number: int
    id: str
    profile: str
    created: float
    content: dict[str, Any]


class Belongings(msgspec.Struct, gc=False):
    """The codes, cards, programs and events of one customer, by their keys in the account."""

    coupons: set[str] = set()
    cards: set[tuple[int, str]] = set()
    programs: set[int] = set()
    referrals: list[str] = []
    events: list[str] = []
