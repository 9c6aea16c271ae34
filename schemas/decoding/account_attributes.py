"""The attributes that a Talon.One account defines, and what happens to those of records that it lacks."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ENTITIES = ("CustomerProfile", "CustomerSession", "CartItem", "Event")
"""The entities of the API whose attributes records have. Source: operation getAttributes, field `entity`."""

_ENTITY_OF = {"profiles": "CustomerProfile", "orders": "CustomerSession", "events": "Event"}


@dataclass(frozen=True)
class AccountAttributes:
    """The names of an account's attributes, by entity. With `drop`, others are left out of records. `path` is the
    file that lists them, as it was typed."""

    names: Mapping[str, frozenset[str]]
    drop: bool = False
    path: str = field(default="", compare=False)

    @property
    def fingerprint(self) -> str:
        """Tells this list from one with other names."""
        listed = sorted(f"{entity}.{name}" for entity, names in self.names.items() for name in names)
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()[:16]

    def lacking(self, kind: str, record: Any) -> Iterator[tuple[str, str, str]]:
        """(JSON pointer, entity, name) of each attribute of a valid record of `kind` that the account lacks."""
        entity = _ENTITY_OF.get(kind)
        if entity is None:
            return
        for name in self._beyond(entity, record.attributes):
            yield "/attributes", entity, name
        for place, item in enumerate((record.items if kind == "orders" else None) or ()):
            for name in self._beyond("CartItem", item.attributes):
                yield f"/items/{place}/attributes", "CartItem", name

    def without_lacking(self, kind: str, record: Any) -> Any:
        """The record of `kind` without the attributes that the account lacks."""
        import msgspec  # not at import time: the help of a command imports this module

        entity = _ENTITY_OF[kind]
        changes: dict[str, Any] = {"attributes": self._within(entity, record.attributes)}
        if kind == "orders" and record.items is not None:
            changes["items"] = [
                msgspec.structs.replace(item, attributes=self._within("CartItem", item.attributes))
                for item in record.items
            ]
        return msgspec.structs.replace(record, **changes)

    def _beyond(self, entity: str, attributes: dict[str, Any] | None) -> list[str]:
        return [name for name in attributes or () if name not in self.names[entity]]

    def _within(self, entity: str, attributes: dict[str, Any] | None) -> dict[str, Any] | None:
        if attributes is None:
            return None
        return {name: value for name, value in attributes.items() if name in self.names[entity]} or None
