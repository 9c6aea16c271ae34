"""Each test can fail: it asserts, expects an error, or calls a helper of the tests that does."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
CHECKS = {"raises", "warns", "fail", "assert_outcomes", "fnmatch_lines", "no_fnmatch_line"}
"""Calls of pytest and of its pytester that fail a test."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """A function of a file: the names that it calls, each with whether it is an attribute, and whether it asserts."""

    name: str
    calls: frozenset[tuple[str, bool]]
    asserts: bool


@dataclass(frozen=True)
class Module:
    """The functions of a file, and the names that it defines, or imports from other files of the tests.

    The names of the code under test are not among them.
    """

    functions: tuple[Function, ...]
    names: frozenset[str]


def module_of(tree: ast.AST) -> Module:
    """Collect the functions and names of a file in one pass for its functions and one for its names."""
    functions, names = [], set()
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            functions.append(function_of(node))
            names |= {node.name, *(argument.arg for argument in node.args.args)}  # arguments are fixtures
        elif isinstance(node, ast.ImportFrom) and _is_of_tests(node):
            names |= {alias.asname or alias.name for alias in node.names}
    return Module(tuple(functions), frozenset(names))


def function_of(definition: Definition) -> Function:
    calls, asserts = set(), False
    for node in ast.walk(definition):
        if isinstance(node, ast.Assert):
            asserts = True
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls.add((node.func.id, False))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            calls.add((node.func.attr, True))
    return Function(definition.name, frozenset(calls), asserts or any(name in CHECKS for name, _ in calls))


def helpers(modules: Iterable[Module]) -> set[str]:
    """The names of functions that assert themselves or through another function of the tests."""
    functions = [function for module in modules for function in module.functions]
    asserting = {function.name for function in functions if function.asserts}
    while True:
        more = {one.name for one in functions if any(name in asserting for name, _ in one.calls)} - asserting
        if not more:
            return asserting
        asserting |= more


def _is_of_tests(node: ast.ImportFrom) -> bool:
    return node.level > 0 or (TESTS / (node.module or "").split(".")[0]).exists() or node.module == "tests"


def without_assertion(module: Module, asserting: set[str]) -> list[str]:
    """The tests of a file that cannot fail but by an unexpected error."""
    return [
        test.name
        for test in module.functions
        if test.name.startswith("test_")
        and not test.asserts
        and not any(name in asserting and (attribute or name in module.names) for name, attribute in test.calls)
    ]


def test_every_test_asserts():
    modules = {path: module_of(ast.parse(path.read_text(encoding="utf-8"))) for path in TESTS.rglob("*.py")}
    asserting = helpers(modules.values())
    silent = {
        str(path.relative_to(TESTS)): names
        for path, module in modules.items()
        if path.name.startswith("test_") and (names := without_assertion(module, asserting))
    }
    assert silent == {}


def test_a_test_without_an_assertion_is_found():
    source = (
        "from beam_talonone.x import check as theirs\n"
        "def check(): assert True\n"
        "def through(): check()\n"
        "def test_silent(): print(1)\n"
        "def test_of_the_code(): theirs()\n"
        "def test_direct(): assert True\n"
        "def test_helper(): through()\n"
        "def test_error():\n    with pytest.raises(OSError):\n        open('')\n"
    )
    module = module_of(ast.parse(source))
    assert without_assertion(module, helpers([module])) == ["test_silent", "test_of_the_code"]
