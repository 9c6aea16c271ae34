"""The closed list of reasons for which a record ends otherwise than applied."""

from enum import StrEnum


class Stage(StrEnum):
    """Where a dead letter fell out."""

    DECODE = "decode"
    MAP = "map"
    VALIDATE = "validate"
    SEND = "send"


class Reason(StrEnum):
    """Why a record is a dead letter. The value is what stands in the files; the docstring is what docs/ prints."""

    def __new__(cls, value: str, meaning: str = "", definite: bool = True) -> "Reason":
        self = str.__new__(cls, value)
        self._value_ = value
        self.meaning = meaning
        self.definite = definite
        return self

    meaning: str
    definite: bool
    """True when the API is known not to have acted: a replay then takes a new idempotency key."""

    UNREADABLE_FILE = (
        "unreadable_file",
        "a file could not be opened, or breaks off here; what came before it counts",
    )
    LINE_TOO_LONG = "line_too_long", "a line, or a record of any format, larger than 16 MiB"
    NOT_JSON = "not_json", "the line is not JSON"
    NOT_AN_OBJECT = "not_an_object", "the JSON is not an object"
    BAD_ROW = "bad_row", "a CSV, Avro or Parquet row that has no shape a record could have"
    ALTERED_RECORD = (
        "altered_record",
        "a dead letter whose record is not the input as it came; a replay does not send it before it is corrected",
    )
    MISSING_FIELD = "missing_field", "a required field is absent or null"
    INVALID_FIELD = "invalid_field", "a field has a wrong type or value"
    MISNAMED_FIELD = "misnamed_field", "a field that is not known and resembles a known one; see --unknown-fields"
    UNKNOWN_FIELD = "unknown_field", "a field that is not known, with --unknown-fields refuse"
    NAIVE_TIME = "naive_time", "a time without an offset, and no --assume-timezone"
    AMBIGUOUS_TIME = (
        "ambiguous_time",
        "a local time that occurs twice or never in the zone of --assume-timezone, and no --ambiguous-time",
    )
    TIME_IN_FUTURE = "time_in_future", "an event time further ahead of the clock than --max-future"
    OVER_LIMIT = "over_limit", "more than the API takes: items, quantity, length of an id or code, ..."
    ID_REUSED = "id_reused", "a return, event or call with the id of another one and other content"
    UNKNOWN_OPERATION = "unknown_operation", "a call of an operation that is not in the table"
    READ_OPERATION = "read_operation", "a call of an operation that reads: that is what lookup is for"
    INVALID_CALL = (
        "invalid_call",
        "a call with missing or unknown names in path or query, or a body the API refuses",
    )
    INVALID_LOOKUP = (
        "invalid_lookup",
        "a lookup with missing or unknown names in path or query, or a value the API refuses",
    )
    REFUSED = "refused", "the API refused the request; `detail` says what it answered"
    UNKNOWN_ATTRIBUTE = "unknown_attribute", "an attribute that is not defined in the account"
    NOT_FOUND = "not_found", "the API does not have what the request names"
    SESSION_CLOSED = "session_closed", "other content for a session that is closed; see --edit-closed reopen"
    SESSION_FINAL = "session_final", "an update of a session that is partially returned or cancelled"
    ORDER_NOT_CLOSED = "order_not_closed", "a return whose order was not closed within --wait-for-order (streams)"
    ORDER_DEAD_LETTERED = "order_dead_lettered", "a return of an order whose own record is a dead letter"
    DEFECT = "defect", "beam-talonone failed on this record (streams, replay); `detail` is for a bug report"
    RETRIES_EXHAUSTED = (
        "retries_exhausted",
        "the API kept failing for this request while others went through",
        False,
    )
    OUTCOME_UNKNOWN = (
        "outcome_unknown",
        "it cannot be known whether the API acted, and a repeat might act twice",
        False,
    )


class Skip(StrEnum):
    """Why a record is skipped: nothing was to be done, and nothing is wrong."""

    NOTHING_TO_CANCEL = "nothing_to_cancel"
    NOT_DRY = "not_dry"
    ORDER_NOT_SENT = "order_of_same_dry_run"
    NOTHING_TO_REPLAY = "nothing_to_replay"
    PART_BEFORE_REFUSED = "part_before_refused"
    """Never a record's own end: a request of a call that builds on one that was refused, which decides."""
