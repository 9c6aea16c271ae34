"""The errors of mappings: of a mapping file, and of an expression on one document."""

from typing import Any

from beam_talonone.schemas.reasons import Reason

NOWHERE: Any = object()
"""The context of an error that no node of an expression has claimed yet."""


class MappingFileError(ValueError):
    """A mapping that cannot be used. The text begins with the file and, where there is one, the line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


class ExpressionError(ValueError):
    """An expression that cannot be compiled; `column` is 1-based, None where no single place is wrong."""

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message if column is None else f"{message} (column {column})")


class EvaluationError(Exception):
    """An expression that failed on a document.

    `context` is the part of the document that the failing function saw, and `path` leads from there to the value.
    `line` and `target` say which rule of the file it is. They are filled in on the way out.
    """

    def __init__(self, detail: str, reason: Reason = Reason.MAPPING_FAILED) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.context: Any = NOWHERE
        self.path: tuple[str | int, ...] = ()
        self.line: int | None = None
        self.target = ""
