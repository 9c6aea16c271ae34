"""What a mapping says about its files: how rows are read, and which rows make one document."""

from dataclasses import dataclass, field

from beam_talonone.transforms.formats.dialect import Dialect

JOINED = "joined"
"""The format of a row of a join that no document has."""

ROWS = "rows"
"""The field of a grouped document that holds its rows."""


@dataclass(frozen=True)
class Join:
    """Rows of other files that belong to a document: those whose column `key` has the document's value of `on`."""

    name: str
    """The field of the document that holds the rows, and the NAME of `--join NAME=GLOB`."""
    on: str
    key: str


@dataclass(frozen=True)
class Table:
    """The block `table` of a mapping file. Without one, each row is a document."""

    dialect: Dialect = field(default_factory=Dialect)
    group_by: tuple[str, ...] = ()
    """The columns whose values the rows of one document share. Empty: each row is a document."""
    fill_down: tuple[str, ...] | None = ()
    """The columns in which an empty cell has the value of the row above. None: all columns."""
    joins: tuple[Join, ...] = ()

    @property
    def makes_documents_of_rows(self) -> bool:
        """Whether a document needs more than one row, so that all files are read before the first is mapped."""
        return bool(self.group_by or self.joins or self.fill_down is None or self.fill_down)


PLAIN = Table()
"""Each row is a document, in RFC 4180 and UTF-8."""
