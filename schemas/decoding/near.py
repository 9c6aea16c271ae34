"""Whether a name is likely a known one misspelt: by case, separators, a plural, or one letter."""

from collections.abc import Collection, Iterable

LONGEST = 80
"""Characters of a name that are looked at: a longer one resembles nothing."""

TYPO_FROM = 5
"""Characters of a known name from which on a name that differs by one letter counts as a typing error."""


def near_name(name: str, known: Iterable[str], given: Collection[str] = ()) -> str | None:
    """The one of the `known` names that `name` resembles, or None.

    A name that differs by one letter is not suspected where the known one is in `given` too.
    """
    if len(name) > LONGEST:
        return None
    spelt = normalised(name)
    for other in known:
        if other != name and (singular(spelt) == singular(normalised(other))):
            return other
        if other not in given and len(other) >= TYPO_FROM and one_typo(spelt, normalised(other)):
            return other
    return None


def normalised(name: str) -> str:
    """Letters and digits alone, in lower case."""
    return "".join(filter(str.isalnum, name)).lower()


def singular(name: str) -> str:
    """A normalised name without its plural ending."""
    if name.endswith("ies"):
        return name[:-3] + "y"
    if name.endswith(("ses", "xes")):
        return name[:-2]
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def one_typo(given: str, known: str) -> bool:
    """One letter left out, added, exchanged for another, or swapped with its neighbour."""
    if given == known or abs(len(given) - len(known)) > 1:
        return False
    same = next(
        (at for at, (a, b) in enumerate(zip(given, known, strict=False)) if a != b), min(len(given), len(known))
    )
    left, right = given[same:], known[same:]
    if len(left) == len(right):
        return left[1:] == right[1:] or (left[:2] == right[1::-1] and left[2:] == right[2:])
    return left[1:] == right if len(left) > len(right) else left == right[1:]
