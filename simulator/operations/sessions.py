"""Customer sessions, which are carts and orders: update, close, cancel, return and reopen them."""

from datetime import UTC, datetime
from typing import Any, NoReturn

from beam_talonone.simulator.exchange.answers import Answer, Problem, Refusal, encode
from beam_talonone.simulator.exchange.call import Call, Done
from beam_talonone.simulator.world.account import (
    ACCOUNT_ID,
    APPLICATION_ID,
    Profile,
    Session,
    World,
    merged,
    timestamp,
)
from beam_talonone.simulator.world.views import ALWAYS, event_view, requested_parts, session_view

BY_UPDATE: dict[str | None, frozenset[str]] = {
    None: frozenset({"open", "closed"}),
    "open": frozenset({"open", "closed", "cancelled"}),
    "closed": frozenset({"cancelled"}),
    "partially_returned": frozenset({"cancelled"}),
    "cancelled": frozenset(),
}
"""The state before an update (None: no such session) -> the states after it."""

STATE = "/customerSession/state"
NO_EFFECTS = Answer(200, encode(ALWAYS))
REOPENED = Answer(200, encode({"effects": []}))


def _refuse(message: str, pointer: str, title: str, details: str) -> NoReturn:
    raise Refusal(400, message, [Problem(pointer, title, details)])


def _session(world: World, call: Call, status: int) -> Session:
    id = call.path["customerSessionId"]
    session = world.sessions.get(id)
    if session is None:
        problem = Problem("", "Not found", "no session has this integration id", "customerSessionId")
        raise Refusal(status, "customer session not found", [problem])
    return session


def queues(world: World, call: Call) -> tuple[str, ...]:
    """An update holds its session and its profile: the one in the body, else the one of the session."""
    id = call.path["customerSessionId"]
    profile = call.body["customerSession"].get("profileId")
    if profile is None:
        session = world.sessions.get(id)
        profile = session.profile if session is not None else ""
    return (f"session {id}", f"profile {profile}") if profile else (f"session {id}",)


def update(world: World, call: Call) -> Done:
    """update_customer_session_v2. Raises Refusal 400 for a state that cannot follow the current one."""
    id = call.path["customerSessionId"]
    content: dict[str, Any] = call.body["customerSession"]
    _check_now(call)
    old = world.sessions.get(id)
    before = None if old is None else old.state
    state: str = content.get("state") or before or "open"
    if state not in BY_UPDATE[before]:
        was = "does not exist yet" if before is None else f"is {before}"
        _refuse(
            "invalid session state", STATE, "Invalid state", f"the session {was} and cannot be updated to {state}"
        )
    profile_id: str = content.get("profileId", "" if old is None else old.profile)
    if call.dry:
        profile = world.profiles.get(profile_id)
        first = profile is None or not profile.sessions if old is None else old.first
        draft = Session(
            old.number if old else 0, id, profile_id, state, old.created if old else call.now, call.now, 0, first,
            old.updates if old else 1,
        )  # fmt: skip
        return Done(_state(world, call, draft, content, profile), id)
    profile = world.profile(profile_id, call.now) if profile_id else None
    if old is None:
        session = _create(world, call, id, profile_id, state, profile)
    else:
        session = _change(world, call, old, content, profile_id, state, profile)
    answer = NO_EFFECTS
    if call.wants():
        answer = _state(world, call, session, world.content(session), profile)
    return Done(answer, id, (profile_id,) if profile_id else ())


def _check_now(call: Call) -> None:
    moment: datetime | None = call.query.get("now")
    if moment is None:
        return
    if not call.dry:
        raise Refusal(400, "invalid query", [Problem("", "Invalid value", "needs dry=true", "now")])
    if moment <= datetime.fromtimestamp(call.now, UTC):
        raise Refusal(400, "invalid query", [Problem("", "Invalid value", "must lie in the future", "now")])


def _create(world: World, call: Call, id: str, profile_id: str, state: str, profile: Profile | None) -> Session:
    first = profile is None or not profile.sessions
    # the content is the body itself, so the many sessions that are sent once need no copy
    session = Session(
        next(world.numbers), id, profile_id, state, call.now, call.now, call.place(world.body_store), first
    )
    world.sessions[id] = session
    if profile is not None:
        profile.sessions.append(id)
    return session


def _change(
    world: World, call: Call, session: Session, changes: dict[str, Any], profile_id: str, state: str,
    profile: Profile | None,
) -> Session:  # fmt: skip
    if session.state == "open":  # a closed cart no longer changes: a cancellation changes only the state
        content = world.content(session)
        attributes = merged(content.get("attributes", {}), changes.get("attributes", {}))
        session.content = world.keep(content | changes | {"attributes": attributes})
        if profile_id != session.profile:
            _move(world, session, profile_id, profile)
    session.state = state
    session.updated = call.now
    session.updates += 1
    return session


def _move(world: World, session: Session, profile_id: str, profile: Profile | None) -> None:
    """Move the session to another profile, or to none."""
    left = world.profiles.get(session.profile)
    if left is not None:
        left.sessions.remove(session.id)
    session.first = profile is None or not profile.sessions
    session.profile = profile_id
    if profile is not None:
        profile.sessions.append(session.id)


