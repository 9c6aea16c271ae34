"""The scalar types of records: ids, amounts, instants. Each refuses values that it would change."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Context, Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from beam_talonone.schemas.decoding.settings import Ambiguous, Reading

ID_MAX = 1000
CODE_MAX = 100
MAX_DIGITS = 30

_RFC3339 = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<clock>\d\d:\d\d):(?P<second>\d\d)(?P<fraction>\.\d+)?"
    r"(?P<zone>[Zz]|[+-]\d\d:[0-5]\d)?",
    re.ASCII,
)
_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:[0-5]\d)", re.ASCII)
"""The form of nearly every time, which Python reads as it is."""
_NO_LEAP = timedelta()
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SHORT = re.compile(r"(?:0|-?[1-9]\d{0,14})(?:\.\d{0,8}[1-9])?", re.ASCII)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)


def whole(value: Any) -> Any:
    """A decimal or float without a fraction as an integer; all other values unchanged.

    Some warehouses export integers as decimals, and some tools convert them to floats.
    """
    if isinstance(value, Decimal) and value.is_finite() and -ID_MAX < value.adjusted() < ID_MAX:
        number = int(value)
        return number if number == value else value
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return int(value)
    return value


EXACT = 2.0**53
"""From here on, a float does not distinguish an integer from the next one."""


def _as_id(value: Any) -> Any:
    value = whole(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


Text = StrictStr
"""Text that UTF-8 can encode: pydantic refuses lone surrogates."""

Id = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=ID_MAX), BeforeValidator(_as_id)]
"""1 to 1000 characters, never normalised. An integer is converted to its digits."""

Sku = Annotated[str, StringConstraints(strict=True, min_length=1), BeforeValidator(_as_id)]
"""A stock keeping unit: text that is not empty. An integer is converted to its digits."""

Code = Annotated[str, StringConstraints(strict=True, max_length=CODE_MAX), BeforeValidator(_as_id)]
"""A coupon or referral code: at most 100 characters."""

_WIDE = Context(prec=2 * MAX_DIGITS + 2)

Whole = Annotated[int, Field(strict=True), BeforeValidator(whole)]
"""An integer by value: the decimal 3.00 is one too."""

Count = Annotated[int, Field(strict=True, ge=1), BeforeValidator(whole)]


def as_amount(value: Any) -> Decimal:
    """The amount in a number or decimal text. Raises PydanticCustomError, so it may be called from validators."""
    if type(value) is str and _SHORT.fullmatch(value):
        return Decimal(value)  # the form of nearly every price: nothing to normalise or refuse
    if isinstance(value, bool) or not isinstance(value, int | str | float | Decimal):
        raise PydanticCustomError("amount_type", "an amount is a number or a decimal string")
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise PydanticCustomError("amount_text", "not a decimal number")
    try:
        # repr of a float is its shortest exact form: 19.99 from a Parquet double is 19.99 here
        amount = Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, ValueError):
        raise PydanticCustomError("amount_text", "not a decimal number") from None
    if not amount.is_finite():
        raise PydanticCustomError("amount_finite", "an amount is a finite number")
    if len(amount.as_tuple().digits) > MAX_DIGITS or not -MAX_DIGITS <= amount.adjusted() < MAX_DIGITS:
        raise PydanticCustomError("amount_digits", "an amount has at most 30 digits")
    return plain(amount)


def plain(amount: Decimal) -> Decimal:
    """The same number without trailing zeros or exponent: 19.9, 19.90 and a Parquet 19.900 are the same amount."""
    if not amount:
        return Decimal(0)
    short = amount.normalize(_WIDE)
    return short.quantize(Decimal(1), context=_WIDE) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]


Amount = Annotated[Decimal, BeforeValidator(as_amount)]
"""Money or a measure: a decimal of at most 30 digits, from the input to the request."""


class NaiveTime(ValueError):
    """A time without an offset, while no zone is assumed."""


class AmbiguousTime(ValueError):
    """A local time that occurs twice in its zone, or never."""


def parse_instant(value: Any, assume: tzinfo | None = None, ambiguous: Ambiguous | None = None) -> datetime:
    """Parse RFC 3339 text or a datetime to an instant in UTC, in whole microseconds (further digits are cut off).

    A value without an offset is in the zone `assume`. Raises NaiveTime if `assume` is None. A local time that occurs
    twice or never, because clocks change, has two candidates: the instants by the offset before and after the change.
    `ambiguous` chooses one; raises AmbiguousTime if it is None. A leap second counts as the next second. Raises
    ValueError for other values.
    """
    if type(value) is str and _USUAL.fullmatch(value):
        moment, leap = datetime.fromisoformat(value), _NO_LEAP
    elif isinstance(value, datetime):
        moment, leap = value, _NO_LEAP
    elif isinstance(value, str):
        match = _RFC3339.fullmatch(value)
        if match is None:
            raise ValueError("not an RFC 3339 time such as 2026-05-01T12:00:00Z")
        leap = timedelta(seconds=1) if match["second"] == "60" else _NO_LEAP
        second = "59" if leap else match["second"]
        zone = (match["zone"] or "").upper()
        moment = datetime.fromisoformat(
            f"{match['day']}T{match['clock']}:{second}{(match['fraction'] or '')[:7]}{zone}"
        )
    else:
        raise ValueError("a time is RFC 3339 text")
    if moment.tzinfo is None:
        if assume is None:
            raise NaiveTime("a time without an offset: give one")
        moment = moment.replace(tzinfo=assume)
    try:
        if moment.tzinfo is assume is not None:
            return _in_zone(moment, ambiguous) + leap
        return moment.astimezone(UTC) + leap
    except OverflowError as error:
        raise ValueError("a time outside the years 1 to 9999") from error


def _in_zone(local: datetime, ambiguous: Ambiguous | None) -> datetime:
    """The instant of a local time. `fold` distinguishes the two candidates of one that occurs twice or never."""
    first, second = local.replace(fold=0), local.replace(fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    if before == after or before is None or after is None:
        return first.astimezone(UTC)
    if ambiguous is None:
        often = "occurs twice" if before > after else "never occurs"
        raise AmbiguousTime(f"{local.replace(tzinfo=None).isoformat()} {often} in {local.tzinfo}: give an offset")
    return (min if ambiguous == "earlier" else max)(first.astimezone(UTC), second.astimezone(UTC))


def _as_instant(value: Any, info: ValidationInfo) -> datetime:
    # only records have this context: the parameters of a request always need an offset
    reading: Reading | None = None if info.context is None else info.context.get("reading")
    try:
        if reading is None:
            return parse_instant(value)
        return parse_instant(value, reading.assume_timezone, reading.ambiguous_time)
    except NaiveTime as error:
        advice = "" if reading is None else f", or set {reading.setting('assume_timezone')}"
        raise PydanticCustomError("naive_time", "{why}", {"why": f"{error}{advice}"}) from None
    except AmbiguousTime as error:
        advice = "" if reading is None else f", or set {reading.setting('ambiguous_time')} to earlier or later"
        raise PydanticCustomError("ambiguous_time", "{why}", {"why": f"{error}{advice}"}) from None
    except ValueError as error:
        raise PydanticCustomError("time", "{why}", {"why": str(error)}) from None


Instant = Annotated[datetime, BeforeValidator(_as_instant)]
"""An instant in UTC. `reading` (a Reading) in the validation context decides about times without an offset."""


def utc_text(value: Any) -> Any:
    """A date as its midnight in UTC; all other values unchanged."""
    return f"{value}T00:00:00Z" if isinstance(value, str) and _DAY.fullmatch(value) else value


def _as_utc(value: Any) -> datetime:
    try:
        return parse_instant(utc_text(value), UTC)
    except ValueError as error:
        raise PydanticCustomError("time", "{why}", {"why": str(error)}) from None


UtcInstant = Annotated[datetime, BeforeValidator(_as_utc)]
"""An instant in a request that reads. A date means its midnight, and a time without an offset is in UTC."""


def _as_list(value: Any) -> Any:
    if isinstance(value, str):
        return value.split(",")
    return [_as_id(entry) for entry in (value if isinstance(value, list) else [value])]


Repeated = Annotated[list[Text], BeforeValidator(_as_list)]
"""Values of a repeated query parameter. A text is split at its commas."""

split = BeforeValidator(_as_list)
joined = AfterValidator(lambda values: ",".join(values) or None)
"""Split a text at its commas, and join values by commas. Without values, the parameter is left out."""

Joined = Annotated[list[Text], split, joined]
"""Values of a query parameter that takes them in one text, separated by commas."""


def _only_true(value: bool) -> bool:
    if not value:
        raise PydanticCustomError("only_true", "true is the only value it takes")
    return value


OnlyTrue = Annotated[bool, AfterValidator(_only_true)]

PageSize = Annotated[int, Field(ge=1, le=1000)]
Skip = Annotated[int, Field(ge=0)]


def micros(moment: datetime) -> int:
    """`moment` in whole microseconds since 1970-01-01T00:00:00Z."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
