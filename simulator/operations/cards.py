"""Loyalty cards: their making, and whose they are."""

from typing import Any

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.operations.loyalty import card_of, program_of
from beam_talonone.simulator.world.account import World
from beam_talonone.simulator.world.balances import card_view
from beam_talonone.simulator.world.entities import Card


def generate(world: World, call: Call) -> Done:
    """A card of the identifier given, or of a new one each time. The API declares no 404 here."""
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
    """The program's card of this identifier, made when there is none."""
    cards = world.program(program).cards
    if identifier not in cards:
        cards[identifier] = Card(next(world.numbers), program, identifier, now, now)
    return cards[identifier]


def link(world: World, call: Call) -> Done:
    card, id = card_of(world, call), call.body["integrationId"]
    if id in card.profiles:
        _refuse("the card is linked to this customer already")
    _link(world, card, id, call.now)
    return _answer(card, call, (id,))


def unlink(world: World, call: Call) -> Done:
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