def _state(world: World, call: Call, session: Session, content: dict[str, Any], profile: Profile | None) -> Answer:
    wants = call.wants()
    parts = requested_parts(world, wants, profile, call.dry)
    if "customerSession" in wants:
        attributes = merged({}, content.get("attributes", {}))
        parts["customerSession"] = session_view(session, content | {"attributes": attributes})
    if "event" in wants:
        parts["event"] = event_view(
            world, "talon_session_updated", call.now, sessionId=session.id, profileId=session.profile
        )
    if "previousReturns" in wants:
        parts["previousReturns"] = session.returns
    return Answer(200, encode(parts))


def read(world: World, call: Call) -> Done:
    """get_customer_session. An unknown session is refused with the status in the settings."""
    session = _session(world, call, world.settings.unknown_session_status)
    content = world.content(session)
    content["attributes"] = merged({}, content.get("attributes", {}))
    return Done(Answer(200, encode({"customerSession": session_view(session, content), "effects": []})), session.id)


def reopen(world: World, call: Call) -> Done:
    """reopen_customer_session. Raises Refusal 400 unless the session is closed."""
    session = _session(world, call, 400)
    if session.state != "closed":
        raise Refusal(400, f"a session that is {session.state} cannot be reopened; only a closed one can")
    session.state = "open"
    session.updated = call.now
    session.updates += 1
    return Done(REOPENED, session.id, (session.profile,) if session.profile else ())


def return_items(world: World, call: Call) -> Done:
    """return_cart_items. Raises Refusal 400 for more than the cart has left, or in a wrong state."""
    session = _session(world, call, 400)
    if session.state not in ("closed", "partially_returned"):
        raise Refusal(400, f"items of a session that is {session.state} cannot be returned; only of a closed one")
    content = world.content(session)
    entries: list[dict[str, Any]] = call.body["return"]["returnedCartItems"]
    taken = dict(session.returned)
    lines: list[dict[str, Any]] = []
    for index, item in enumerate(entries):
        lines += _take(content.get("cartItems", []), taken, item, f"/return/returnedCartItems/{index}")
    profile = world.profiles.get(session.profile)
    record = {
        "id": next(world.numbers),
        "created": timestamp(call.now),
        "applicationId": APPLICATION_ID,
        "accountId": ACCOUNT_ID,
        "returnedCartItems": lines,
        "eventId": next(world.numbers),
        "sessionId": session.number,
        "sessionIntegrationId": session.id,
    }
    if profile is not None:
        record |= {"profileId": profile.number, "profileIntegrationId": profile.id}
    after = session
    if call.dry:
        after = Session(
            session.number, session.id, session.profile, session.state, session.created, call.now, session.content,
            session.first, session.updates, dict(session.returned), session.returns,
        )  # fmt: skip
    previous = after.returns
    after.returned = taken
    after.returns = (*after.returns, record)
    after.state = "partially_returned"
    after.updated = call.now
    after.updates += 1
    wants = call.wants()
    parts = requested_parts(world, wants, profile, call.dry) | {"return": record}
    if "customerSession" in wants:
        content["attributes"] = merged({}, content.get("attributes", {}))
        parts["customerSession"] = session_view(after, content)
    if "event" in wants:
        parts["event"] = event_view(
            world, "talon_session_returned", call.now, sessionId=session.id, profileId=session.profile
        )
    if "previousReturns" in wants:
        parts["previousReturns"] = previous
    return Done(Answer(200, encode(parts)), session.id, (session.profile,) if session.profile else ())


def _take(
    items: list[dict[str, Any]], taken: dict[int, int], entry: dict[str, Any], pointer: str
) -> list[dict[str, Any]]:
    """Take the items that `entry` names from the cart, and add them to `taken` by position; returns the lines.

    If several cart items have the SKU, the first one with remaining units is used first. Without a quantity, all
    remaining units are taken.
    """
    sku, position = entry.get("sku"), entry.get("position")
    if position is not None:
        if not 0 <= position < len(items):
            _refuse("invalid return", f"{pointer}/position", "Not found", "the cart has no item at this position")
        if sku is not None and items[position]["sku"] != sku:
            _refuse("invalid return", f"{pointer}/sku", "Invalid value", "the item at this position has another SKU")
        places = [position]
    else:
        places = [at for at, item in enumerate(items) if item["sku"] == sku]
        if not places:
            _refuse("invalid return", f"{pointer}/sku", "Not found", "the cart has no item of this SKU")
    left = {at: items[at]["quantity"] - taken.get(at, 0) for at in places}
    quantity = entry.get("quantity", sum(left.values()))
    if quantity > sum(left.values()) or not quantity:
        details = f"only {sum(left.values())} of this item are left to return"
        _refuse("invalid return", f"{pointer}/quantity", "Too many", details)
    lines = []
    for at, remaining in left.items():
        number = min(quantity, remaining)
        if number:
            taken[at] = taken.get(at, 0) + number
            quantity -= number
            lines.append({"position": at, "sku": items[at]["sku"], "quantity": number})
    return lines
