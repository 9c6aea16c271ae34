"""Referral codes. Each call creates new codes, so a repeated call creates a second set."""

from typing import Any, Final

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.world.account import World, merged, timestamp
from beam_talonone.simulator.world.entities import Referral

NO_CONTENT = Answer(204)
CHARACTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
PATTERN: Final = "########"
_KEPT: Final = ("startDate", "expiryDate", "usageLimit", "friendProfileIntegrationId", "attributes")


def create(world: World, call: Call) -> Done:
    """create_referral: one code. Raises Refusal 400 for an unknown campaign."""
    body: dict[str, Any] = call.body
    _check_campaign(world, body)
    codes = _codes(world, PATTERN, CHARACTERS, 1)
    world.referral_calls += 1
    advocate = body["advocateProfileIntegrationId"]
    referral = _make(world, codes[0], advocate, body, call.now)
    friend = body.get("friendProfileIntegrationId")
    return Done(Answer(201, encode(referral_view(referral))), None, (advocate, friend) if friend else (advocate,))


def create_many(world: World, call: Call) -> Done:
    """create_referrals_for_multiple_advocates: a code for each entry, so two for a repeated advocate.

    Raises Refusal 400 for an unknown campaign, or if the pattern has too few free codes.
    """
    body: dict[str, Any] = call.body
    _check_campaign(world, body)
    advocates: list[str] = body["advocateProfileIntegrationIds"]
    characters = "".join(dict.fromkeys(body.get("validCharacters") or CHARACTERS))
    codes = _codes(world, body.get("referralPattern", PATTERN), characters, len(advocates))
    world.referral_calls += 1
    referrals = [
        _make(world, code, advocate, body, call.now) for code, advocate in zip(codes, advocates, strict=True)
    ]
    if call.query.get("silent", True):
        return Done(NO_CONTENT, None, tuple(advocates))
    data = [referral_view(referral) for referral in referrals]
    return Done(Answer(201, encode({"totalResultSize": len(data), "data": data})), None, tuple(advocates))


def _check_campaign(world: World, body: dict[str, Any]) -> None:
    if not 1 <= body["campaignId"] <= world.settings.campaigns:
        raise Refusal(400, "campaign not found", [Problem("/campaignId", "Not found", "no campaign has this id")])


def _codes(world: World, pattern: str, characters: str, number: int) -> list[str]:
    """`number` free codes: each # of the pattern becomes one of `characters`. Raises Refusal 400 for too few."""
    places = pattern.count("#")
    room = len(characters) ** places
    codes: list[str] = []
    # counting starts at the number of existing codes, so the first ones are free unless patterns are mixed
    for step in range(room):
        if len(codes) == number:
            break
        code = _code(pattern, characters, (len(world.referrals) + step) % room)
        if code not in world.referrals:
            codes.append(code)
    if len(codes) < number:
        problem = Problem("/referralPattern", "Exhausted", f"has only {len(codes)} codes left of {number}")
        raise Refusal(400, "too few referral codes", [problem])
    return codes


def _code(pattern: str, characters: str, number: int) -> str:
    code = []
    for character in reversed(pattern):
        if character == "#":
            number, index = divmod(number, len(characters))
            character = characters[index]
        code.append(character)
    return "".join(reversed(code))


def _make(world: World, code: str, advocate: str, body: dict[str, Any], now: float) -> Referral:
    content: dict[str, Any] = {name: body[name] for name in _KEPT if name in body}
    content["attributes"] = merged({}, content.get("attributes", {}))
    referral = Referral(next(world.numbers), code, now, world.referral_calls, body["campaignId"], advocate, content)
    world.referrals[code] = referral
    world.profile(advocate, now)
    world.belonging(advocate).referrals.append(code)
    return referral


def referral_view(referral: Referral) -> dict[str, Any]:
    """The API's view of a referral code."""
    return {
        "usageLimit": 0,
        **referral.content,
        "id": referral.number,
        "created": timestamp(referral.created),
        "campaignId": referral.campaign,
        "advocateProfileIntegrationId": referral.advocate,
        "code": referral.code,
        "usageCounter": 0,
    }
