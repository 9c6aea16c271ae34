"""How sessions and profiles must stand at the end, and what became of each record by that."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .ledger import Ledger, rows
from .match import Matching, Record
from .records import canon, returned_items, session_of
from .state import FINAL, Cart, as_sent, differences

Found = Callable[[str, str], None]
"""Takes the sort of a violation and its message."""


def check_sent(record: Record, found: Found) -> None:
    record.outcome = "lost" if record.open else "applied"
    if record.open:
        found("lost", f"{record.line} was not applied ({', '.join(sorted(record.open))}), and has no dead letter")


def check_profiles(
    records: Iterable[Record], ledger: Ledger, matching: Matching, found: Found
) -> dict[str, list[int]]:
    """Profiles against what their changes make of them. Gives the ranks of each customer's erasures."""
    wanted: dict[str, tuple[dict[str, str], set[int]]] = {}
    erasures: dict[str, list[int]] = {}
    unclear: set[str] = set()
    for record in records:
        line = record.line
        if line.kind != "profiles":
            continue
        if record.dead_letter is None:
            moves = matching.moves.get(("customer", line.id), ())
            before = max(erasures.get(line.id, [-1]))
            never_known = "erase" in record.open and not any(before < move.low <= record.rank for move in moves)
            if never_known:
                record.open.discard("erase")
            if line.sends.get("attributes") == {}:
                record.open.discard("attributes")
            check_sent(record, found)
            if never_known and len(line.sends) == 1:
                record.outcome = "already_applied"
        elif record.unclear:
            unclear.add(line.id)
        attributes, audiences = wanted.setdefault(line.id, ({}, set()))
        for part, content in line.sends.items():
            if part in record.open or isinstance(content, int):
                continue
            if part == "attributes":
                attributes |= content
            elif part == "audiences":
                for audience, action in content.items():
                    (audiences.add if action == "add" else audiences.discard)(int(audience))
            else:
                attributes.clear()
                audiences.clear()
                erasures.setdefault(line.id, []).append(record.rank)
    there = {row["id"]: row for row in rows(ledger.profiles)}
    for customer in wanted.keys() - unclear:
        attributes, audiences = wanted[customer]
        row = there.get(customer, {})
        shown = {name: canon(value) for name, value in (row.get("attributes") or {}).items() if value is not None}
        right = {name: text for name, text in attributes.items() if text != "null"}
        if shown != right:
            found("state", f"profile {customer!r}: attributes are {shown}, not {right}")
        if set(row.get("audiences") or ()) != audiences:
            found("state", f"profile {customer!r}: audiences are {row.get('audiences')}, not {sorted(audiences)}")
    return erasures


def check_sessions(
    records: Iterable[Record], ledger: Ledger, edit_closed: bool, erasures: Mapping[str, list[int]], found: Found
) -> None:
    """Every session as its records make it, by the order of records; settles the outcome of orders and returns."""
    of_session: dict[str, list[Record]] = {}
    called = set()
    for record in records:
        if record.line.session is not None:
            of_session.setdefault(record.line.session, []).append(record)
            if record.line.kind == "calls":
                called.add(record.line.session)
    for row in rows(ledger.sessions):
        its = of_session.pop(row["id"], None)
        if its is None:
            found("unexpected", f"session {row['id']!r} exists, and no valid record is of it")
        elif not _is_simple(its, row, erasures):
            _check_session(row["id"], its, row, edit_closed, erasures, found, row["id"] in called)
    for session, its in of_session.items():
        _check_session(session, its, None, edit_closed, erasures, found, session in called)


def _is_simple(its: list[Record], row: Mapping[str, Any], erasures: Mapping[str, list[int]]) -> bool:
    """One order that was applied and shows exactly as sent: most sessions are so."""
    record = its[0]
    if len(its) > 1 or record.open or record.dead_letter is not None or record.line.customer in erasures:
        return False
    if record.line.kind != "orders" or hash(as_sent(dict(row))) != record.line.sends["order"]:
        return False
    if any(item.get("returnedQuantity") for item in row.get("cartItems") or ()):
        return False
    record.outcome = "applied"
    return True


def _check_session(
    session: str,
    its: list[Record],
    row: dict[str, Any] | None,
    edit_closed: bool,
    erasures: Mapping[str, list[int]],
    found: Found,
    called: bool,
) -> None:
    cart = Cart()
    forgotten = sorted(
        (rank, customer) for customer in {r.line.customer for r in its} for rank in erasures.get(customer or "", ())
    )
    for record in its:
        while forgotten and forgotten[0][0] < record.rank:
            _forget(cart, forgotten.pop(0)[1])
        if record.line.kind == "orders":
            _take_order(cart, record, edit_closed, found)
        elif record.line.kind == "returns":
            _take_return(cart, record, found)
    for _, customer in forgotten:
        _forget(cart, customer)
    if called or any(record.unclear for record in its):
        return
    if row is None and cart.state is not None:
        found("state", f"session {session!r} does not exist; it should be {cart.state}")
    elif row is not None and cart.state is None:
        found("state", f"session {session!r} exists, though none of its records should have made it")
    elif row is not None:
        for difference in differences(cart, row):
            found("state", f"session {session!r}: {difference}")


def _forget(cart: Cart, customer: str | None) -> None:
    if cart.content.get("profileId") == customer:
        cart.erase()


def _take_order(cart: Cart, record: Record, edit_closed: bool, found: Found) -> None:
    session = session_of(record.line.data())
    if record.dead_letter is not None:
        reason = record.dead_letter.get("reason")
        if reason == "session_closed" and (cart.state != "closed" or edit_closed or cart.has(session)):
            found("dead_letter", f"{record.line} is called session_closed, but the session is {cart.state}")
        if reason == "session_final" and cart.state not in FINAL:
            found("dead_letter", f"{record.line} is called session_final, but the session is {cart.state}")
        if not record.open:
            cart.update(session)
    elif not record.open:
        if cart.state == "closed" and session["state"] != "cancelled":
            cart.reopen_and_update(session)
        else:
            cart.update(session)
        record.outcome = "applied"
    elif cart.state is None and session["state"] == "cancelled":
        record.outcome = "skipped"
    elif cart.state is not None and cart.has(session):
        record.outcome = "already_applied"
    else:
        check_sent(record, found)


def _take_return(cart: Cart, record: Record, found: Found) -> None:
    if record.dead_letter is None:
        check_sent(record, found)
    if not record.open:
        cart.take_back(returned_items(record.line.data()))
