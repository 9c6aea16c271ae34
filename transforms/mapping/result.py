"""What a mapping makes of one document: records, parts that a rule filters, or a failure."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.tables.table import Table

NO_RULE = "no rule"
"""The rule's name where no rule makes a record of a document."""


@dataclass(frozen=True, slots=True)
class MappedRecord:
    """A record as the decoder would have read it. `part` tells it from the document's others: `returns/0/1` is the
    second record (from 0) of the first rule for returns; it stays the same for the same document and mapping."""

    kind: str
    fields: dict[str, Any]
    part: str


@dataclass(frozen=True, slots=True)
class Filtered:
    """A record that would have been, and the name of the rule that does not want it."""

    kind: str
    rule: str
    part: str


@dataclass(frozen=True, slots=True)
class MappingFailure:
    """Why a document cannot be mapped: `line` in the mapping file, `pointer` into the document, where known.

    `ids` has, of each kind, the id of the first record that the document would have become, where that alone can be
    mapped.
    """

    reason: Reason
    detail: str
    line: int | None = None
    pointer: str | None = None
    ids: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MappingResult:
    """What one document becomes. With a `failure` it has no records: a document is mapped whole or not at all."""

    records: tuple[MappedRecord, ...] = ()
    filtered: tuple[Filtered, ...] = ()
    failure: MappingFailure | None = None


class Mapping(Protocol):
    """Turns documents into records. It can be pickled, and one instance serves many threads."""

    name: str
    """The value of `--mapping`: a preset, a file or a function."""
    table: Table
    """How files are read, and which rows make one document."""

    @property
    def fingerprint(self) -> str:
        """Identifies the mapping. A job can only be resumed with the same one."""

    def __call__(self, document: Any) -> MappingResult:
        """The records of a document, which is plain JSON with numbers as int or Decimal. Never raises."""
