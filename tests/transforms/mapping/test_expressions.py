"""Expressions mean what JMESPath means by them, on exact numbers."""

from decimal import Decimal

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.parser import Parser

from beam_talonone.transforms.mapping.errors import EvaluationError, ExpressionError
from beam_talonone.transforms.mapping.expressions.compiler import compiled
from beam_talonone.transforms.mapping.expressions.environment import Environment
from beam_talonone.transforms.mapping.expressions.grammar import syntax_tree
from beam_talonone.transforms.mapping.functions.table import FUNCTIONS


def evaluate(text, document, **variables):
    environment = Environment(document, {})
    environment.names.update(variables)
    return compiled(text, {"", *variables}, FUNCTIONS)(document, environment)


def same(found, expected):
    assert found == expected
    assert type(found) is type(expected)


ID = 12345678901234567890
DOCUMENT = {
    "id": ID,
    "price": Decimal("1.10"),
    "lines": [{"id": 1, "q": 2}, {"id": 2, "q": None}],
    "a": {"b": {"c": 7}},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id", ID),
        ("a.b.c", 7),
        ("price == `1.1`", True),
        ("id == `12345678901234567890`", True),
        ("id == `12345678901234567891`", False),
        ("`0.1`", Decimal("0.1")),
        ("`1.10`", Decimal("1.10")),
        ("sum([price, price, `0.1`])", Decimal("2.30")),
        ("sum([`1`, `2`])", 3),
        ("price > `1`", True),
        ("price < 'x'", None),
        ("max([`1`, price])", Decimal("1.10")),
        ("sort([`3`, price])", [Decimal("1.10"), 3]),
        ("sort_by(lines, &id)[-1].id", 2),
        ("lines[?q].id", [1]),
        ("lines[*].q", [2]),
        ("length(lines)", 2),
        ("abs(`-1.10`)", Decimal("1.10")),
        ("ceil(price)", 2),
        ("floor(`-1.10`)", -2),
        ("type(price)", "number"),
        ("to_number('12345678901234567890')", ID),
        ("to_number('1.10')", Decimal("1.10")),
        ("to_number('x')", None),
        ("to_string({a: price, b: id})", '{"a":1.10,"b":12345678901234567890}'),
        ("contains([`1`], `true`)", False),
        ("`1` == `true`", False),
        ("[`1`] == [`true`]", False),
        ("$.id == id", True),
        ("lines[?id == $.lines[1].id].id | [0]", 2),
        ("!a.missing", True),
        ("!a.b", False),
        ("!a.missing && id", ID),
        ('"$oid"', None),
        ("lines[::-1].id", [2, 1]),
        ("*.b | [0]", {"c": 7}),
        ("merge(a, {x: id}).x", ID),
        ("map(&id, lines)", [1, 2]),
        ("not_null(missing, id)", ID),
    ],
)
def test_results(text, expected):
    same(evaluate(text, DOCUMENT), expected)


def test_a_field_may_begin_with_a_dollar_in_quotes():
    assert evaluate('"$oid"', {"$oid": "x"}) == "x"


def test_variables():
    assert evaluate("$line.id", DOCUMENT, line={"id": 5}) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a[", "ends too early"),
        ("round(a, 2)", "write a number in backticks, such as `2`"),
        ("-1.5", "write a number in backticks, such as `-1`"),
        ("a[?b > 0]", r"such as `0`, and a text as 'text' \(column 8\)"),
        ("a b", "column 3"),
        ("a ? b", "Unknown token"),
        ("Nr.", 'too early: a name with .* needs double quotes, as in "Nr."'),
        ('guest("Nr.", E-Mail)', 'needs double quotes, as in "E-Mail"'),
        ("Lineitem sku", 'needs double quotes, as in "Lineitem sku"'),
        ("a.Größe", 'needs double quotes, as in "Größe"'),
        ("lower('a-b'", r"too early \(column 11\)"),
        ("`{oops`", "not JSON"),
        ("lowr(a)", "did you mean lower?"),
        ("lower()", "takes 1 argument, found 0"),
        ("decimal()", "takes 1 to 3 arguments"),
        ("avg(a)", "unknown function avg"),
        ("$x", "unknown variable $x"),
        ("a.$", "a variable begins a path"),
        ("sort_by(a, b)", "argument 2 of sort_by is an expression with &"),
        ("lower(&a)", "argument 1 of lower is a value"),
        ("&a", "only where a function takes one"),
        ("a[::0]", "step"),
        ("time(a, b)", "is a constant"),
        ("a" * 4001, "at most 4000 characters"),
        ("[" * 100 + "a" + "]" * 100, "nested deeper"),
        ("!" * 3000 + "a", "nested deeper"),
    ],
)
def test_what_cannot_be_compiled(text, message):
    with pytest.raises(ExpressionError, match=message.replace("?", r"\?").replace("$", r"\$")):
        compiled(text, {""}, FUNCTIONS)


NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.none() | st.integers(2, 9) | st.sampled_from(["", "x", "yy"])
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=12
)
PATHS = st.recursive(
    NAMES | st.sampled_from(["@", "`3`", "'x'", "*", "[0]", "[-1]", "[]", "[*]", "[1:]", "`[2, 3]`"]),
    lambda inner: st.one_of(
        st.tuples(inner, NAMES).map(lambda p: f"{p[0]}.{p[1]}"),
        st.tuples(inner, st.sampled_from(["[0]", "[]", "[*]", "[::2]", ".*"])).map("".join),
        st.tuples(inner, st.sampled_from(["||", "&&", "|", "==", "!=", "<", ">="]), inner).map(" ".join),
        st.tuples(inner, inner).map(lambda p: f"{p[0]}[?{p[1]}]"),
        st.tuples(inner, inner).map(lambda p: f"[{p[0]}, {p[1]}]"),
        st.tuples(NAMES, inner).map(lambda p: f"{{{p[0]}: {p[1]}}}"),
        inner.map(lambda text: f"(!({text}))"),
        inner.map(lambda text: f"({text})"),
        st.tuples(
            st.sampled_from(["length", "keys", "values", "sort", "max", "min", "reverse", "sum", "type", "to_array"]),
            inner,
        ).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(st.sampled_from(["sort_by", "max_by", "min_by"]), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, &{p[2]})"
        ),
        st.tuples(inner, inner).map(lambda p: f"contains({p[0]}, {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"not_null({p[0]}, {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"merge({p[0]}, {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"map(&{p[0]}, {p[1]})"),
    ),
    max_leaves=6,
)
FAILED = object()


@settings(max_examples=600)
@given(PATHS, DOCUMENTS)
def test_results_are_those_of_jmespath(text, document):
    try:
        parsed = jmespath.compile(text)
    except jmespath.exceptions.JMESPathError:
        with pytest.raises(ExpressionError):
            compiled(text, {""}, FUNCTIONS)
        return
    try:
        expected = parsed.search(document)
    except jmespath.exceptions.JMESPathError:
        expected = FAILED
    except (TypeError, ValueError):
        return  # Python's own error, where JMESPath's interpreter lets it compare a text with a number
    try:
        found = evaluate(text, document)
    except EvaluationError:
        found = FAILED
    if found is FAILED and "merge(" in text:
        return  # JMESPath checks its first argument only, and takes an empty text for an empty object
    assert found == expected


@pytest.mark.parametrize(
    "text", ["length(a b)", "length(a,)", "guest(a,, b)", "{x: a y: b}", "{x: a,}", "a[1 2]", "a[1:2 3]", "a[0 1:]"]
)
def test_a_comma_or_colon_that_is_missing_or_too_many_is_an_error(text):
    with pytest.raises(ExpressionError):
        syntax_tree(text)


@pytest.mark.parametrize(
    "text", ["f()", "f(a)", "f( a , b )", "{x: a, y: b}", "a[1:2:3]", "a[:]", "a[::-1][0]", "f(&b, a[1:])"]
)
def test_what_the_stricter_rules_accept_is_what_jmespath_reads(text):
    assert syntax_tree(text) == Parser().parse(text).parsed
