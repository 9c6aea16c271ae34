"""The keys of rows: which document a row belongs to, also where cells are blank or a row cannot be read."""

from contextlib import suppress
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.decoding.raw import Raw
from beam_talonone.transforms.formats.csv import cells_of
from beam_talonone.transforms.formats.dialect import Dialect, typed
from beam_talonone.transforms.formats.errors import BadRow
from beam_talonone.transforms.tables.table import Table


class NoKey(ValueError):
    """A row whose document is not known. The message says why; `column` is False if its file has no such column."""

    def __init__(self, why: str, *, column: bool = True) -> None:
        super().__init__(why)
        self.column = column


class RowKeys:
    """The keys of the rows of one file, in their order. Blank cells are filled from the row above."""

    def __init__(self, columns: tuple[str, ...], table: Table) -> None:
        self._columns = columns
        self._fill_down = table.fill_down
        self._dialect = table.dialect
        self._above: dict[str, Any] = {}
        self._unknown: set[str] | None = set()
        """Columns whose cell above could not be read; None: all of them."""

    def of(self, row: dict[str, Any], raw: Raw) -> tuple[bytes, bool]:
        """The key of a row, whose blank cells are filled in place, and whether all that is filled is known.

        Raises NoKey.
        """
        filled = tuple({**self._above, **row}) if self._fill_down is None else self._fill_down
        lacking = [column for column in filled if row.get(column) is None and self._is_unknown(column)]
        for column in filled:
            if row.get(column) is not None:
                self._known(column, row)
            elif column in self._above and column not in lacking:
                row[column] = self._above[column]
        self._above = {**self._above, **row}
        if not self._columns:
            return f"{raw.file}:{raw.position}".encode("utf-8", "surrogateescape"), not lacking
        blank = next((column for column in self._columns if column in lacking), None)
        if blank is not None:
            raise NoKey(f"the column {blank!r} is blank, and the row above it cannot be read")
        return key_of(row, self._columns), not lacking

    def of_unreadable(self, raw: Raw) -> tuple[bytes | None, bool]:
        """The key of a row that cannot be read as a whole, None if it is not known, and whether the key is certain.

        It is certain if only cells of other columns are not of their types. In a row with a cell too many or too few,
        cells may stand in the wrong columns.
        """
        certain = raw.row is not None
        texts = raw.row if raw.row is not None else _texts(raw, self._dialect)
        cells: dict[str, Any] = {}
        for column, cell in texts.items():
            with suppress(BadRow):
                cells |= typed({column: cell}, self._dialect)
        try:
            key: bytes | None = self.of(cells, raw)[0] if certain else key_of(cells, self._columns)
        except NoKey:
            key = None
        if not certain:
            self._unknown = None
        elif self._unknown is not None:
            self._unknown |= texts.keys() - cells.keys()
        return (key if self._columns else None), certain and key is not None

    def _is_unknown(self, column: str) -> bool:
        return self._unknown is None or column in self._unknown

    def _known(self, column: str, row: dict[str, Any]) -> None:
        if self._unknown is None:  # all others stay unknown
            self._unknown = {*self._above, *row, *(self._fill_down or ())}
        self._unknown.discard(column)


def _texts(raw: Raw, dialect: Dialect) -> dict[str, str]:
    """The cells of a row with a cell too many or too few, as far as they can be parted."""
    if raw.header is None or raw.line is None or raw.cut:
        return {}
    try:
        return dict(zip(raw.header, cells_of(raw.line, dialect=dialect), strict=False))
    except BadRow:
        return {}


def key_of(row: dict[str, Any], columns: tuple[str, ...]) -> bytes:
    """The values of the columns as one key. Raises NoKey.

    >>> key_of({"id": 17, "sku": None}, ("id",))
    b'["17"]'
    """
    values = []
    for column in columns:
        if column not in row:
            raise NoKey(f"no column {column!r}: the columns are {', '.join(map(repr, row))[:300]}", column=False)
        value = row[column]
        if value is None or isinstance(value, dict | list):
            raise NoKey(
                f"no value in the column {column!r}, by which rows are grouped or joined; `fill_down` would take it"
                " from the row above"
            )
        values.append(str(value))
    return jsonio.dumps(values)
