"""Near misses: names that differ from a known name by case, separators, a plural, or one letter."""

from collections.abc import Collection, Iterable

LONGEST = 80
"""Characters. A longer name is never a near miss."""

TYPO_FROM = 5
"""Characters. A name that differs by one letter is a typing error if the known name is at least this long."""


def near_name(name: str, known: Iterable[str], present: Collection[str] = ()) -> str | None:
    """The name in `known` of which `name` is a near miss, or None.

    A name that differs by one letter is no near miss if the known name is `present` as well.
    """
    if len(name) > LONGEST:
        return None
    spelt = normalised(name)
    for other in known:
        if other != name and (singular(spelt) == singular(normalised(other))):
            return other
        if other not in present and len(other) >= TYPO_FROM and one_typo(spelt, normalised(other)):
            return other
    return None


def normalised(name: str) -> str:
    """`name` in lower case, without any character that is not alphanumeric."""
    return "".join(filter(str.isalnum, name)).lower()


def singular(name: str) -> str:
    """A normalised name without its plural ending."""
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith(("ses", "xes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def one_typo(name: str, known: str) -> bool:
    """Whether the names differ by one letter: left out, added, replaced, or swapped with its neighbour."""
    if name == known or abs(len(name) - len(known)) > 1:
        return False
    same = next(
        (at for at, (a, b) in enumerate(zip(name, known, strict=False)) if a != b), min(len(name), len(known))
    )
    left, right = name[same:], known[same:]
    if len(left) == len(right):
        return left[1:] == right[1:] or (left[:2] == right[1::-1] and left[2:] == right[2:])
    return left[1:] == right if len(left) > len(right) else left == right[1:]
