"""The closed list of reasons why a record is not applied."""

from enum import StrEnum


class Stage(StrEnum):
    """The step at which a record became a dead letter."""

    DECODE = "decode"
    MAP = "map"
    VALIDATE = "validate"
    SEND = "send"


class Reason(StrEnum):
    """Why a record is a dead letter. The value is written to files; docs/dead-letters.md prints `meaning`."""

    def __new__(cls, value: str, meaning: str = "", definite: bool = True) -> "Reason":
        """Create a member from its value, its meaning for docs/dead-letters.md, and `definite`."""
        self = str.__new__(cls, value)
        self._value_ = value
        self.meaning = meaning
        self.definite = definite
        return self

    meaning: str
    definite: bool
    """True when the API certainly did not act. A replay then uses a new idempotency key."""

    UNREADABLE_FILE = "unreadable_file", "the file cannot be opened or is truncated"
    LINE_TOO_LONG = "line_too_long", "the record is larger than 16 MiB"
    NOT_JSON = "not_json", "the line is not JSON"
    NOT_AN_OBJECT = "not_an_object", "the JSON is not an object"
    BAD_ROW = "bad_row", "the CSV, Avro or Parquet row cannot be a record"
    ALTERED_RECORD = "altered_record", "the record is only a readable form of the input"
    MAPPING_FAILED = "mapping_failed", "an expression of the mapping fails on this document"
    UNMAPPED_VALUE = "unmapped_value", "a table of the mapping has no entry for the value"
    UNKNOWN_LINE = "unknown_line", "a line reference names no line of the document, or several"
    MISSING_FIELD = "missing_field", "a required field is absent or null"
    INVALID_FIELD = "invalid_field", "a field has a wrong type or value"
    MISNAMED_FIELD = "misnamed_field", "an unknown field resembles a known one"
    UNKNOWN_FIELD = "unknown_field", "an unknown field, with --unknown-fields refuse"
    NAIVE_TIME = "naive_time", "a time has no offset, and --assume-timezone is not set"
    AMBIGUOUS_TIME = "ambiguous_time", "a local time occurs twice or never in its zone"
    TIME_IN_FUTURE = "time_in_future", "the event time is beyond --max-future"
    OVER_LIMIT = "over_limit", "a value exceeds a limit of the API"
    ID_REUSED = "id_reused", "another record has this id and different content"
    UNKNOWN_OPERATION = "unknown_operation", "the operation of the call does not exist"
    READ_OPERATION = "read_operation", "the operation of the call only reads"
    INVALID_CALL = "invalid_call", "the path, query or body of the call is invalid"
    INVALID_LOOKUP = "invalid_lookup", "the path, query or body of the lookup is invalid"
    REFUSED = "refused", "the API refused the request; `detail` has its answer"
    UNKNOWN_ATTRIBUTE = "unknown_attribute", "the attribute is not defined in Talon.One"
    NOT_FOUND = "not_found", "the API does not have an object that the request names"
    SESSION_CLOSED = "session_closed", "the session is closed and has different content"
    SESSION_FINAL = "session_final", "the session is partially returned or cancelled"
    ORDER_NOT_CLOSED = "order_not_closed", "the order was not closed within --wait-for-order"
    ORDER_DEAD_LETTERED = "order_dead_lettered", "the record of the return's order is a dead letter"
    DEFECT = "defect", "beam-talonone failed on this record (streams, replay)"
    RETRIES_EXHAUSTED = "retries_exhausted", "this request kept failing while others succeeded", False
    OUTCOME_UNKNOWN = "outcome_unknown", "the API may or may not have acted", False


class Skip(StrEnum):
    """Why a record is skipped: there was nothing to do, and nothing is wrong."""

    NOTHING_TO_CANCEL = "nothing_to_cancel"
    NOT_DRY = "not_dry"
    ORDER_NOT_SENT = "order_of_same_dry_run"
    NOTHING_TO_REPLAY = "nothing_to_replay"
    PART_BEFORE_REFUSED = "part_before_refused"
    """Never the end of a whole record: it marks a request of a call that builds on a refused one."""
