"""Read-backs: whether the API acted on an earlier request, for the operations whose effect can be read.

A row of LOOKS holds the read-back of an operation: a function that reads through `read` and returns a Found.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import get_customer_inventory, get_event_v3, get_loyalty_card_balances
from beam_talonone.schemas.request import Request
from beam_talonone.talonone.compare.equality import same
from beam_talonone.talonone.delivery.ambiguity import Found
from beam_talonone.talonone.http.responses import Answer, Verdict

Read = Callable[[Request], Awaitable[Answer]]
LookBack = Callable[[Request, Read], Awaitable[Found]]


async def event_is_there(request: Request, read: Read) -> Found:
    """Look for an advanced event by its id. An event with less or other content is another event."""
    sent = request.body_json()
    existing = _object(await read(get_event_v3(sent["integrationId"])))
    if not isinstance(existing, dict):
        return existing
    names = ["profileId", "type", "attributes", "connectedSessionId"]
    if "storeIntegrationId" in existing:  # the document does not promise that it comes back
        names.append("storeIntegrationId")
    named = {name: sent[name] for name in names if name in sent}
    return Found.DONE if same(named, existing) else Found.OTHER


async def card_is_there(request: Request, read: Read) -> Found:
    """Look for a loyalty card by its identifier."""
    card = request.body_json()["cardIdentifier"]
    existing = _object(await read(get_loyalty_card_balances(_program(request), card)))
    return Found.DONE if isinstance(existing, dict) else existing


async def card_is_linked(request: Request, read: Read) -> Found:
    """Look for the card in the customer's inventory, which lists the linked cards."""
    existing = await _loyalty(request.body_json()["integrationId"], read)
    if not isinstance(existing, dict):
        return existing
    if "cards" not in existing:
        return Found.UNKNOWN
    cards = [(card.get("programID"), card.get("identifier")) for card in _objects(existing.get("cards"))]
    return Found.DONE if (_program(request), request.path["loyaltyCardId"]) in cards else Found.NOT_DONE


async def card_is_unlinked(request: Request, read: Read) -> Found:
    """A card is unlinked when the customer's inventory no longer lists it."""
    opposite = {Found.DONE: Found.NOT_DONE, Found.NOT_DONE: Found.DONE}
    result = await card_is_linked(request, read)
    return opposite.get(result, result)


async def has_joined(request: Request, read: Read) -> Found:
    """Look for the program in the customer's inventory, which lists the joined programs."""
    existing = await _loyalty(request.path["integrationId"], read)
    if not isinstance(existing, dict):
        return existing
    programs = existing.get("programs")
    listed = _objects(list(programs.values())) if isinstance(programs, dict) else []
    return Found.DONE if _program(request) in [program.get("id") for program in listed] else Found.NOT_DONE


LOOKS: dict[str, LookBack] = {
    "track_event_v3": event_is_there,
    "generate_loyalty_card": card_is_there,
    "link_loyalty_card_to_profile": card_is_linked,
    "unlink_loyalty_card_from_profile": card_is_unlinked,
    "join_loyalty_program": has_joined,
}


async def _loyalty(customer: str, read: Read) -> dict[str, Any] | Found:
    existing = _object(await read(get_customer_inventory(customer, loyalty=True)))
    if not isinstance(existing, dict):
        return Found.UNKNOWN  # a card may be linked to a customer without a profile
    loyalty = existing.get("loyalty")
    return loyalty if isinstance(loyalty, dict) else Found.UNKNOWN


def _object(answer: Answer) -> dict[str, Any] | Found:
    """The object of an answer; NOT_DONE after a 404, UNKNOWN if the answer shows nothing."""
    if answer.status == 404:
        return Found.NOT_DONE
    if answer.verdict is not Verdict.APPLIED:
        return Found.UNKNOWN
    try:
        value = jsonio.loads_around(answer.body)
    except ValueError:
        return Found.UNKNOWN
    return value if isinstance(value, dict) else Found.UNKNOWN


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _program(request: Request) -> int:
    return int(request.path["loyaltyProgramId"])
