"""Loyalty programs: joining them, and the points and transactions of members and cards."""

from collections.abc import Callable, Iterator
from typing import Any

from beam_talonone.simulator.bodies.queries import page
from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.world.account import Profile, World
from beam_talonone.simulator.world.balances import add_tiers, balance_view, linked_view
from beam_talonone.simulator.world.entities import Card, Member
from beam_talonone.simulator.world.points import (
    SECOND,
    Batch,
    Batches,
    Piece,
    activate,
    amount,
    backwards,
    by_expiry,
    by_start,
    count,
    select,
    slice_of,
    stamp,
    uuid_of,
)

NO_CONTENT = Answer(204)
OK = Answer(200)
PAGE = 50
Row = Callable[[Batch, int], dict[str, Any]]


def program_of(world: World, call: Call, status: int = 404) -> int:
    """The loyalty program in the path. Raises Refusal `status` if it does not exist."""
    program = call.number("loyaltyProgramId")
    if program in world.settings.unknown_programs:
        problem = Problem("", "Not found", "no loyalty program has this id", "loyaltyProgramId")
        raise Refusal(status, "loyalty program not found", [problem])
    return program


def customer_of(world: World, call: Call) -> Profile:
    """The customer in the path. Raises Refusal 404 if they do not exist or were erased."""
    profile = world.profiles.get(call.path["integrationId"])
    if profile is None or not profile.known:
        problem = Problem("", "Not found", "no customer has this integration id", "integrationId")
        raise Refusal(404, "customer not found", [problem])
    return profile


def card_of(world: World, call: Call) -> Card:
    """The loyalty card in the path. Raises Refusal 404 if it does not exist."""
    program = world.programs.get(program_of(world, call))
    card = program.cards.get(call.path["loyaltyCardId"]) if program is not None else None
    if card is None:
        problem = Problem("", "Not found", "the program has no card of this identifier", "loyaltyCardId")
        raise Refusal(404, "loyalty card not found", [problem])
    return card


def join(world: World, call: Call) -> Done:
    """join_loyalty_program. Raises Refusal 400 if the customer is a member already."""
    program, id = world.program(program_of(world, call)), call.path["integrationId"]
    if id in program.members:
        raise Refusal(400, "the customer is a member of this loyalty program already")
    enrol(world, call.number("loyaltyProgramId"), id, call.now)
    return Done(OK, None, (id,))


def enrol(world: World, program: int, id: str, now: float) -> Member:
    """The membership of a customer in a program. Both the customer and the membership are created if missing."""
    world.profile(id, now)
    world.belonging(id).programs.add(program)
    return world.program(program).members.setdefault(id, Member(now))


def _batches(world: World, call: Call) -> Batches:
    """The points of the customer in the path; empty for a customer who has not joined."""
    program = program_of(world, call)
    customer = customer_of(world, call)
    member = world.programs[program].members.get(customer.id) if program in world.programs else None
    return member.batches if member is not None else []


def read_balances(world: World, call: Call) -> Done:
    """get_loyalty_balances: the balances by ledger, with tiers if the query selects them."""
    query = call.query
    subledgers = [query["subledgerId"]] if "subledgerId" in query else None
    view = balance_view(_batches(world, call), call.now, subledgers=subledgers, until=query.get("endDate"))
    current, projected = query.get("includeTiers", False), query.get("includeProjectedTier", False)
    for balance in ([view["balance"]] if "balance" in view else []) + [*view["subledgerBalances"].values()]:
        add_tiers(balance, current=current, projected=projected)
    return Done(Answer(200, encode(view)))


def read_card_balances(world: World, call: Call) -> Done:
    """get_loyalty_card_balances: the balances by ledger, and the customers linked to the card."""
    card, query = card_of(world, call), call.query
    view = balance_view(card.batches, call.now, subledgers=query.get("subledgerId"), until=query.get("endDate"))
    return Done(Answer(200, encode(view | {"profiles": linked_view(card)})))


def read_transactions(world: World, call: Call) -> Done:
    """get_loyalty_program_profile_transactions: a page, newest first."""
    batches = _batches(world, call)
    subledgers = [call.query["subledgerId"]] if "subledgerId" in call.query else None
    return _transactions(call, batches, subledgers, {"flags": {"createsNegativeBalance": False}})


def read_card_transactions(world: World, call: Call) -> Done:
    """get_loyalty_card_transactions: a page, newest first."""
    card = card_of(world, call)
    return _transactions(call, card.batches, call.query.get("subledgerId"), {"cardIdentifier": card.identifier})


