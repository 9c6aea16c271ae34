"""The small checks that the request bodies are put together from."""

from decimal import Decimal

import pytest

from beam_talonone.simulator.bodies.checks import (
    array,
    attributes,
    boolean,
    both,
    fields,
    integer,
    mapping,
    number,
    one_of,
    text,
    time,
    wrong,
)

THING = fields({"n": integer(least=1), "list": array(text(), most=2), "map": mapping(number)}, required=("n",))


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (text(), ["", "x"], [1, None, True, [], {}]),
        (text(least=1, most=2), ["x", "xx", "\U0001f355\U0001f355"], ["", "xxx"]),
        (integer(), [0, -1, 10**30], [True, "1", Decimal("1.0"), None]),
        (integer(least=1), [1], [0]),
        (number, [0, -1, Decimal("1.5"), Decimal("1e308")], ["1", None, False, Decimal("1e309"), 10**400]),
        (integer(least=0, most=9), [0, 9], [-1, 10]),
        (boolean, [True, False], [1, 0, "true", None]),
        (
            time,
            ["2026-05-01T12:00:00Z", "2026-05-01T12:00:00.123456+02:00"],
            ["2026-05-01", "2026-05-01T12:00:00", "2026-05-01t12:00:00z", "2026-13-01T12:00:00Z", 1, None, ""],
        ),
        (fields({"n": integer()}, closed=True), [{}, {"n": 1}], [{"n": 1, "other": None}]),
        (one_of("a", "b"), ["a"], ["c", 1, None, []]),
        (array(text(), least=1, most=2), [["x"]], [[], ["x"] * 3, [1], "x", None]),
        (mapping(number), [{}, {"a": 1}], [{"a": "1"}, []]),
        (attributes((), None), [{}, {"a": None}], [[], None]),
        (attributes(("a",), None), [{"b": 1}], [{"a": 1}, []]),
        (attributes(("a",), ("a", "b")), [{"b": 1}], [{"a": 1}, {"c": 1}]),
        (THING, [{"n": 1}, {"n": 1, "other": None}], [{}, {"n": 0}, [], {"n": 1, "list": None}]),
    ],
)
def test_good_and_bad(check, good, bad):
    for value in good:
        assert check(value) == ()
    for value in bad:
        assert check(value)


def test_every_problem_has_its_pointer():
    problems = array(THING)([{"n": 0, "list": ["x", 1]}, {"n": 1, "map": {"a/b~c": None}}, {"list": []}])
    assert [problem.pointer for problem in problems] == ["/0/n", "/0/list/1", "/1/map/a~1b~0c", "/2/n"]


def test_the_second_check_is_asked_only_about_what_passed_the_first():
    check = both(text(), lambda value: wrong("Odd", "is odd") if len(value) % 2 else ())
    assert [problem.title for problem in check("x")] == ["Odd"]
    assert [problem.title for problem in check(1)] == ["Invalid type"]
