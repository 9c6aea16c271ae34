"""Running counts of the messages of a stream, by how they ended."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from beam_talonone.talonone.requests.outcome import DONE, End, Outcome

MOST_NAMES = 200
FILE_COUNTS = ("read", "finished", "duplicate", "filtered", "dead_lettered", "given_back")
"""The counts of files, in the order of the summary."""

NAMES_SHOWN, NAME_SHOWN = 20, 100
"""Names in a line, and characters of one."""


@dataclass
class StreamCounters:
    """Per kind: messages `read`, and how they ended.

    One thread writes the counts. Any thread writes those of unknown fields. Others read copies for display, as a kind
    or an end may be added meanwhile.
    """

    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    unknown: Counter[str] = field(default_factory=Counter)
    """Per kind: fields that no record has, and that were left out."""
    unknown_names: dict[str, Counter[str]] = field(default_factory=dict)
    """Per kind: the commonest names of these, with in how many records they stood."""
    unknown_api: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(operation, name) of what was sent although the operation table does not have it."""
    dead: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(kind, reason) of dead letters."""
    files: Counter[str] = field(default_factory=Counter)
    """Files of a bucket and their notifications, by FILE_COUNTS."""
    files_filtered: Counter[str] = field(default_factory=Counter)
    """Rule -> notifications that it filtered."""
    ended_at: float = 0.0
    """Monotonic seconds of the last end, 0.0 before the first."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, kind: str) -> None:
        """Count a message that was read."""
        self._of(kind)["read"] += 1

    def ended(self, kind: str, outcome: Outcome) -> None:
        """Count a message that was acknowledged, under the end of its record."""
        self._of(kind)["applied" if outcome.end in DONE else outcome.end.value] += 1
        if outcome.end is End.DEAD:
            self.dead[kind, outcome.reason or ""] += 1

    def left_out(self, kind: str, fields: int, names: Iterable[str]) -> None:
        """A record had so many fields that are not known, with these names.

        When there are too many names the rarest half is forgotten, so a topic where each record has names of its own
        hides no common one. A name that was forgotten is counted from 0 again.
        """
        with self._lock:
            self.unknown[kind] += fields
            counts = self.unknown_names.setdefault(kind, Counter())
            counts.update({name[:NAME_SHOWN] for name in names})
            if len(counts) > MOST_NAMES:
                self.unknown_names[kind] = Counter(dict(counts.most_common(MOST_NAMES // 2)))

    def sent_unknown(self, operation: str, names: Iterable[str]) -> None:
        """Names in a call that the operation table does not have. Of too many different ones the rest is `other`."""
        with self._lock:
            for name in names:
                known = (operation, name) in self.unknown_api or len(self.unknown_api) < MOST_NAMES
                self.unknown_api[operation, name if known else "other"] += 1

    def file_filtered(self, rule: str) -> None:
        """Count a notification that the rule `rule` filtered. Of too many different rules the rest is `other`."""
        self.files["filtered"] += 1
        known = rule in self.files_filtered or len(self.files_filtered) < MOST_NAMES
        self.files_filtered[rule[:NAME_SHOWN] if known else "other"] += 1

    def given_back(self, kind: str) -> None:
        """Count a message that Pub/Sub delivers again."""
        self._of(kind)["given_back"] += 1

    def total(self, name: str) -> int:
        """Return the sum over all kinds of the counter `name`, such as `read` or `applied`."""
        return sum(counts[name] for counts in list(self.kinds.values()))

    @property
    def unaccounted(self) -> int:
        """Messages read that have not ended: what is held."""
        return sum(2 * counts["read"] - counts.total() for counts in list(self.kinds.values()))

    def lines(self) -> list[str]:
        """For the person at the terminal: a line a kind."""
        lines = [
            f"{kind}: {', '.join(f'{name} {count}' for name, count in list(counts.items()))}"
            for kind, counts in sorted(self.kinds.items())
        ]
        if self.files:
            rules = ", ".join(f"{rule} {count}" for rule, count in sorted(self.files_filtered.copy().items()))
            counts = ", ".join(f"{name} {self.files[name]}" for name in FILE_COUNTS if self.files[name])
            lines.append(f"files: {counts}{f' ({rules})' if rules else ''}")
        for kind, names in sorted(self.unknown_names.copy().items()):
            lines.append(f"{kind}: fields that are not known were ignored: {_commonest(names)}")
        sent: dict[str, Counter[str]] = {}
        for (operation, name), count in self.unknown_api.copy().items():
            sent.setdefault(operation, Counter())[name] = count
        for operation, names in sorted(sent.items()):
            lines.append(f"{operation}: sent although not known: {_commonest(names)}")
        return lines

    def _of(self, kind: str) -> Counter[str]:
        if kind not in self.kinds:
            self.kinds[kind] = Counter()
        return self.kinds[kind]


def _commonest(names: Counter[str]) -> str:
    """For a line of text: the commonest names, each with its count."""
    return ", ".join(f"{name} in {count:,}" for name, count in names.copy().most_common(NAMES_SHOWN))
