"""The values of a sample by their paths, and the path that a field of a record probably has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from beam_talonone.pipelines.mappings.notation import Path
from beam_talonone.pipelines.mappings.synonyms import plain


@dataclass(frozen=True)
class Columns:
    """The values of the documents by path, such as `("customer", "email")`."""

    values: dict[Path, list[Any]]

    def find(self, names: tuple[str, ...], taken: set[Path]) -> Path | None:
        """The path that has the likeliest of these names, such as `customer.email`; None without one."""
        paths = {path: _forms(path) for path in self.values if path not in taken}
        for name in names:
            steps = _steps(name)
            for path, forms in paths.items():
                if steps in forms:
                    return path
        return None

    def first(self, taken: set[Path], is_wanted: Callable[[Path, list[Any]], bool]) -> Path | None:
        """The first path of which `is_wanted` is true for the path and its values without null; None without one."""
        for path, values in self.values.items():
            filled = [value for value in values if value is not None]
            if path not in taken and filled and is_wanted(path, filled):
                return path
        return None

    def has_row_without(self, paths: list[Path]) -> bool:
        """Whether some row of a table has null at all of these paths; False without paths."""
        return bool(paths) and any(
            all(value is None for value in row) for row in zip(*(self.values[path] for path in paths), strict=False)
        )


def columns_of(objects: list[Any]) -> Columns:
    """The scalar values of the objects by path, also of objects within objects, but not within lists."""
    values: dict[Path, list[Any]] = {}

    def walk(value: dict[str, Any], before: Path) -> None:
        for name, inner in value.items():
            path = (*before, name)
            if isinstance(inner, dict) and len(path) < 4:
                walk(inner, path)
            elif not isinstance(inner, dict | list):
                values.setdefault(path, []).append(inner)

    for document in objects:
        walk(document, ())
    return Columns(values)


def _forms(path: Path) -> tuple[Path, ...]:
    """The path for a comparison. The dots of a single name may be steps, or signs as in `Best.-Nr.`."""
    steps = _steps(".".join(path))
    return (steps, (plain(path[0]),)) if len(path) == 1 else (steps,)


def _steps(name: str) -> Path:
    """A name of another system for a comparison: without case and signs, but for its dots."""
    return tuple(map(plain, name.split(".")))
