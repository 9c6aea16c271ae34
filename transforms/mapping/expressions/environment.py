"""What the evaluation of expressions on one document shares: the document, its variables, and the work left to do."""

from collections.abc import Callable, Mapping
from typing import Any

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.errors import EvaluationError

MAX_STEPS = 1_000_000
"""Steps that one document may take: list elements visited, values copied, and portions of text."""

TEXT_PER_STEP = 16
"""Characters of text that cost one step."""


class Environment:
    """The state of one evaluation. `names` holds the variables without their `$`; the empty name is the document.

    `variables` are computed from the document when they are first used.
    """

    __slots__ = ("_variables", "left", "names")

    def __init__(self, document: Any, variables: Mapping[str, "Evaluate"], steps: int = MAX_STEPS) -> None:
        self.left = steps
        self.names: dict[str, Any] = {"": document}
        self._variables = variables

    def variable(self, name: str) -> Any:
        """The value of a variable. Raises EvaluationError where it cannot be computed."""
        if name not in self.names:
            self.names[name] = self._variables[name](self.names[""], self)
        return self.names[name]

    def charge(self, steps: int) -> None:
        """Take `steps` off the budget. Raises EvaluationError once more is used than a document may use."""
        self.left -= steps
        if self.left < 0:
            raise EvaluationError(
                "the mapping takes too many steps for this document: it is too large, or lists are nested too often",
                Reason.OVER_LIMIT,
            )

    def charge_text(self, characters: int) -> None:
        """Take the work on so many characters of text off the budget."""
        self.charge(1 + characters // TEXT_PER_STEP)


Evaluate = Callable[[Any, Environment], Any]
"""A compiled expression: the current value and the environment in, the result out. Raises EvaluationError."""
