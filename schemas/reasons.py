"""The closed list of reasons why a record is not applied."""

from enum import StrEnum


class Stage(StrEnum):
    """The step at which a record became a dead letter."""

    DECODE = "decode"
    MAP = "map"
    VALIDATE = "validate"
    SEND = "send"


class Replay(StrEnum):
    """Whether a replay of the dead letter helps, in words of docs/reference/reasons.md."""

    NO = "no"
    CORRECTED = "once the cause is corrected"
    UNCHANGED = "yes"
    PROTECTED = "only of requests that a key or a name protects"


class Reason(StrEnum):
    """Why a record is a dead letter. The value is written to files; docs/reference/reasons.md shows the rest.

    >>> Reason.RETRIES_EXHAUSTED.definite, Reason("not_json").action
    (False, 'correct the input, or convert it to UTF-8')
    """

    def __new__(
        cls, value: str, stages: tuple[Stage, ...] = (), meaning: str = "", action: str = "",
        replay: Replay = Replay.CORRECTED,
    ) -> "Reason":  # fmt: skip
        """Create a member from its value and the columns of its row."""
        self = str.__new__(cls, value)
        self._value_ = value
        self.stages, self.meaning, self.action, self.replay = stages, meaning, action, replay
        return self

    stages: tuple[Stage, ...]
    """The stages at which a record can get the reason."""
    meaning: str
    action: str
    """What to do about it."""
    replay: Replay

    @property
    def definite(self) -> bool:
        """True when the API certainly did not act. A replay then uses a new idempotency key."""
        return self not in AMBIGUOUS

    UNREADABLE_FILE = (
        "unreadable_file", (Stage.DECODE,), "the file cannot be opened or is truncated",
        "repair it and run it as a new job", Replay.NO,
    )  # fmt: skip
    LINE_TOO_LONG = (
        "line_too_long", (Stage.DECODE,), "the record is larger than 16 MiB",
        "put one record on each line",
    )  # fmt: skip
    NOT_JSON = "not_json", (Stage.DECODE,), "the line is not JSON", "correct the input, or convert it to UTF-8"
    NOT_AN_OBJECT = "not_an_object", (Stage.DECODE,), "the JSON is not an object", "correct the input"
    BAD_ROW = "bad_row", (Stage.DECODE,), "the CSV, Avro or Parquet row cannot be a record", "correct the input"
    ALTERED_RECORD = (
        "altered_record", (Stage.DECODE,), "the record is only a readable form of the input",
        "edit `record`, then replay",
    )  # fmt: skip
    MAPPING_FAILED = (
        "mapping_failed", (Stage.MAP,), "an expression of the mapping fails on this document",
        "correct the mapping or the input",
    )  # fmt: skip
    UNMAPPED_VALUE = (
        "unmapped_value", (Stage.MAP,), "a table of the mapping has no entry for the value",
        "add the value to the table",
    )  # fmt: skip
    UNKNOWN_LINE = (
        "unknown_line", (Stage.MAP,), "a line reference names no line of the document, or several",
        "correct the mapping or the input",
    )  # fmt: skip
    MISSING_FIELD = "missing_field", (Stage.VALIDATE,), "a required field is absent or null", "correct the record"
    INVALID_FIELD = "invalid_field", (Stage.VALIDATE,), "a field has a wrong type or value", "correct the record"
    MISNAMED_FIELD = (
        "misnamed_field", (Stage.VALIDATE,), "an unknown field resembles a known one",
        "rename it, or `--unknown-fields ignore`",
    )  # fmt: skip
    UNKNOWN_FIELD = (
        "unknown_field", (Stage.VALIDATE,), "an unknown field, with --unknown-fields refuse",
        "remove it, or omit the option",
    )  # fmt: skip
    NAIVE_TIME = (
        "naive_time", (Stage.VALIDATE,), "a time has no offset, and --assume-timezone is not set",
        "add an offset, or set the option",
    )  # fmt: skip
    AMBIGUOUS_TIME = (
        "ambiguous_time", (Stage.VALIDATE,), "a local time occurs twice or never in its zone",
        "add an offset, or `--ambiguous-time`",
    )  # fmt: skip
    TIME_IN_FUTURE = (
        "time_in_future", (Stage.VALIDATE,), "the event time is beyond --max-future",
        "correct it, or raise the option",
    )  # fmt: skip
    OVER_LIMIT = "over_limit", (Stage.VALIDATE,), "a value exceeds a limit of the API", "correct the record"
    ID_REUSED = (
        "id_reused", (Stage.VALIDATE, Stage.SEND), "another record has this id and different content",
        "find out which one is right",
    )  # fmt: skip
    UNKNOWN_OPERATION = (
        "unknown_operation", (Stage.VALIDATE,), "the operation of the call does not exist",
        "use the name of an operation, as the API spells it",
    )  # fmt: skip
    READ_OPERATION = (
        "read_operation", (Stage.VALIDATE,), "the operation of the call only reads",
        "use `lookup` instead",
    )  # fmt: skip
    INVALID_CALL = (
        "invalid_call", (Stage.VALIDATE,), "the path, query or body of the call is invalid",
        "correct the call, or allow new fields of the API",
    )  # fmt: skip
    INVALID_LOOKUP = (
        "invalid_lookup", (Stage.VALIDATE,), "the path, query or body of the lookup is invalid",
        "correct the line", Replay.NO,
    )  # fmt: skip
    REFUSED = (
        "refused", (Stage.SEND,), "the API refused the request; `detail` has its answer",
        "correct the record or Talon.One",
    )  # fmt: skip
    UNKNOWN_ATTRIBUTE = (
        "unknown_attribute", (Stage.SEND,), "the attribute is not defined in Talon.One",
        "define it in Talon.One",
    )  # fmt: skip
    NOT_FOUND = "not_found", (Stage.SEND,), "the API does not have an object that the request names", "create it"
    SESSION_CLOSED = (
        "session_closed", (Stage.SEND,), "the session is closed and has different content",
        "`--edit-closed reopen`, or leave it",
    )  # fmt: skip
    SESSION_FINAL = (
        "session_final", (Stage.SEND,), "the session is partially returned or cancelled",
        "the API cannot change it", Replay.NO,
    )  # fmt: skip
    ORDER_NOT_CLOSED = (
        "order_not_closed", (Stage.SEND,), "the order was not closed within --wait-for-order",
        "replay it when the order is closed", Replay.UNCHANGED,
    )  # fmt: skip
    ORDER_DEAD_LETTERED = (
        "order_dead_lettered", (Stage.SEND,), "the record of the return's order is a dead letter",
        "replay it together with the order", Replay.UNCHANGED,
    )  # fmt: skip
    DEFECT = (
        "defect", (Stage.DECODE, Stage.VALIDATE), "beam-talonone failed on this record (streams, replay)",
        "report it",
    )  # fmt: skip
    RETRIES_EXHAUSTED = (
        "retries_exhausted", (Stage.SEND,), "this request kept failing while others succeeded",
        "replay", Replay.UNCHANGED,
    )  # fmt: skip
    OUTCOME_UNKNOWN = (
        "outcome_unknown", (Stage.SEND,), "the API may or may not have acted",
        "look it up in Talon.One", Replay.PROTECTED,
    )  # fmt: skip


AMBIGUOUS = frozenset({Reason.RETRIES_EXHAUSTED, Reason.OUTCOME_UNKNOWN})
"""The reasons after which the API may have acted."""


class Skip(StrEnum):
    """Why a record is skipped: there was nothing to do, and nothing is wrong."""

    NOTHING_TO_CANCEL = "nothing_to_cancel"
    NOT_DRY = "not_dry"
    ORDER_NOT_SENT = "order_of_same_dry_run"
    NOTHING_TO_REPLAY = "nothing_to_replay"
    PART_BEFORE_REFUSED = "part_before_refused"
    """Never the end of a whole record: it marks a request of a call that builds on a refused one."""
