"""The running campaigns: always the same ones, as many as the settings say. They have no rules with effects."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from beam_talonone.simulator.bodies.queries import page
from beam_talonone.simulator.exchange.answers import Answer, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.world.account import APPLICATION_ID, World

PAGE: Final = 50
_FIRST_START: Final = datetime(2024, 1, 1, tzinfo=UTC)
_LIFE: Final = timedelta(days=3650)


def starts(campaign: int) -> datetime:
    """When a campaign starts: `campaign` days after the beginning of 2024."""
    return _FIRST_START + timedelta(days=campaign)


def ends(campaign: int) -> datetime:
    """When a campaign ends, ten years later."""
    return starts(campaign) + _LIFE


def read(world: World, call: Call) -> Done:
    """integration_get_all_campaigns: a page of the campaigns that pass the filters of the query."""
    chosen = [campaign for campaign in range(1, world.settings.campaigns + 1) if _passes(campaign, call.query)]
    requested = page(call.query, PAGE)
    data = [_view(campaign) for campaign in requested.of(chosen)]
    return Done(Answer(200, encode({"hasMore": requested.leaves(len(chosen)), "data": data})))


def named(id: int, ids: Iterable[str] | None) -> bool:
    """Whether `id` is among the ids in a query. Without ids in the query, it is."""
    return ids is None or str(id) in ids


def _passes(campaign: int, query: Mapping[str, Any]) -> bool:
    start, end = starts(campaign), ends(campaign)
    return (
        named(campaign, query.get("campaignIds"))
        and query.get("startAfter", start) <= start <= query.get("startBefore", start)
        and query.get("endAfter", end) <= end <= query.get("endBefore", end)
        and query.get("storeId", campaign) == campaign
        and query.get("audienceId", campaign) == campaign
    )


def _view(campaign: int) -> dict[str, Any]:
    return {
        "id": campaign,
        "applicationId": APPLICATION_ID,
        "name": f"campaign {campaign}",
        "description": "",
        "startTime": starts(campaign).isoformat(),
        "endTime": ends(campaign).isoformat(),
        "attributes": {},
        "state": "enabled",
        "tags": ["simulated"],
        "features": ["coupons", "referrals", "loyalty", "achievements"],
        "rules": [{"title": f"rule of campaign {campaign}"}],
        "linkedStoreIds": [campaign],
        "linkedAudienceIds": [campaign],
    }
