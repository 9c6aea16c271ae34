"""Blocks of a mapping file (`each`, `when`, `fields`), and what each of their fields sets."""

import yaml
from pydantic import BaseModel

from beam_talonone.transforms.mapping.errors import MappingFileError
from beam_talonone.transforms.mapping.files.clauses import (
    Names,
    erases,
    expression,
    known_entries,
    new_name,
    spelt_out,
    value_of,
    variables_of,
)
from beam_talonone.transforms.mapping.files.nodes import Node, entries, items, line_of, literal
from beam_talonone.transforms.mapping.files.rules import (
    INDEX,
    Block,
    Expression,
    Field,
    element_checked,
    many_objects,
    one_object,
)
from beam_talonone.transforms.mapping.files.targets import Target, suggestion, targets

RULE = ("if", "each", "as", "when", "let", "fields")
"""The keys of a rule: what becomes records of one kind."""

NESTED = ("each", "as", "if", "let", "fields")
"""The keys of a list of objects within a record. Its elements are no records, so none of them is filtered."""


def block(node: Node, label: str, model: type[BaseModel], names: Names, known: tuple[str, ...] = RULE) -> Block:
    """A block whose `fields` make objects of `model`. Raises MappingFileError."""
    parts = dict(known_entries(node, label, known))
    if "fields" not in parts:
        raise MappingFileError(f"{label}: `fields` is missing", line_of(node))
    applies = expression(parts["if"], f"{label}.if", names) if "if" in parts else None
    each = _each(parts["each"], label, names) if "each" in parts else None
    names |= {INDEX}
    alias = None
    if "as" in parts:
        alias = new_name(str(literal(parts["as"])), names, line_of(parts["as"]))
        names |= {alias}
    variables = variables_of(parts["let"], f"{label}.let", names) if "let" in parts else ()
    names |= {rule.label for rule in variables}
    when = list(entries(parts["when"], f"{label}.when")) if "when" in parts else []
    conditions = tuple(expression(value, name, names) for name, _, value in when)
    return Block(applies, each, alias, conditions, variables, fields_of(parts["fields"], label, model, names))


def _each(node: Node, label: str, names: Names) -> Expression:
    each = expression(node, f"{label}.each", names)
    return Expression(element_checked(each.evaluate), each.label, each.line, each.path)


def fields_of(node: Node, label: str, model: type[BaseModel], names: Names) -> tuple[Field, ...]:
    """The fields of an object of `model`. Raises MappingFileError for unknown ones, and for required ones."""
    known = targets(model)
    found = []
    for name, key, value in entries(node, f"{label}.fields"):
        target = known.get(name)
        if target is None:
            near = suggestion(model, name) or f"; {label} has {', '.join(known)}"
            raise MappingFileError(f"{label}: unknown field `{name}`{near}", line_of(key))
        found.append(_field(value, f"{label}.{name}", target, names))
    missing = [name for name, target in known.items() if target.required and name not in {f.name for f in found}]
    if missing:
        raise MappingFileError(f"{label}: no rule for {', '.join(missing)}", line_of(node))
    return tuple(found)


def _field(node: Node, label: str, target: Target, names: Names) -> Field:
    is_object = isinstance(node, yaml.MappingNode) and spelt_out(node) is None
    if target.many and (is_object or isinstance(node, yaml.SequenceNode)) and target.model is not None:
        blocks = tuple(block(item, label, target.model, names, NESTED) for item in items(node))
        return _nested(target, Expression(many_objects(blocks), label, line_of(node)))
    if target.model is not None and is_object:
        fields = fields_of(node, label, target.model, names)
        return _nested(target, Expression(one_object(fields), label, line_of(node)))
    if target.names and is_object:
        return _nested(target, Expression(one_object(_named(node, label, names)), label, line_of(node)))
    rule = value_of(node, label, names)
    return Field(target.name, rule, nested=False, required=target.required and not target.nullable,
                 sends_null=target.nullable, names=target.names)  # fmt: skip


def _nested(target: Target, rule: Expression) -> Field:
    return Field(target.name, rule, nested=True, required=False, sends_null=False, names=False)


def _named(node: Node, label: str, names: Names) -> tuple[Field, ...]:
    """The entries of an object of any names, such as attributes."""
    return tuple(
        Field(name, value_of(value, f"{label}.{name}", names), nested=False, required=False,
              sends_null=erases(value, f"{label}.{name}"), names=False)
        for name, _, value in entries(node, label)
    )  # fmt: skip
