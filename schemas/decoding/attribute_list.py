"""The list of the attributes of an account, as somebody has exported it."""

from collections.abc import Iterator

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.account_attributes import ENTITIES, AccountAttributes


class NotAttributes(ValueError):
    """Text that is no list of attributes. The message says why."""


def parse_attributes(text: str, *, drop: bool = False) -> AccountAttributes:
    """The attributes in a list: the JSON that the operation getAttributes answers, or a line `Entity.name` each.

    Raises NotAttributes.

    >>> sorted(parse_attributes('{"data": [{"entity": "CartItem", "name": "color"}]}').names["CartItem"])
    ['color']
    """
    pairs = list(_of_json(text) if text.lstrip()[:1] in ("{", "[") else _of_lines(text))
    if not pairs:
        raise NotAttributes("it lists no attribute")
    names = {entity: frozenset(name for owner, name in pairs if owner == entity) for entity in ENTITIES}
    return AccountAttributes(names, drop)


def _of_json(text: str) -> Iterator[tuple[str, str]]:
    try:
        value = jsonio.loads(text)
    except ValueError as error:
        raise NotAttributes(f"not JSON: {error}") from None
    if isinstance(value, dict) and value.get("hasMore") is True:
        raise NotAttributes("it is one page of several (`hasMore`): join the `data` of all pages into one array")
    entries = value.get("data") if isinstance(value, dict) else value
    if not isinstance(entries, list):
        raise NotAttributes("expected an array of attributes, or an object with one in `data`")
    for number, entry in enumerate(entries, 1):
        entity, name = (entry.get("entity"), entry.get("name")) if isinstance(entry, dict) else (None, None)
        if not isinstance(entity, str) or not isinstance(name, str):
            raise NotAttributes(f"entry {number}: expected an object with `entity` and `name`")
        yield entity, name


def _of_lines(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        entity, dot, name = line.strip().partition(".")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not dot or not name or entity not in ENTITIES:
            raise NotAttributes(f"line {number}: expected Entity.name, with one of {', '.join(ENTITIES)}")
        yield entity, name
