"""The operations the simulator does. Adding one is a handler function and a row here.

Method, path and what protects an operation from being sent twice come from the operation table; all else is the
simulator's own.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from beam_talonone.simulator import profiles, sessions, shapes
from beam_talonone.simulator.call import Handler


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text == "yes"


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text) if "T" in text.upper() else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be an RFC 3339 timestamp")
    return moment


def _dry(query: Mapping[str, Any]) -> bool:
    return bool(query.get("dry", False))


def _dry_with_rules(query: Mapping[str, Any]) -> bool:
    """A profile update heeds `dry` only when the rule engine runs."""
    return bool(query.get("dry", False) and query.get("runRuleEngine", False))


HANDLERS: dict[str, Handler] = {
    "update_customer_session_v2": Handler(
        sessions.update, shapes.session_update, {"dry": _boolean, "now": _instant}, _dry, sessions.lanes,
        status_in_errors=False,
    ),
    "get_customer_session": Handler(sessions.read, status_in_errors=False),
    "return_cart_items": Handler(
        sessions.return_items, shapes.cart_return, {"dry": _boolean, "runRuleEngine": _boolean}, _dry,
        status_in_errors=False,
    ),
    "reopen_customer_session": Handler(sessions.reopen, status_in_errors=False),
    "update_customer_profile_v2": Handler(
        profiles.update, shapes.profile_update, {"dry": _boolean, "runRuleEngine": _boolean}, _dry_with_rules,
        profiles.lanes,
    ),
    "update_customer_profiles_v2": Handler(profiles.update_many, shapes.profiles_update, {"silent": _yes}),
    "update_customer_profile_audiences": Handler(profiles.change_audiences, shapes.audience_actions),
    "delete_customer_data": Handler(profiles.erase),
    "track_event_v2": Handler(
        profiles.track_event, shapes.event,
        {"silent": _yes, "dry": _boolean, "forceCompleteEvaluation": _boolean}, _dry, profiles.event_lanes,
    ),
}  # fmt: skip
"""The official SDK's name of each operation -> how it is done."""
