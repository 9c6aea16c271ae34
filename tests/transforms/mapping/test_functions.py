"""The functions of the language beyond JMESPath's own."""

import hashlib
from decimal import Decimal

import pytest

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.errors import EvaluationError, ExpressionError
from beam_talonone.transforms.mapping.expressions.compiler import compiled
from beam_talonone.transforms.mapping.expressions.environment import Environment
from beam_talonone.transforms.mapping.functions.table import FUNCTIONS


def evaluate(text, document=None):
    document = {} if document is None else document
    return compiled(text, {""}, FUNCTIONS)(document, Environment(document, {}))


ESCAPE = "\x1b[31m"
"""Red, for a terminal."""

GUEST = hashlib.sha256(b"ann@example.com").hexdigest()


@pytest.mark.parametrize(
    ("text", "document", "expected"),
    [
        ("default(a, b)", {"a": "", "b": 0}, 0),
        ("default(a, 'x')", {}, "x"),
        ("translate(a, {paid: 'completed'})", {"a": "paid"}, "completed"),
        ("translate(a, {paid: 'completed'}, 'open')", {"a": "odd"}, "open"),
        ("translate(a, `{\"1\": \"one\"}`)", {"a": 1}, "one"),
        ("translate(a, {x: 'y'})", {}, None),
        ("empty_to_null(a)", {"a": "  "}, None),
        ("empty_to_null(a, 'N/A', '-')", {"a": " N/A "}, None),
        ("empty_to_null(a, 'N/A')", {"a": "Nancy"}, "Nancy"),
        ("empty_to_null(a)", {"a": 0}, 0),
        ("text(a)", {"a": 12345678901234567890}, "12345678901234567890"),
        ("text(a)", {"a": Decimal("1E+2")}, "100"),
        ("lower(trim(a))", {"a": " ÄB "}, "äb"),
        ("upper(a)", {"a": "x"}, "X"),
        ("concat('a-', a, '-', b)", {"a": 1, "b": Decimal("1.10")}, "a-1-1.10"),
        ("concat('a-', missing)", {}, None),
        ("split(a, ',')", {"a": "x,y,,z"}, ["x", "y", "", "z"]),
        ("replace(a, '-', '')", {"a": "1-2-3"}, "123"),
        ("sha256('abc')", {}, hashlib.sha256(b"abc").hexdigest()),
        ("guest(a, b)", {"a": 7, "b": "x"}, 7),
        ("guest(a, b)", {"a": None, "b": " Ann@Example.com "}, f"guest-{GUEST}"),
        ("guest(a, b, 'mail:')", {"a": "", "b": "ann@example.com"}, f"mail:{GUEST}"),
        ("guest(a, b)", {"b": " "}, None),
        ("guest(null_id, mail) || 'walk-in'", {}, "walk-in"),
        ("decimal(a)", {"a": "1.10"}, Decimal("1.10")),
        ("decimal(a)", {"a": " -7 "}, Decimal("-7")),
        ("decimal(a)", {"a": ""}, None),
        ("decimal(a, ',', '.')", {"a": "1.234.567,89"}, Decimal("1234567.89")),
        ("decimal(a, ',')", {"a": "12,50"}, Decimal("12.50")),
        ("decimal(a, '.', ' ')", {"a": "1\u00a0234.5"}, Decimal("1234.5")),
        ("integer(a)", {"a": "12345678901234567890"}, 12345678901234567890),
        ("integer(a)", {"a": Decimal("3.00")}, 3),
        ("add(a, '0.1', `2`)", {"a": Decimal("0.2")}, Decimal("2.3")),
        ("subtract(a, b)", {"a": "1.00", "b": "0.90"}, Decimal("0.10")),
        ("multiply(a, b)", {"a": 12345678901234567890, "b": 10}, Decimal("123456789012345678900")),
        ("add(a, missing)", {"a": 1}, None),
        ("divide('10', `3`, `2`)", {}, Decimal("3.33")),
        ("divide('1', `8`, `2`)", {}, Decimal("0.13")),
        ("divide('1', `8`, `2`, 'half_even')", {}, Decimal("0.12")),
        ("divide('1', `8`, `2`, 'down')", {}, Decimal("0.12")),
        ("divide('-1', `8`, `2`)", {}, Decimal("-0.13")),
        ("divide('-1', `3`, `0`, 'floor')", {}, Decimal("-1")),
        ("divide('36465', `100`, `2`)", {}, Decimal("364.65")),
        ("round('2.675', `2`)", {}, Decimal("2.68")),
        ("round('2.665', `2`, 'half_even')", {}, Decimal("2.66")),
        ("round('-0.001', `2`)", {}, Decimal("0.00")),
        ("minor_units(`1999`, 'EUR')", {}, Decimal("19.99")),
        ("minor_units('1999', 'JPY')", {}, Decimal("1999")),
        ("minor_units(`1999`, 'kwd')", {}, Decimal("1.999")),
        ("minor_units(`1999`, `2`)", {}, Decimal("19.99")),
        ("to_minor_units('19.99', 'EUR')", {}, 1999),
        ("time('31.12.2025', '%d.%m.%Y', 'Europe/Berlin')", {}, "2025-12-30T23:00:00Z"),
        ("time('2025-12-31 08:05:09', '%Y-%m-%d %H:%M:%S', 'UTC')", {}, "2025-12-31T08:05:09Z"),
        ("time('Dec 5, 2025 12:07 AM', '%b %d, %Y %I:%M %p', 'UTC')", {}, "2025-12-05T00:07:00Z"),
        ("time('20251231T080509.5+02:00', '%Y%m%dT%H%M%S.%f%z')", {}, "2025-12-31T06:05:09.500000Z"),
        ("time('2026-05-01T12:00:00', 'iso', 'UTC')", {}, "2026-05-01T12:00:00Z"),
        ("time('2026-05-01T12:00:00+02:00', 'iso', 'UTC')", {}, "2026-05-01T10:00:00Z"),
        ("time('2026-10-25 02:30', '%Y-%m-%d %H:%M', 'Europe/Berlin', 'earlier')", {}, "2026-10-25T00:30:00Z"),
        ("time('2026-10-25 02:30', '%Y-%m-%d %H:%M', 'Europe/Berlin', 'later')", {}, "2026-10-25T01:30:00Z"),
        ("time('2026-03-29 02:30', '%Y-%m-%d %H:%M', 'Europe/Berlin', 'later')", {}, "2026-03-29T01:30:00Z"),
        ("time(missing, '%Y-%m-%d', 'UTC')", {}, None),
        ("date('13.08.1959', '%d.%m.%Y')", {}, "1959-08-13"),
        ("date('2026-05-01 23:30 -0800', '%Y-%m-%d %H:%M %z')", {}, "2026-05-01"),
        ("date('', '%Y-%m-%d')", {}, None),
        ("rfc2822('Fri, 01 May 2026 12:00:00 +0200')", {}, "2026-05-01T10:00:00Z"),
        ("rfc2822('Fri, 01 May 2026 12:00:00 -0000')", {}, "2026-05-01T12:00:00Z"),
        ("rfc2822('Fri, 01 May 2026 12:00:00 -0000 (UTC)')", {}, "2026-05-01T12:00:00Z"),
        ("rfc2822('Fri, 01 May 2026 12:00:00 GMT')", {}, "2026-05-01T12:00:00Z"),
        ("rfc2822('Fri, 01 May 2026 12:00:00 EDT')", {}, "2026-05-01T16:00:00Z"),
        ("epoch(`1777636800`, 's')", {}, "2026-05-01T12:00:00Z"),
        ("epoch('1777636800123', 'ms')", {}, "2026-05-01T12:00:00.123000Z"),
        ("epoch(`1777636800.25`, 's')", {}, "2026-05-01T12:00:00.250000Z"),
        ("to_epoch('2026-05-01T14:00:00.123+02:00', 'ms')", {}, 1777636800123),
        ("position_of(l, &id, `8`)", {"l": [{"id": 7}, {"id": 8}]}, 1),
        ("position_of(l, &id, '8')", {"l": [{"id": 7}, {"id": 8}]}, 1),
        ("position_of(l, &id, missing)", {"l": []}, None),
        (
            "group_rows(@, &sku)[].[key, count, first.p, length(rows)]",
            [{"sku": "a", "p": 1}, {"sku": "b", "p": 2}, {"sku": "a", "p": 3}],
            [["a", 2, 1, 2], ["b", 1, 2, 1]],
        ),
        ("to_object(l, &name, &value)", {"l": [{"name": "x", "value": 1}, {"value": 2}]}, {"x": 1}),
        ("to_object(missing, &name, &value)", {}, None),
        ("parse_json(a).price", {"a": '{"price": 1.10}'}, Decimal("1.10")),
        ("parse_json(a)[0].id", {"a": ' [{"id": 12345678901234567890}] '}, 12345678901234567890),
        ("parse_json(a)", {"a": '"x"'}, "x"),
        ("parse_json(a)", {"a": "null"}, None),
        ("parse_json(a)", {"a": None}, None),
        ("parse_json(a).b", {"a": {"b": 1}}, 1),
        ("parse_json(parse_json(a))", {"a": '"[1]"'}, [1]),
        ("a || fail('no a')", {"a": 1}, 1),
        ("a == `1` && 'one' || fail('odd')", {"a": 1}, "one"),
    ],
)  # fmt: skip
def test_results(text, document, expected):
    found = evaluate(text, document)
    assert found == expected
    assert type(found) is type(expected)
    assert str(found) == str(expected)


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("translate('odd', {a: 'b'})", Reason.UNMAPPED_VALUE, 'no entry for "odd"; the table has a'),
        ("translate('odd', 'x')", Reason.MAPPING_FAILED, "expected an object"),
        ("decimal('1,5')", Reason.MAPPING_FAILED, 'expected a decimal number, found "1,5"'),
        ("decimal('1.5', ',', '.')", Reason.MAPPING_FAILED, "expected a decimal number"),
        ("decimal('Infinity')", Reason.MAPPING_FAILED, "expected a decimal number"),
        ("decimal(`true`)", Reason.MAPPING_FAILED, "expected a number, found true"),
        ("integer('1.5')", Reason.MAPPING_FAILED, "expected a whole number"),
        ("add('x', `1`)", Reason.MAPPING_FAILED, "expected a number"),
        ("divide(`1`, `0`, `2`)", Reason.MAPPING_FAILED, "division by zero"),
        ("divide(`1`, `2`, `2`, 'up_or_down')", Reason.MAPPING_FAILED, "expected a rounding mode"),
        ("divide(`1`, `2`, `21`)", Reason.MAPPING_FAILED, "from 0 to 20"),
        ("minor_units(`1`, 'XXY')", Reason.MAPPING_FAILED, "a currency of ISO 4217"),
        ("minor_units('1.5', 'EUR')", Reason.MAPPING_FAILED, "whole number of minor units"),
        ("to_minor_units('1.999', 'EUR')", Reason.MAPPING_FAILED, "without fractions"),
        ("split('a', '')", Reason.MAPPING_FAILED, "empty separator"),
        ("lower([`1`])", Reason.MAPPING_FAILED, "expected a text or number, found an array of 1"),
        ("time('31.13.2025', '%d.%m.%Y', 'UTC')", Reason.MAPPING_FAILED, "does not fit"),
        ("time('31.12.2025 x', '%d.%m.%Y', 'UTC')", Reason.MAPPING_FAILED, "left over"),
        ("time('x', '%d.%m.%Y', 'UTC')", Reason.MAPPING_FAILED, "digits at character 1"),
        ("time('2026-10-25 02:30', '%Y-%m-%d %H:%M', 'Europe/Berlin')", Reason.AMBIGUOUS_TIME, "occurs twice"),
        ("time('2026-03-29 02:30', '%Y-%m-%d %H:%M', 'Europe/Berlin')", Reason.AMBIGUOUS_TIME, "never occurs"),
        ("time('2026-03-29T02:30:00', 'iso')", Reason.NAIVE_TIME, "no offset"),
        ("time('0001-01-01', '%Y-%m-%d', 'Asia/Tokyo')", Reason.MAPPING_FAILED, "years 1 to 9999"),
        ("rfc2822('Fri, 01 May 2026 12:00:00')", Reason.NAIVE_TIME, "no zone of RFC 2822, such as +0200 or GMT"),
        ("rfc2822('Fri, 01 May 2026 12:00:00 CEST')", Reason.NAIVE_TIME, "no zone of RFC 2822"),
        ("rfc2822('Fri, 01 May 2026 12:00:00 Europe/Berlin')", Reason.NAIVE_TIME, "no zone of RFC 2822"),
        ("rfc2822('Fri, 01 May 2026 12:00:00 +02:00')", Reason.NAIVE_TIME, "no zone of RFC 2822"),
        ("rfc2822('Fri, 01 May 2026 12:00:00 +2')", Reason.NAIVE_TIME, "no zone of RFC 2822"),
        ("rfc2822('yesterday')", Reason.MAPPING_FAILED, "RFC 2822"),
        ("date('31.2.2026', '%d.%m.%Y')", Reason.MAPPING_FAILED, "does not fit"),
        ("date(`5`, '%d.%m.%Y')", Reason.MAPPING_FAILED, "a date as text"),
        ("epoch('1e30', 's')", Reason.MAPPING_FAILED, "a time since 1970"),
        ("position_of(`[{\"i\": 1}]`, &i, `2`)", Reason.UNKNOWN_LINE, "no row has the key 2"),
        ("position_of(`[{\"i\": 1}, {\"i\": 1}]`, &i, `1`)", Reason.UNKNOWN_LINE, "2 rows have the key 1"),
        ("sum(missing)", Reason.MAPPING_FAILED, "expected an array, found null"),
        ("sort([`1`, 'x'])", Reason.MAPPING_FAILED, "numbers only, or texts only"),
        ("parse_json('{a: 1}')", Reason.MAPPING_FAILED, 'expected JSON in a text, found "{a: 1}": '),
        ("parse_json('')", Reason.MAPPING_FAILED, 'expected JSON in a text, found ""'),
        ("parse_json('[1] 2')", Reason.MAPPING_FAILED, "expected JSON in a text"),
        (f"parse_json('{'[' * 101}{']' * 101}')", Reason.MAPPING_FAILED, "nested deeper than 100 levels"),
        ("parse_json('[' )", Reason.MAPPING_FAILED, "expected JSON in a text"),
        ("fail('the order has no currency')", Reason.MAPPING_FAILED, "the order has no currency"),
        ("fail(concat('odd: ', `1.10`))", Reason.MAPPING_FAILED, "odd: 1.10"),
        (f"decimal('{ESCAPE}\\n')", Reason.MAPPING_FAILED, r'expected a decimal number, found "\u001b[31m'),
        ("fail('line 1\n  line 2')", Reason.MAPPING_FAILED, "fail: line 1 line 2"),
        ("fail(missing)", Reason.MAPPING_FAILED, "expected a text or number, found null"),
    ],
)  # fmt: skip
def test_failures(text, reason, message):
    with pytest.raises(EvaluationError) as raised:
        evaluate(text)
    assert raised.value.reason is reason
    assert message in raised.value.detail


