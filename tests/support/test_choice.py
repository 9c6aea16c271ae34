"""A run leaves out slow tests only, and names them at its end, with and without processes of xdist."""

from collections import Counter
from pathlib import Path

import choice
import pytest

TESTS = Path(choice.__file__).parent
SETTINGS = """
[pytest]
markers = slow: takes long
addopts = --strict-markers -p no:cacheprovider -p xdist
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Four tests: one of streams, one of e2e that is quick, one marked slow, one that is none of these."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take seconds to import
    pytester.makeini(SETTINGS)
    passes = "def test_it():\n    assert True\n"
    for path, text in {
        "conftest.py": f"import sys\n\nsys.path.insert(0, {str(TESTS)!r})\npytest_plugins = ['choice']\n",
        "streams/command/test_stream.py": passes,
        "e2e/inputs/test_wire.py": passes,
        "talonone/test_marked.py": f"import pytest\n\n@pytest.mark.slow\n{passes}",
        "talonone/http/test_http.py": passes,
    }.items():
        target = pytester.path / "tests" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return pytester


@pytest.mark.parametrize("processes", [0, 2])
def test_what_is_left_out_is_named(suite: pytest.Pytester, processes: int) -> None:
    ended = suite.runpytest_subprocess("tests", "-m", "not slow", "-n", str(processes))
    ended.assert_outcomes(passed=2)
    ended.stdout.fnmatch_lines(
        [
            "Left out: 2 slow tests. `make test-all` runs them too*",
            f"  tests/streams * 1  {choice.SLOW['streams']}",
            f"  elsewhere * 1  {choice.ELSEWHERE}",
        ]
    )


def test_the_slow_ones_are_all_others(suite: pytest.Pytester) -> None:
    ended = suite.runpytest_inprocess("tests", "-m", "slow")
    ended.assert_outcomes(passed=2)
    ended.stdout.no_fnmatch_line("Left out*")


def test_nothing_left_out_says_nothing() -> None:
    assert list(choice.summary(Counter())) == []


@pytest.mark.parametrize("path", [*choice.SLOW, *choice.QUICK])
def test_the_table_names_what_is_there(path: str) -> None:
    assert (TESTS / path).exists()
