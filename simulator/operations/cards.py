"""Loyalty cards: creating them, and linking them to customers."""

from typing import Any

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.operations.loyalty import card_of, program_of
from beam_talonone.simulator.world.account import World
from beam_talonone.simulator.world.balances import card_view
from beam_talonone.simulator.world.entities import Card


def generate(world: World, call: Call) -> Done:
    """generate_loyalty_card: a card with the identifier in the body, or with a new one on each call.

    Raises Refusal 400 for a repeated identifier, and for an unknown program, because the API declares no 404 here.
    """
    number = program_of(world, call, 400)
    body: dict[str, Any] = call.body
    identifier, cards = body.get("cardIdentifier"), world.program(number).cards
    if identifier is None:
        identifier = f"CARD-{next(world.numbers):012d}"
        while identifier in cards:
            identifier = f"CARD-{next(world.numbers):012d}"
    elif identifier in cards:
        problem = Problem("/cardIdentifier", "Exists", "the program has a card of this identifier already")
        raise Refusal(400, "loyalty card exists", [problem])
    card = make_card(world, number, identifier, call.now)
    card.status = body.get("status", "active")
    customers = tuple(dict.fromkeys(body.get("customerProfileIds", ())))
    for id in customers:
        _link(world, card, id, call.now)
    return _answer(card, call, customers)


def make_card(world: World, program: int, identifier: str, now: float) -> Card:
    """The program's card with this identifier, created if there is none. `now` is in seconds since 1970."""
    cards = world.program(program).cards
    if identifier not in cards:
        cards[identifier] = Card(next(world.numbers), program, identifier, now, now)
    return cards[identifier]


def link(world: World, call: Call) -> Done:
    """link_loyalty_card_to_profile. Raises Refusal 400 if the card is linked to the customer already."""
    card, id = card_of(world, call), call.body["integrationId"]
    if id in card.profiles:
        _refuse("the card is linked to this customer already")
    _link(world, card, id, call.now)
    return _answer(card, call, (id,))


def unlink(world: World, call: Call) -> Done:
    """unlink_loyalty_card_from_profile. Raises Refusal 400 if the card is not linked to the customer."""
    card, id = card_of(world, call), call.body["integrationId"]
    if id not in card.profiles:
        _refuse("the card is not linked to this customer")
    del card.profiles[id]
    card.modified = call.now
    world.belonging(id).cards.discard((card.program, card.identifier))
    return _answer(card, call, (id,))


def _link(world: World, card: Card, id: str, now: float) -> None:
    world.profile(id, now)
    card.profiles[id] = card.modified = now
    world.belonging(id).cards.add((card.program, card.identifier))


def _refuse(message: str) -> None:
    raise Refusal(400, message, [Problem("/integrationId", "Invalid value", message)])


def _answer(card: Card, call: Call, customers: tuple[str, ...]) -> Done:
    return Done(Answer(200, encode(card_view(card, call.now))), None, customers)
