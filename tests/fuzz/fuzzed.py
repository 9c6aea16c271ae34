"""A property of a surface: few fixed examples as a test, and any number of others in a long run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy, fixed_dictionaries

Property = Callable[..., None]

_CHECKS: Final = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

SHORT: Final = settings(derandomize=True, database=None, deadline=None, suppress_health_check=_CHECKS)
"""Settings of the tests: the same examples in each run."""

LONG: Final = settings(
    max_examples=500, deadline=None, suppress_health_check=_CHECKS, print_blob=True, database=None,
    phases=(Phase.generate, Phase.shrink),
)  # fmt: skip


@dataclass
class Fuzzed:
    """A property as written, with its strategies, and how many examples were checked."""

    name: str
    strategies: dict[str, SearchStrategy[Any]]
    check: Property
    checked: int = 0

    def examples(self) -> Callable[[], None]:
        """A test of many examples, of which no two runs have the same."""

        @settings(LONG)
        @given(values=fixed_dictionaries(self.strategies))
        def test(values: dict[str, Any]) -> None:
            self.checked += 1
            self.check(**values)

        return test

    def round(self, number: int) -> None:
        """Check examples that depend on `number`. Raises what the property raises for the smallest of them."""
        seed(number)(self.examples())()

    def from_bytes(self) -> Callable[[bytes], Any]:
        """A function that checks the one example that the bytes describe, for a fuzzer that chooses bytes."""
        test: Any = self.examples()
        one: Callable[[bytes], Any] = test.hypothesis.fuzz_one_input
        return one


def fuzzed(examples: int = 30, **strategies: SearchStrategy[Any]) -> Callable[[Property], Property]:
    """Make a test of a property with these strategies for its arguments."""

    def decorate(check: Property) -> Property:
        test: Any = settings(SHORT, max_examples=examples)(given(**strategies)(check))
        test.fuzzed = Fuzzed(check.__name__.removeprefix("test_"), strategies, check)
        return test  # type: ignore[no-any-return]

    return decorate
