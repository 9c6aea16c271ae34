"""Reading a customer session back, and holding it against what was to be sent. Pure, but for the reading."""

from decimal import Decimal
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.operations import get_customer_session
from beam_talonone.talonone.answers import Answer, Verdict
from beam_talonone.talonone.courier import Courier

NOT_THERE = frozenset({400, 404})
"""No session endpoint declares 404: both are taken as "there is no such session"."""


class CannotRead(Exception):
    """The session could not be read: the API kept failing for this one."""


async def read_session(courier: Courier, session_id: str) -> dict[str, Any] | None:
    """The session as the API has it (`customerSession` of the answer), or None when it has none.

    Raises CannotRead when the API fails for it without an end, StopRun as sending does.
    """
    answer = await courier.read(get_customer_session(session_id))
    if answer.ok:
        try:
            found = jsonio.loads(answer.body)["customerSession"]
        except (ValueError, KeyError, TypeError) as error:
            raise CannotRead(f"the answer of get_customer_session has no customerSession: {error}") from None
        return found if isinstance(found, dict) else None
    if answer.verdict is Verdict.REFUSED and answer.status in NOT_THERE:
        return None
    raise CannotRead(f"the session could not be read back: {answer.message}")


def same_state(wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    """True when the session's state is the wanted one. A partial return shows that the session was closed before."""
    state = found.get("state")
    return state == wanted.get("state") or (wanted.get("state") == "closed" and state == "partially_returned")


def same_content(wanted: dict[str, Any], found: dict[str, Any]) -> bool:
    """True when every field that would be sent is in the session already; the state is not looked at."""
    return all(
        _same_items(value, found.get(name)) if name == "cartItems" else _same(value, found.get(name))
        for name, value in wanted.items()
        if name != "state"
    )


def _same_items(wanted: list[Any], found: Any) -> bool:
    return (
        isinstance(found, list)
        and len(found) == len(wanted)
        and all(isinstance(f, dict) and _same(w, f) for w, f in zip(wanted, found, strict=True))
    )


def _same(wanted: Any, found: Any) -> bool:
    """Equal as far as `wanted` names it: objects by their wanted names, numbers by value, empty like absent."""
    if isinstance(wanted, dict):
        return all(
            _same(value, found.get(name) if isinstance(found, dict) else None) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        given = found if isinstance(found, list) else []
        return len(given) == len(wanted) and all(_same(w, f) for w, f in zip(wanted, given, strict=True))
    if wanted is None or wanted == "":
        return found is None or found == ""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int | Decimal) and isinstance(found, int | Decimal):
        return wanted == found
    return type(wanted) is type(found) and bool(wanted == found)


def was_returned(items: list[dict[str, Any]], before: list[dict[str, Any]], found: dict[str, Any]) -> bool | None:
    """Whether a return of `items` shows in the session `found`, when `before` are those returned earlier.

    True: it does. False: it does not. None: the session does not tell, as something else was returned too.
    """
    cart = [entry for entry in found.get("cartItems") or () if isinstance(entry, dict)]
    touched = [_lines(item, cart) for item in items]
    verdicts: set[bool | None] = set()
    for lines in touched:
        if not lines:
            verdicts.add(False)  # what is not in the cart was never returned
            continue
        returned = sum(_quantity(cart[line].get("returnedQuantity")) for line in lines)
        earlier = sum(item["quantity"] for item in before if _lines(item, cart) & lines)
        now = sum(item["quantity"] for item, its in zip(items, touched, strict=True) if its & lines)
        verdicts.add(True if returned == earlier + now else False if returned == earlier else None)
    return verdicts.pop() if len(verdicts) == 1 else None


def _quantity(value: Any) -> int | Decimal:
    return value if isinstance(value, int | Decimal) else 0


def _lines(item: dict[str, Any], cart: list[dict[str, Any]]) -> frozenset[int]:
    """The cart lines that a returned item may concern."""
    if "position" in item:
        return frozenset({item["position"]} & set(range(len(cart))))
    return frozenset(line for line, entry in enumerate(cart) if entry.get("sku") == item["sku"])


def profile_of(answer: Answer) -> str | None:
    """The customer of the session that an answer of get_customer_session shows, or None."""
    if not answer.ok:
        return None
    try:
        profile = jsonio.loads(answer.body)["customerSession"]["profileId"]
    except (ValueError, KeyError, TypeError):
        return None
    return profile if isinstance(profile, str) and profile else None
