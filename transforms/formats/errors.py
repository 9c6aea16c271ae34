"""The errors of an input, before and while it is read."""

from typing import Any


class SourceError(ValueError):
    """A usage error in the description of an input. The message names the input and the remedy."""


class NoSuchInput(SourceError):
    """A pattern that matches no file."""


class CannotList(SourceError):
    """A place whose files cannot be listed: an unknown scheme, no permission, no such bucket."""


class UnknownFormat(SourceError):
    """A file whose name does not show its format."""


class WrongFormat(SourceError):
    """A format that cannot hold this kind of record."""


class CannotReadNow(Exception):
    """The file system does not answer. The file may be fine, so reading may succeed later."""


class BadFile(ValueError):
    """The file is unreadable from here on. The message is the reason for the dead letter."""


class BadRow(ValueError):
    """An unreadable row in a readable file. The message is the reason.

    `fields` is the readable part, encoded for the protocol, and `data` the bytes of the row, if they are available.
    """

    def __init__(self, why: str, fields: dict[str, Any] | None = None, data: bytes | None = None) -> None:
        super().__init__(why)
        self.fields = fields
        self.data = data
