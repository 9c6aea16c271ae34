"""The request bodies about loyalty cards and points, as the vendor's document describes them."""

import re
from typing import Any
from uuid import UUID

from beam_talonone.simulator.bodies.checks import (
    GOOD,
    Check,
    Problems,
    array,
    both,
    fields,
    one_of,
    text,
    under,
    wrong,
)
from beam_talonone.simulator.bodies.shapes import MAX_ID
from beam_talonone.simulator.server.settings import SimulatorSettings

MAX_ACTIVATED = 50
LONGEST_CARD = 108
_CARD = re.compile(r"[A-Za-z0-9._%+@-]+")
_customer = text(least=1, most=MAX_ID)


def _card_identifier(value: str) -> Problems:
    if len(value) < 4:
        return wrong("Too short", "must have 4 characters or more")
    if not _CARD.fullmatch(value):
        return wrong("Invalid value", "must consist of letters, digits and . _ % + @ -")
    return GOOD


def new_card(_: SimulatorSettings) -> Check:
    """Body of generate_loyalty_card."""
    return fields(
        {
            "status": one_of("active", "inactive"),
            "customerProfileIds": array(_customer),
            "cardIdentifier": both(text(most=LONGEST_CARD), _card_identifier),
        }
    )


def card_registration(_: SimulatorSettings) -> Check:
    """Body of link_loyalty_card_to_profile and unlink_loyalty_card_from_profile."""
    return fields({"integrationId": _customer}, required=("integrationId",))


def transactions_to_delete(_: SimulatorSettings) -> Check:
    """Body of delete_loyalty_transactions_from_ledgers. The id of the main ledger is the empty text."""
    ledgers = array(text())

    def names_ledgers(body: dict[str, Any]) -> Problems:
        if body["scope"] == "SelectedSubledgers" and not body.get("subledgerIds"):
            return under("subledgerIds", wrong("Missing", "is required for the scope SelectedSubledgers"))
        return GOOD

    shape = fields(
        {
            "scope": one_of("AllSubledgers", "SelectedSubledgers"),
            "subledgerIds": lambda value: GOOD if value is None else ledgers(value),
        },
        required=("scope",),
        closed=True,
    )
    return both(shape, names_ledgers)


def _uuid(value: str) -> Problems:
    try:
        right = str(UUID(value)) == value.lower()
    except ValueError:
        right = False
    return GOOD if right else wrong("Invalid value", "must be a UUID")


def _none_twice(values: list[str]) -> Problems:
    return wrong("Duplicate", "names a transaction twice") if len(set(values)) < len(values) else GOOD


def _either(body: dict[str, Any]) -> Problems:
    return GOOD if len(body) == 1 else wrong("Invalid value", "needs either `transactionUUIDs` or `sessionId`")


def points_to_activate(_: SimulatorSettings) -> Check:
    """Body of activate_loyalty_points: up to 50 transactions or one session."""
    shape = fields(
        {
            "transactionUUIDs": both(array(both(text(), _uuid), least=1, most=MAX_ACTIVATED), _none_twice),
            "sessionId": text(least=1),
        },
        closed=True,
    )
    return both(shape, _either)
