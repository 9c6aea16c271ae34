"""What an account holds besides profiles and sessions. Times are seconds since 1970, but for points."""

from decimal import Decimal
from typing import Any

import msgspec

from beam_talonone.simulator.world.points import Batches

AudienceKey = tuple[str | None, str]


class Audience(msgspec.Struct, gc=False):
    """An audience that was created or renamed; `given` is what was last sent of it."""

    number: int
    created: float
    given: dict[str, Any]

    @property
    def key(self) -> AudienceKey | None:
        """What no two audiences share: the platform, and the id there. None for one that is from nowhere else."""
        return (self.given.get("integration"), self.given["integrationId"]) if "integrationId" in self.given else None


class Coupon(msgspec.Struct, gc=False):
    """A coupon code that was reserved; `reserved` are its customers and since when."""

    number: int
    code: str
    created: float
    reserved: dict[str, float] = {}


class Referral(msgspec.Struct, gc=False):
    """A referral code. `call` is the number of the call that made it, counted over both operations."""

    number: int
    code: str
    created: float
    call: int
    campaign: int
    advocate: str
    given: dict[str, Any]


class Card(msgspec.Struct, gc=False):
    """A loyalty card; `profiles` are the customers linked to it and since when."""

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
    members: dict[str, Member] = {}
    cards: dict[str, Card] = {}


class Item(msgspec.Struct, gc=False):
    """A catalog's item; `adjustments` are by price type and reference."""

    sku: str
    price: Decimal | int | None = None
    attributes: dict[str, Any] = {}
    product: dict[str, Any] | None = None
    adjustments: dict[tuple[str, str], dict[str, Any]] = {}


class Catalog(msgspec.Struct, gc=False):
    number: int
    created: float
    modified: float
    version: int = 1
    items: dict[str, Item] = {}


class Price(msgspec.Struct, gc=False):
    """A price that an item had from `at` on; `adjustment` is what made it so, None for the item's own."""

    number: int
    at: float
    price: Decimal | int
    context: str = ""
    adjustment: dict[str, Any] | None = None


class Event(msgspec.Struct, gc=False):
    """An advanced event, which has an id of its own."""

    number: int
    id: str
    profile: str
    created: float
    given: dict[str, Any]


class Belongings(msgspec.Struct, gc=False):
    """What belongs to one customer, by the names that the account knows it by."""

    coupons: set[str] = set()
    cards: set[tuple[int, str]] = set()
    programs: set[int] = set()
    referrals: list[str] = []
    events: list[str] = []
