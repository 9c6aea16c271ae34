"""The scalar types of the records: ids, amounts, instants. Each refuses what it cannot carry unchanged."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Context, Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

ID_MAX = 1000
CODE_MAX = 100
MAX_DIGITS = 30

_RFC3339 = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<clock>\d\d:\d\d):(?P<second>\d\d)(?P<fraction>\.\d+)?"
    r"(?P<zone>[Zz]|[+-]\d\d:[0-5]\d)?",
    re.ASCII,
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SHORT = re.compile(r"(?:0|-?[1-9]\d{0,14})(?:\.\d{0,8}[1-9])?", re.ASCII)
_DECIMAL = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)


def whole(value: Any) -> Any:
    """A decimal or float without a fraction as the integer it is; everything else unchanged.

    Warehouses have all of their integers as decimals, and some tools make floats of them.
    """
    if isinstance(value, Decimal) and value.is_finite() and -ID_MAX < value.adjusted() < ID_MAX:
        number = int(value)
        return number if number == value else value
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return int(value)
    return value


EXACT = 2.0**53
"""From here on a float does not tell an integer from the next one."""


def _as_id(value: Any) -> Any:
    value = whole(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


Text = StrictStr
"""Text that UTF-8 can carry: pydantic refuses lone surrogates."""

Id = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=ID_MAX), BeforeValidator(_as_id)]
"""1 to 1000 characters, never normalised; an integer counts as its digits."""

Sku = Annotated[str, StringConstraints(strict=True, min_length=1), BeforeValidator(_as_id)]
"""A stock keeping unit: text that is not empty; an integer counts as its digits."""

Code = Annotated[str, StringConstraints(strict=True, max_length=CODE_MAX), BeforeValidator(_as_id)]
"""A coupon or referral code: at most 100 characters."""

_WIDE = Context(prec=2 * MAX_DIGITS + 2)

Whole = Annotated[int, Field(strict=True), BeforeValidator(whole)]
"""An integer, judged by value: the decimal 3.00 is one."""

Count = Annotated[int, Field(strict=True, ge=1), BeforeValidator(whole)]


def _as_amount(value: Any) -> Decimal:
    if type(value) is str and _SHORT.fullmatch(value):
        return Decimal(value)  # what nearly every price looks like: nothing to normalise, nothing to refuse
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
    if len(amount.as_tuple().digits) > MAX_DIGITS or abs(amount.adjusted()) > MAX_DIGITS:
        raise PydanticCustomError("amount_digits", "an amount has at most 30 digits")
    return plain(amount)


def plain(amount: Decimal) -> Decimal:
    """The same number without trailing zeros or exponent, so that 19.9, 19.90 and a Parquet 19.900 are one amount."""
    if not amount:
        return Decimal(0)
    short = amount.normalize(_WIDE)
    return short.quantize(Decimal(1), context=_WIDE) if short.as_tuple().exponent > 0 else short  # type: ignore[operator]


Amount = Annotated[Decimal, BeforeValidator(_as_amount)]
"""Money or a measure, carried as a decimal from the input to the wire."""


def parse_instant(value: Any, assume: tzinfo | None = None) -> datetime:
    """An instant in UTC from RFC 3339 text or a datetime; ValueError says what is wrong.

    A value without an offset is taken in the zone `assume`, or refused when there is none. Digits beyond the
    microsecond are cut off. A leap second counts as the second that follows.
    """
    if isinstance(value, datetime):
        moment, leap = value, timedelta()
    elif isinstance(value, str):
        match = _RFC3339.fullmatch(value)
        if match is None:
            raise ValueError("not an RFC 3339 time such as 2026-05-01T12:00:00Z")
        leap = timedelta(seconds=1) if match["second"] == "60" else timedelta()
        second = "59" if leap else match["second"]
        zone = (match["zone"] or "").upper()
        moment = datetime.fromisoformat(
            f"{match['day']}T{match['clock']}:{second}{(match['fraction'] or '')[:7]}{zone}"
        )
    else:
        raise ValueError("a time is RFC 3339 text")
    if moment.tzinfo is None:
        if assume is None:
            raise ValueError("a time without an offset: give one, or say --assume-timezone")
        moment = moment.replace(tzinfo=assume)
    try:
        return moment.astimezone(UTC) + leap
    except OverflowError as error:
        raise ValueError("a time outside the years 1 to 9999") from error


def _as_instant(value: Any, info: ValidationInfo) -> datetime:
    assume = (info.context or {}).get("assume_timezone")
    try:
        return parse_instant(value, assume)
    except ValueError as error:
        naive, why = "without an offset" in str(error), str(error)
        if naive and info.context is None:
            why, _, _ = why.partition(", or")  # the zone is that of records: it is not for parameters of a request
        raise PydanticCustomError("naive_time" if naive else "time", "{why}", {"why": why}) from None


Instant = Annotated[datetime, BeforeValidator(_as_instant)]
"""A moment in UTC. The validation context's `assume_timezone` (a tzinfo) admits times without an offset."""


def utc_text(value: Any) -> Any:
    """A day as its midnight in UTC; everything else stays as it is."""
    return f"{value}T00:00:00Z" if isinstance(value, str) and _DAY.fullmatch(value) else value


def _as_utc(value: Any) -> datetime:
    try:
        return parse_instant(utc_text(value), UTC)
    except ValueError as error:
        raise PydanticCustomError("time", "{why}", {"why": str(error)}) from None


UtcInstant = Annotated[datetime, BeforeValidator(_as_utc)]
"""A moment that something is looked up by. A day means its midnight, and a time without an offset is in UTC."""


def _as_list(value: Any) -> Any:
    if isinstance(value, str):
        return value.split(",")
    return [_as_id(entry) for entry in (value if isinstance(value, list) else [value])]


Repeated = Annotated[list[Text], BeforeValidator(_as_list)]
"""Values of a query parameter that is repeated for each; in one text they are separated by commas."""

split = BeforeValidator(_as_list)
joined = AfterValidator(lambda values: ",".join(values) or None)
"""Take and make one text of several values, separated by commas; none is no parameter at all."""

Joined = Annotated[list[Text], split, joined]
"""Values of a query parameter that takes them in one text."""


def _only_true(value: bool) -> bool:
    if not value:
        raise PydanticCustomError("only_true", "true is the only value it takes")
    return value


OnlyTrue = Annotated[bool, AfterValidator(_only_true)]

PageSize = Annotated[int, Field(ge=1, le=1000)]
Skip = Annotated[int, Field(ge=0)]


def micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z, exact."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
