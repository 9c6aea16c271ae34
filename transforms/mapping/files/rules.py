"""The rules of a loaded mapping, and how one document runs through them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.errors import NOWHERE, EvaluationError
from beam_talonone.transforms.mapping.expressions.environment import Environment, Evaluate
from beam_talonone.transforms.mapping.expressions.places import Path
from beam_talonone.transforms.mapping.expressions.values import SCALARS, brief, copied, is_false

INDEX = "index"
"""The variable with the place of the current element of the innermost `each`, from 0."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression with its place in the file. `label` is its name in messages, and `path` the
    path that it reads first.
    """

    evaluate: Evaluate
    label: str
    line: int
    path: Path = ()

    def __call__(self, value: Any, environment: Environment) -> Any:
        """The result. Raises EvaluationError, which names this rule."""
        try:
            return self.evaluate(value, environment)
        except EvaluationError as error:
            raise placed(error, self, value) from None


def placed(error: EvaluationError, rule: Expression, value: Any) -> EvaluationError:
    """The error with the innermost rule, and the place in the document, that it has not been given yet."""
    if error.line is None:
        error.line, error.target = rule.line, rule.label
    if error.context is NOWHERE:
        error.context, error.path = value, rule.path
    return error


@dataclass(frozen=True, slots=True)
class Field:
    """One target field. `nested` results are fresh; others are copied, so that no two records share a list."""

    name: str
    rule: Expression
    nested: bool
    required: bool
    sends_null: bool
    names: bool
    """It holds an object of any names: a null in it that an expression made counts as absent."""


@dataclass(frozen=True, slots=True)
class Block:
    """What happens for each element of `each`: variables, conditions, fields."""

    applies: Expression | None
    """`if`: whether the block concerns the value that it is given, before `each`. If not, it makes nothing."""
    each: Expression | None
    alias: str | None
    conditions: tuple[Expression, ...]
    """`when`: what does not hold filters the element; the label is the rule's name."""
    variables: tuple[Expression, ...]
    fields: tuple[Field, ...]

    def elements(self, value: Any, environment: Environment) -> Iterator[Any]:
        """The elements that the block concerns, with their variables set while each is in use."""
        if self.applies is not None and is_false(self.applies(value, environment)):
            return
        if self.each is None:
            found = [value]
        else:
            chosen = self.each(value, environment)
            found = chosen if type(chosen) is list else [] if chosen is None else [chosen]
        environment.charge(len(found))
        names = environment.names
        outer = names.get(INDEX)
        for number, element in enumerate(found):
            names[INDEX] = number
            if self.alias is not None:
                names[self.alias] = element
            for variable in self.variables:
                names[variable.label] = variable(element, environment)
            yield element
        names[INDEX] = outer

    def refused_by(self, element: Any, environment: Environment) -> str | None:
        """The name of the first condition that does not hold."""
        return next((rule.label for rule in self.conditions if is_false(rule(element, environment))), None)


def filled(fields: tuple[Field, ...], value: Any, environment: Environment) -> dict[str, Any]:
    """The object that the fields make of an element. Raises EvaluationError."""
    record: dict[str, Any] = {}
    rule = None
    try:
        for field in fields:
            rule = field.rule
            found = rule.evaluate(value, environment)
            if found is None:
                if field.sends_null:
                    record[field.name] = None
                elif field.required:
                    raise EvaluationError("null, and the field is required", Reason.MISSING_FIELD)
            elif field.nested or type(found) in SCALARS:
                record[field.name] = found
            elif field.names and type(found) is dict:
                entries = {name: item for name, item in found.items() if item is not None}
                record[field.name] = copied(entries, environment)
            else:
                record[field.name] = copied(found, environment)
    except EvaluationError as error:
        if rule is not None:
            placed(error, rule, value)
        raise
    return record


def one_object(fields: tuple[Field, ...]) -> Evaluate:
    """A nested object; null when none of its fields has a value."""
    return lambda value, environment: filled(fields, value, environment) or None


def many_objects(blocks: tuple[Block, ...]) -> Evaluate:
    """A list of nested objects: what the blocks make, one block after the other."""

    def make(value: Any, environment: Environment) -> list[dict[str, Any]]:
        return [
            filled(block.fields, element, environment)
            for block in blocks
            for element in block.elements(value, environment)
        ]

    return make


def element_checked(each: Evaluate) -> Evaluate:
    """`each` gives elements that are objects; a text or number is none."""

    def check(value: Any, environment: Environment) -> Any:
        found = each(value, environment)
        if type(found) in SCALARS and found is not None:
            raise EvaluationError(f"expected an array or object, found {brief(found)}")
        return found

    return check
