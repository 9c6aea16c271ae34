"""The API's views of points: balances of cards and members, and the tiers that they reach."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from beam_talonone.simulator.world.account import World, timestamp
from beam_talonone.simulator.world.entities import Card, Member
from beam_talonone.simulator.world.points import NOTHING, SECOND, Batches, State, sums

TIERS: Final = ((1, "bronze", 0), (2, "silver", 100), (3, "gold", 10_000))
"""Number and name of each tier, and the active points that it requires. Every member is in one."""


def balance_view(
    batches: Batches, now: float, *, subledgers: Collection[str] | None, until: datetime | None
) -> dict[str, Any]:
    """Balances by ledger. The id of the main ledger is the empty text. `subledgers` selects some; None is all.

    `now` is in seconds since 1970; `until` takes its place if it is set.
    """
    points = sums(batches, subledgers, until, int((until.timestamp() if until else now) * SECOND))
    ledgers = set(subledgers) if subledgers is not None else {"", *points}
    view: dict[str, Any] = {
        "subledgerBalances": {name: _balance(points.get(name, NOTHING)) for name in sorted(ledgers - {""})}
    }
    if "" in ledgers:
        view["balance"] = _balance(points.get("", NOTHING))
    return view


def _balance(sum_of: dict[State, Decimal]) -> dict[str, Any]:
    return {
        "activePoints": sum_of["active"],
        "pendingPoints": sum_of["pending"],
        "spentPoints": 0,
        "expiredPoints": sum_of["expired"],
        "negativePoints": 0,
    }


def add_tiers(balance: dict[str, Any], *, current: bool, projected: bool) -> None:
    """Add the tier to a balance. No points expire here, so the projected tier is the current one."""
    points = balance["activePoints"]
    number, name, _ = next(tier for tier in reversed(TIERS) if points >= tier[2])
    if current:
        balance["currentTier"] = {"id": number, "name": name}
        following = next((tier for tier in TIERS if points < tier[2]), None)
        if following is not None:
            balance |= {"pointsToNextTier": following[2] - points, "nextTierName": following[1]}
    if projected:
        balance["projectedTier"] = {"projectedActivePoints": points, "projectedTierName": name}


def _ledger(sum_of: dict[State, Decimal]) -> dict[str, Any]:
    return {
        "currentBalance": sum_of["active"],
        "pendingBalance": sum_of["pending"],
        "expiredBalance": 0,
        "spentBalance": 0,
        "tentativeCurrentBalance": sum_of["active"],
        "tentativePendingBalance": sum_of["pending"],
    }


def _ledgers(batches: Batches, now: float, subledgers_as: str) -> dict[str, Any]:
    points = sums(batches, None, None, int(now * SECOND))
    others = {name: _ledger(sum_of) for name, sum_of in sorted(points.items()) if name and any(sum_of.values())}
    return {"ledger": _ledger(points.get("", NOTHING)), subledgers_as: others}


def linked_view(card: Card) -> list[dict[str, Any]]:
    """The customers linked to a card, and since when."""
    return [{"integrationId": id, "timestamp": timestamp(since)} for id, since in card.profiles.items()]


def card_view(card: Card, now: float) -> dict[str, Any]:
    """The API's view of a loyalty card. `now` is in seconds since 1970."""
    return {
        "id": card.number,
        "created": timestamp(card.created),
        "programID": card.program,
        "programName": f"program {card.program}",
        "programTitle": f"Program {card.program}",
        "status": card.status,
        "identifier": card.identifier,
        "usersPerCardLimit": 0,
        "profiles": linked_view(card),
        **_ledgers(card.batches, now, "subledgers"),
        "modified": timestamp(card.modified),
    }


def member_view(program: int, member: Member, now: float) -> dict[str, Any]:
    """The API's view of a membership in a loyalty program. `now` is in seconds since 1970."""
    return {
        "id": program,
        "title": f"Program {program}",
        "name": f"program {program}",
        "joinDate": timestamp(member.joined),
        **_ledgers(member.batches, now, "subLedgers"),
    }


def loyalty_view(world: World, customer: str | None, now: float) -> dict[str, Any]:
    """The cards linked to a customer, and the programs of which they are a member."""
    has = world.belongings.get(customer) if customer is not None else None
    if has is None:
        return {"cards": [], "programs": {}}
    cards = (world.programs[program].cards[identifier] for program, identifier in sorted(has.cards))
    members = ((program, world.programs[program].members[customer or ""]) for program in sorted(has.programs))
    return {
        "cards": [card_view(card, now) for card in cards],
        "programs": {str(program): member_view(program, member, now) for program, member in members},
    }