def _transactions(call: Call, batches: Batches, subledgers: list[str] | None, own: dict[str, Any]) -> Done:
    """Newest first, so transactions that are added between two pages shift the second page."""
    query, program, now = call.query, call.number("loyaltyProgramId"), int(call.now * SECOND)
    pieces = select(
        batches,
        subledgers=subledgers,
        sessions=query.get("customerSessionIDs"),
        uuids=query.get("transactionUUIDs"),
        source=query.get("loyaltyTransactionType"),
        since=query.get("startDate"),
        until=query.get("endDate"),
    )
    if query.get("awaitsActivation", False):
        pieces = [piece for piece in pieces if piece[0].state(now) == "pending"]
    kind = {"type": "addition"} | own
    return _page(call, backwards(pieces), lambda batch, row: _row(program, batch, row) | kind)


def read_points(world: World, call: Call) -> Done:
    """get_loyalty_program_profile_points: a page, newest first unless the query has `sort`."""
    return _points(call, _batches(world, call))


def read_card_points(world: World, call: Call) -> Done:
    """get_loyalty_card_points: a page, newest first unless the query has `sort`."""
    return _points(call, card_of(world, call).batches)


def _points(call: Call, batches: Batches) -> Done:
    query, program, now = call.query, call.number("loyaltyProgramId"), int(call.now * SECOND)
    state = query.get("status", "active")
    pieces = select(
        [batch for batch in batches if batch.state(now) == state],
        subledgers=query.get("subledgerId"),
        sessions=query.get("customerSessionIDs"),
        uuids=query.get("transactionUUIDs"),
    )
    order = query.get("sort")
    if order is None:
        pieces = backwards(pieces)
    else:
        pieces.sort(key=by_start if order.endswith("startDate") else by_expiry)
        pieces = backwards(pieces) if order.startswith("-") else pieces
    return _page(call, pieces, lambda batch, row: _row(program, batch, row))


def _row(program: int, batch: Batch, row: int) -> dict[str, Any]:
    starts = "on_action" if batch.pending else "immediate" if batch.starts is None else stamp(batch.starts)
    view = {
        "id": row,
        "transactionUUID": uuid_of(row),
        "created": stamp(batch.made(row)),
        "programId": program,
        "name": "points of the simulator",
        "startDate": starts,
        "expiryDate": "unlimited" if batch.expires is None else stamp(batch.expires),
        "subledgerId": batch.subledger,
        "amount": amount(row),
    }
    return view if batch.session is None else view | {"customerSessionId": batch.session}


def _page(call: Call, pieces: list[Piece], row: Row) -> Done:
    requested = page(call.query, PAGE)
    data = [row(batch, number) for batch, number in slice_of(pieces, requested.skip, requested.size)]
    return Done(Answer(200, encode({"hasMore": requested.leaves(count(pieces)), "data": data})))


def delete_transactions(world: World, call: Call) -> Done:
    """delete_loyalty_transactions_from_ledgers: from all ledgers, or from those in the body."""
    program, customer = program_of(world, call), customer_of(world, call)
    body: dict[str, Any] = call.body
    member = world.program(program).members.get(customer.id)
    if member is not None:
        everywhere = body["scope"] == "AllSubledgers"
        named = frozenset(body.get("subledgerIds") or ())
        member.batches = [] if everywhere else [batch for batch in member.batches if batch.subledger not in named]
    return Done(NO_CONTENT, None, (customer.id,))


def activate_points(world: World, call: Call) -> Done:
    """activate_loyalty_points: all pending points of the session, or of the transactions.

    Raises Refusal 404 if none are pending.
    """
    number, now = program_of(world, call), int(call.now * SECOND)
    session = call.body.get("sessionId")
    sessions = None if session is None else [session]
    entries: list[dict[str, Any]] = []
    customers = []
    for holder, owner in _holders(world, number):
        waiting = [batch for batch in holder.batches if batch.state(now) == "pending"]
        chosen = select(waiting, sessions=sessions, uuids=call.body.get("transactionUUIDs")) if waiting else []
        if chosen:
            holder.batches = activate(holder.batches, chosen, now)
            entries += [_entry(number, batch, row, now) | owner for batch, rows in chosen for row in rows]
            customers += [id for name, id in owner.items() if name == "customerProfileID"]
    if not entries:
        raise Refusal(404, "no points are pending there")
    return Done(Answer(200, encode({"ledgerEntries": entries})), session, tuple(customers))


def _holders(world: World, number: int) -> Iterator[tuple[Member | Card, dict[str, Any]]]:
    """All members and cards of a program, with the fields that name each in an entry of its ledger."""
    program = world.program(number)
    for id, member in program.members.items():
        yield member, {"customerProfileID": id}
    for card in program.cards.values():
        yield card, {"cardID": card.number}


def _entry(program: int, batch: Batch, row: int, now: int) -> dict[str, Any]:
    view = {
        "created": stamp(batch.made(row)),
        "programID": program,
        "type": "addition",
        "amount": amount(row),
        "startDate": stamp(now),
        "name": "points of the simulator",
        "subLedgerID": batch.subledger,
    }
    if batch.expires is not None:
        view["expiryDate"] = stamp(batch.expires)
    return view if batch.session is None else view | {"customerSessionID": batch.session}
