"""What can be wrong with an input before or while it is read."""

from typing import Any


class SourceError(ValueError):
    """An input that was asked for wrongly: a usage error. The message names it and says what to do."""


class NoSuchInput(SourceError):
    """A pattern that matches no file."""


class CannotList(SourceError):
    """A place whose files cannot be listed: an unknown scheme, no permission, no such bucket."""


class UnknownFormat(SourceError):
    """A file whose name does not tell its format."""


class WrongFormat(SourceError):
    """A format that cannot carry this kind of record."""


class CannotReadNow(Exception):
    """A file system that does not answer. Nothing is known to be wrong with the file: reading again may go well."""


class BadFile(ValueError):
    """A file that breaks off here. The message is the reason, in words, for the dead letter."""


class BadRow(ValueError):
    """A row that cannot be taken apart; the file goes on after it. The message is the reason.

    `fields` are what can be shown of it, packed for the wire, and `data` its own bytes, where they are known.
    """

    def __init__(self, why: str, fields: dict[str, Any] | None = None, data: bytes | None = None) -> None:
        super().__init__(why)
        self.fields = fields
        self.data = data
