"""Why a replay does not send the record of a dead letter with the mapping that it has, or without one."""

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.reasons import Reason
from beam_talonone.schemas.records import MODELS
from beam_talonone.transforms.mapping.result import Mapping


def mapping_missing() -> InvalidRecord:
    """The problem of a record that a mapping made, in a replay without one."""
    detail = "a mapping made this record: replay it with the same --mapping"
    return InvalidRecord(Reason.INVALID_FIELD, detail, "/source")


def not_mapped(mapping: Mapping) -> InvalidRecord:
    """The problem of a dead letter whose record came in the shape of records: mapping it now would be ignored."""
    detail = (
        f"no mapping made this record, so {mapping.name} does not change it: correct the record, and replay it"
        " without --mapping; if its file needs a mapping, begin a backfill with --mapping and a new --output"
    )
    return InvalidRecord(Reason.INVALID_FIELD, detail, "/source")


def kind_missing() -> InvalidRecord:
    """The problem of a dead letter of the kind RECORDS: without a mapping, nothing decides what its record is."""
    detail = (
        f"the kind of this record is not known: set `kind` to one of {', '.join(MODELS)}, and replay it, or replay it"
        " with --mapping"
    )
    return InvalidRecord(Reason.MISSING_FIELD, detail, "/kind")
