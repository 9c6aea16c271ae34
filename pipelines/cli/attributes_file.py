"""The file that --attributes names."""

from dataclasses import replace

from beam_talonone.schemas.decoding.account_attributes import AccountAttributes
from beam_talonone.schemas.decoding.attribute_list import NotAttributes, parse_attributes
from beam_talonone.talonone.errors import ConfigurationError
from beam_talonone.transforms.sources.opening import in_words, open_file

MOST = 16 << 20
"""Bytes of such a file."""


def read_attributes(path: str, *, drop: bool = False) -> AccountAttributes:
    """The attributes listed at `path`, local or gs://. Raises ConfigurationError if the list is not usable."""
    try:
        with open_file(path, "json") as (handle, _):
            data = handle.read(MOST + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"--attributes {path} is not UTF-8 text: byte {error.start + 1}") from None
    except Exception as error:  # each file system raises its own
        raise ConfigurationError(f"--attributes {path} cannot be read: {in_words(error)}") from None
    if len(data) > MOST:
        raise ConfigurationError(f"--attributes {path} is larger than {MOST >> 20} MiB")
    try:
        return replace(parse_attributes(text, drop=drop), path=path)
    except NotAttributes as error:
        raise ConfigurationError(f"--attributes {path}: {error}") from None
