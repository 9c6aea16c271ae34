"""Unpack zlib and gzip data within a limit, because a few bytes can claim any size."""

import zlib


class CannotInflate(Exception):
    """Data that is damaged, cut off, or longer than the limit once it is unpacked. The message says which."""


def inflate(packed: bytes, window: int, most: int) -> bytes:
    """The unpacked bytes of `packed`, whose parts (as gzip may have) are joined; at most `most` bytes.

    `window` is that of `zlib.decompressobj`. Raises CannotInflate.

    >>> inflate(zlib.compress(b"one") + zlib.compress(b"two"), zlib.MAX_WBITS, most=6)
    b'onetwo'
    """
    name = "gzip" if window > zlib.MAX_WBITS else "zlib"
    plain = bytearray()
    while packed:
        unpacker = zlib.decompressobj(window)
        try:
            plain += unpacker.decompress(packed, most + 1 - len(plain))
        except zlib.error as error:
            raise CannotInflate(f"damaged {name} data: {error}") from None
        if len(plain) > most:
            raise CannotInflate(f"it unpacks to more than {most >> 20} MiB")
        if not unpacker.eof:
            raise CannotInflate(f"the {name} data is cut off")
        packed = unpacker.unused_data
    return bytes(plain)
