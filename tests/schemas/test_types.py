"""Ids, amounts and times: carried unchanged, or refused."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.settings import parse_duration
from beam_talonone.schemas.types import (
    AmbiguousTime,
    Amount,
    Code,
    Count,
    Id,
    Sku,
    Whole,
    micros,
    parse_instant,
)

ID, SKU, CODE, AMOUNT = TypeAdapter(Id), TypeAdapter(Sku), TypeAdapter(Code), TypeAdapter(Amount)


@pytest.mark.parametrize(
    "text",
    ["a", " a ", "a/b%c?d#e", "é", "e\u0301", "\u212b", "🛒" * 1000, "..", "\t\n", '"\\', "\x00", "0012", "x" * 1000],
)
def test_an_id_is_never_changed(text):
    assert ID.validate_python(text) == text


@pytest.mark.parametrize(("number", "text"), [(7, "7"), (0, "0"), (-3, "-3"), (10**30, "1" + "0" * 30)])
def test_an_integer_id_is_its_digits(number, text):
    assert ID.validate_python(number) == text
    assert SKU.validate_python(number) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x" * 1001,
        "🛒" * 1001,
        True,
        1.5,
        Decimal("1.5"),
        Decimal("1E+1000"),
        2.0**53,
        float("nan"),
        None,
        ["a"],
        {"a": 1},
        b"a",
        "\ud800",
        10**5000,
        10**1000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_id(value):
    with pytest.raises(ValidationError):
        ID.validate_python(value)


@pytest.mark.parametrize("kind", [Decimal, float])
def test_a_number_without_a_fraction_is_an_integer_whatever_its_type(kind):
    assert ID.validate_python(kind(4711)) == SKU.validate_python(kind("4711.0")) == "4711"
    assert TypeAdapter(Count).validate_python(kind(3)) == 3
    assert TypeAdapter(Whole).validate_python(kind(-3)) == -3
    with pytest.raises(ValidationError):
        TypeAdapter(Count).validate_python(kind("3.5"))


def test_a_decimal_id_keeps_all_of_its_digits():
    assert ID.validate_python(Decimal("1" + "0" * 37 + "7")) == "1" + "0" * 37 + "7"


def test_codes_have_at_most_100_characters():
    assert CODE.validate_python("🎟" * 100) == "🎟" * 100
    with pytest.raises(ValidationError):
        CODE.validate_python("c" * 101)


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (Decimal("19.99"), b"19.99"),
        ("19.99", b"19.99"),
        (19.99, b"19.99"),
        ("19.90", b"19.9"),
        ("1E+2", b"100"),
        ("1e2", b"100"),
        (Decimal("1E+29"), b"1" + b"0" * 29),
        ("100", b"100"),
        ("-0.00", b"0"),
        (-5, b"-5"),
        ("-0.01", b"-0.01"),
        ("0.000000000000000000000000000001", b"1E-30"),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("1234567890.12345678901234567890", b"1234567890.1234567890123456789"),
        (3, b"3"),
    ],
)
def test_amounts_leave_with_the_digits_they_came_with(value, wire):
    assert jsonio.dumps(AMOUNT.validate_python(value)) == wire


@pytest.mark.parametrize(
    "value",
    [
        True,
        "",
        " 1",
        "1 ",
        "1,5",
        "1.",
        ".5",
        "+1",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "sNaN",
        "1_000",
        "١",
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        None,
        [],
        {},
        "1e999",
        "1" * 31,
        10**31,
        10**5000,
        "1e30",
        "1e31",
        Decimal("999E+28"),
        "1e-31",
        "9" * 100_000,
        Decimal("1E+999999999"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_amount(value):
    with pytest.raises(ValidationError):
        AMOUNT.validate_python(value)


@given(
    st.decimals(allow_nan=False, allow_infinity=False)
    | st.from_regex(r"-?[1-9]{1,3}[eE][+-]?[1-3]?[0-9]", fullmatch=True)
)
@example("999e27")
@example("1e-30")
@example("0e30")
def test_an_amount_is_an_amount(value):
    """Records are read again where attributes are left out."""
    try:
        form = AMOUNT.validate_python(value)
    except ValidationError:
        return
    assert AMOUNT.validate_python(form) == form


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=4))
def test_amounts_keep_their_value_and_have_one_form(amount):
    form = AMOUNT.validate_python(amount)
    assert form == amount
    assert jsonio.dumps(form) == jsonio.dumps(AMOUNT.validate_python(f"{amount}00" if "." in str(amount) else amount))
    assert jsonio.loads(jsonio.dumps(form)) == amount


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-01T12:00:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01t12:00:00z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01 12:00:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00.5Z", datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-05-01T12:00:00.123456789Z", datetime(2026, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-05-01T00:30:00+02:00", datetime(2026, 4, 30, 22, 30, tzinfo=UTC)),
        ("2026-05-01T12:00:00-00:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T15:59:60.25-08:00", datetime(2017, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_times(text, moment):
    assert parse_instant(text) == moment
    assert parse_instant(text).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "",
        "now",
        "2026-05-01",
        "2026-05-01T12:00Z",
        "2026-5-1T12:00:00Z",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-05-01T24:00:00Z",
        "2026-05-01T12:60:00Z",
        "2026-05-01T12:00:61Z",
        "2026-05-01T12:00:00+05:99",
        "2026-05-01T12:00:00+24:00",
        "2026-05-01T12:00:00+0200",
        "2026-05-01T12:00:00.Z",
        "２026-05-01T12:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "9999-12-31T23:59:60Z",
        " 2026-05-01T12:00:00Z",
        "2026-05-01T12:00:00Z\n",
        1_777_000_000,
        1.5,
        True,
        None,
        [],
        {},
    ],
)
def test_what_is_no_time(value):
    with pytest.raises(ValueError):
        parse_instant(value, ZoneInfo("Europe/Berlin"))


def test_a_time_without_an_offset_needs_a_zone():
    with pytest.raises(ValueError, match="without an offset"):
        parse_instant("2026-05-01T12:00:00")
    berlin = ZoneInfo("Europe/Berlin")
    assert parse_instant("2026-05-01T12:00:00", berlin) == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert parse_instant(datetime(2026, 1, 1, 12), berlin) == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert parse_instant("2026-05-01T12:00:00Z", berlin) == datetime(2026, 5, 1, 12, tzinfo=UTC)


@given(st.datetimes(timezones=st.timezones()))
def test_any_moment_survives_its_text(moment):
    text = moment.replace(tzinfo=UTC).isoformat()
    assert parse_instant(text) == moment.replace(tzinfo=UTC)


@given(st.integers(min_value=-(62_135_596_800 * 10**6), max_value=253_402_300_799 * 10**6))
def test_micros_are_exact(us):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    assert micros(moment) == us


@pytest.mark.parametrize(
    ("zone", "local", "what", "earlier", "later"),
    [
        ("Europe/Berlin", "2026-10-25T02:30:00", "occurs twice", "2026-10-25T00:30", "2026-10-25T01:30"),
        ("Europe/Berlin", "2026-03-29T02:30:00", "never occurs", "2026-03-29T00:30", "2026-03-29T01:30"),
        ("America/New_York", "2026-11-01T01:00:00", "occurs twice", "2026-11-01T05:00", "2026-11-01T06:00"),
        ("America/New_York", "2026-03-08T02:00:00", "never occurs", "2026-03-08T06:00", "2026-03-08T07:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:45:00", "occurs twice", "2026-04-04T14:45", "2026-04-04T15:15"),
        ("Australia/Lord_Howe", "2026-10-04T02:15:00", "never occurs", "2026-10-03T15:15", "2026-10-03T15:45"),
        ("Pacific/Apia", "2011-12-30T12:00:00", "never occurs", "2011-12-29T22:00", "2011-12-30T22:00"),
    ],
)  # fmt: skip
def test_local_times_that_stand_for_two_instants(zone, local, what, earlier, later):
    with pytest.raises(AmbiguousTime, match=f"{local} {what} in {zone}"):
        parse_instant(local, ZoneInfo(zone))
    for form in (local, datetime.fromisoformat(local), datetime.fromisoformat(local).replace(fold=1)):
        assert parse_instant(form, ZoneInfo(zone), "earlier") == datetime.fromisoformat(earlier + "Z")
        assert parse_instant(form, ZoneInfo(zone), "later") == datetime.fromisoformat(later + "Z")


@pytest.mark.parametrize("local", ["2026-10-25T01:59:59", "2026-10-25T03:00:00", "2026-03-29T01:59:59.999999"])
def test_local_times_beside_a_change_of_clocks(local):
    berlin = ZoneInfo("Europe/Berlin")
    moment = parse_instant(local, berlin)
    assert moment == datetime.fromisoformat(local).replace(tzinfo=berlin).astimezone(UTC)
    assert parse_instant("2026-10-25T02:30:00+01:00", berlin) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert parse_instant("2026-10-25T01:59:60", berlin) == datetime(2026, 10, 25, 0, 0, tzinfo=UTC)


def test_durations():
    assert parse_duration("90s") == timedelta(seconds=90)
    assert parse_duration(" 30m ") == timedelta(minutes=30)
    assert parse_duration("12h") == timedelta(hours=12)
    assert parse_duration("0s") == timedelta()
    assert parse_duration("999999d") == timedelta(days=999_999)
    for wrong in ("", "7", "d", "-1d", "1.5h", "7w", "1d12h", "٣d", "1000000d"):
        with pytest.raises(ValueError, match="is not a duration such as 90s, 30m, 12h or 7d"):
            parse_duration(wrong)
