"""The kinds by which records are named: in options, files, dead letters, metrics and reports. Cheap to import."""

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