def test_a_message_of_fail_is_cut():
    with pytest.raises(EvaluationError) as raised:
        evaluate("fail(a)", {"a": "x" * 1000})
    assert raised.value.detail == f"fail: {'x' * 300}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time(a, '%d.%m', 'UTC')", "lacks %Y or %y"),
        ("time(a, '%d.%m.%Q', 'UTC')", "%Q is not known"),
        ("time(a, '%d.%m.%Y')", "the zone is missing"),
        ("date(a, '%d.%m')", "lacks %Y or %y"),
        ("time(a, '%d.%m.%Y%z', 'UTC')", "the time needs no zone"),
        ("time(a, '%d.%m.%Y', 'Europe/Berln')", "unknown time zone"),
        ("time(a, '%d.%m.%Y', '../../etc/passwd')", "unknown time zone"),
        ("time(a, '%d.%m.%Y', 'UTC', 'maybe')", "'earlier', 'later' or 'refuse'"),
        ("time(a, '%d.%m.%Y %I', 'UTC')", "%I and %p"),
        ("epoch(a, 'h')", "'s', 'ms' or 'us'"),
        ("decimal(a, ';')", "the decimal point"),
    ],
)
def test_constants_are_checked_when_the_mapping_is_loaded(text, message):
    with pytest.raises(ExpressionError) as raised:
        compiled(text, {""}, FUNCTIONS)
    assert message in str(raised.value)
