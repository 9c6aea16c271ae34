"""Unpack zlib and gzip data within a limit, because a few bytes can claim any size."""

import zlib


class TooLong(Exception):
    """The unpacked data is longer than the limit."""


def inflate(packed: bytes, window: int, most: int) -> bytes:
    """The unpacked bytes of `packed`, whose parts (as gzip may have) are joined; at most `most` bytes.

    `window` is that of `zlib.decompressobj`. Raises zlib.error for damaged data, EOFError for data that ends too
    early, and TooLong.

    >>> inflate(zlib.compress(b"one") + zlib.compress(b"two"), zlib.MAX_WBITS, most=6)
    b'onetwo'
    """
    plain = bytearray()
    while packed:
        unpacker = zlib.decompressobj(window)
        plain += unpacker.decompress(packed, most + 1 - len(plain))
        if len(plain) > most:
            raise TooLong
        if not unpacker.eof:
            raise EOFError
        packed = unpacker.unused_data
    return bytes(plain)
