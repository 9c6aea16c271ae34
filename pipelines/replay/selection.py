"""Which dead letters a replay takes, and what it changes in their records."""

from dataclasses import dataclass
from typing import Any

from beam_talonone.pipelines.replay.changes import Change

CHANGES_NOTHING_AMBIGUOUS = "--set: the API may have acted on the record"
"""The rule that leaves out a record of ambiguous outcome: under its old key, the API repeats its first answer."""


@dataclass(frozen=True)
class ReplaySelection:
    """The reasons and kinds of dead letters that are taken, all if empty, and the changes of their records."""

    reasons: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    def refused_by(self, kind: Any, reason: Any) -> str | None:
        """The option that leaves out a dead letter of this kind and reason; None if it is taken."""
        if self.reasons and reason not in self.reasons:
            return f"--only {' '.join(self.reasons)}"
        if self.kinds and kind not in self.kinds:
            return f"--kind {' '.join(self.kinds)}"
        return None

    def changed(self, record: bytes, *, flat: bool) -> bytes:
        """The JSON of a record with all changes; see Change.apply. Raises InvalidRecord."""
        for change in self.changes:
            record = change.apply(record, flat=flat)
        return record

    def as_json(self) -> dict[str, Any]:
        """By the command line's names, without options that were not given."""
        options = {
            "--only": list(self.reasons),
            "--kind": list(self.kinds),
            "--set": [str(change) for change in self.changes],
        }
        return {name: values for name, values in options.items() if values}


ALL = ReplaySelection()
"""Every dead letter, unchanged."""
