"""The kinds by which records are named: in options, files, dead letters, metrics and reports. Cheap to import."""

from typing import Any

KINDS = ("orders", "returns", "profiles", "events", "calls")
"""The kinds of records, as the options of the command line name them."""

RECORDS = "records"
"""The kind of a document or message whose own kind is not known: the option `--records` names no kind."""

LOOKUPS = "lookups"
"""The kind of the requests of `lookup`, beside the kinds of records."""

LETTERS = "dead_letters"
"""The kind of the dead letters that a replay reads."""

DEAD_LETTER_KINDS = (*KINDS, RECORDS, LOOKUPS, LETTERS)
"""The kinds that a dead letter may have."""

_RANKS = {"profiles": 0, "orders": 1, "events": 2, "returns": 3, "calls": 4}
ERASURE = 5
"""The rank of an erasure: after all other records of the same time."""


def rank(kind: str, record: Any) -> int:
    """The position of a record among those of the same time: profile, order, event, return, call, erasure."""
    return ERASURE if kind == "profiles" and record.erase else _RANKS[kind]
