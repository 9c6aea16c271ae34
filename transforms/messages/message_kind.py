"""The kind of the records in a message whose subscription has several kinds (`--records`)."""

from collections.abc import Mapping

from beam_talonone.schemas.decoding.near import near_name
from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import MODELS

ATTRIBUTE = "kind"
"""The attribute of a Pub/Sub message that says its kind, as in dead letters on a topic."""

SHOWN = 60
"""Characters of a wrong value in the detail of a dead letter."""

_KINDS = f"{', '.join([*MODELS][:-1])} or {[*MODELS][-1]}"
_REPAIR = f"publish it with {_KINDS}. To replay this record, set `kind` of the dead letter"


def message_kind(attributes: Mapping[str, str]) -> str:
    """The kind that the message's attribute `kind` names, exactly: orders, returns, profiles, events or calls.

    Raises InvalidRecord if the attribute is missing (missing_field) or names no kind (invalid_field).

    >>> message_kind({"kind": "returns", "origin": "till"})
    'returns'
    """
    value = attributes.get(ATTRIBUTE)
    if value is None:
        reason, why = Reason.MISSING_FIELD, f"the message has no attribute `{ATTRIBUTE}`, which --records needs"
    elif value in MODELS:
        return value
    else:
        near = near_name(value, MODELS)
        guess = "" if near is None else f" (did you mean {near}?)"
        reason = Reason.INVALID_FIELD
        why = f"the attribute `{ATTRIBUTE}` of the message is {value[:SHOWN]!r}{guess}"
    raise InvalidRecord(reason, f"{why}: {_REPAIR}")
