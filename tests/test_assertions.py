"""Each test can fail: it asserts, expects an error, or calls a helper of the tests that does."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

TESTS = Path(__file__).parent
CHECKS = {"raises", "warns", "fail", "assert_outcomes", "fnmatch_lines", "no_fnmatch_line"}
"""Calls of pytest and of its pytester that fail a test."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def calls(function: Function) -> Iterator[tuple[str, bool]]:
    """The names that a function calls, each with whether it is an attribute, such as a method."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, False
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, True


def asserts(function: Function) -> bool:
    return any(isinstance(node, ast.Assert) for node in ast.walk(function)) or any(
        name in CHECKS for name, _ in calls(function)
    )


def helpers(trees: Iterable[ast.AST]) -> set[str]:
    """The names of functions that assert themselves or through another function of the tests."""
    everything = [function for tree in trees for function in functions(tree)]
    asserting = {function.name for function in everything if asserts(function)}
    while True:
        more = {one.name for one in everything if any(name in asserting for name, _ in calls(one))} - asserting
        if not more:
            return asserting
        asserting |= more


def names_of_tests(tree: ast.AST) -> set[str]:
    """The names that a file defines, or imports from other files of the tests: not those of the code under test."""
    names = {function.name for function in functions(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_of_tests(node):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, Function):  # fixtures
            names |= {argument.arg for argument in node.args.args}
    return names


def _is_of_tests(node: ast.ImportFrom) -> bool:
    return node.level > 0 or (TESTS / (node.module or "").split(".")[0]).exists() or node.module == "tests"


def without_assertion(tree: ast.AST, asserting: set[str]) -> list[str]:
    """The tests of a file that cannot fail but by an unexpected error."""
    own = names_of_tests(tree)
    return [
        test.name
        for test in functions(tree)
        if test.name.startswith("test_")
        and not asserts(test)
        and not any(name in asserting and (attribute or name in own) for name, attribute in calls(test))
    ]


def test_every_test_asserts():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py")}
    asserting = helpers(trees.values())
    silent = {
        str(path.relative_to(TESTS)): names
        for path, tree in trees.items()
        if path.name.startswith("test_") and (names := without_assertion(tree, asserting))
    }
    assert silent == {}


def test_a_test_without_an_assertion_is_found():
    tree = ast.parse(
        "from beam_talonone.x import check as theirs\n"
        "def check(): assert True\n"
        "def through(): check()\n"
        "def test_silent(): print(1)\n"
        "def test_of_the_code(): theirs()\n"
        "def test_direct(): assert True\n"
        "def test_helper(): through()\n"
        "def test_error():\n    with pytest.raises(OSError):\n        open('')\n"
    )
    assert without_assertion(tree, helpers([tree])) == ["test_silent", "test_of_the_code"]
