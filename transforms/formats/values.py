"""Values of typed formats (Avro, Parquet) as plain Python ones."""

import math
import struct
from contextlib import suppress
from decimal import Decimal
from typing import Any

from beam_talonone.schemas import jsonio
from beam_talonone.transforms.formats.errors import BadRow


def fields_of(kind: str, record: Any) -> dict[str, Any]:
    """A record of a typed file as the record layer takes it. Raises BadRow for text that is not UTF-8.

    None means absent and is left out, but not an order's own `customer_id` (a guest), nor in lists. Decimals lose
    trailing zeros. The `body` of a call is JSON in a string and is parsed; text that is not JSON is left as it is.
    """
    if not isinstance(record, dict):
        raise BadRow("not a record: the file's schema is not one")
    fields: dict[str, Any] = tidy(record)
    if kind == "orders" and "customer_id" in record:
        fields.setdefault("customer_id", None)
    if kind == "calls" and isinstance(fields.get("body"), str):
        with suppress(ValueError):
            fields["body"] = jsonio.loads(fields["body"])
    return fields


def tidy(value: Any) -> Any:
    """`value` without the Nones of its dicts and with plain decimals. Raises BadRow for text that is not UTF-8."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _utf8(value)
    if kind is dict:
        return {tidy(name): tidy(item) for name, item in value.items() if item is not None}
    if kind is list:
        return [tidy(item) for item in value]
    if kind is Decimal:
        return plain_decimal(value)
    return value


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadRow("text that is not UTF-8") from None
    return text


def plain_decimal(value: Decimal) -> Decimal:
    """`value` without trailing zeros and never in exponent form: 19.990000000 -> 19.99, 100.00 -> 100."""
    # Not normalize(): that rounds to the context's precision, and turns 100 into 1E+2.
    text = format(value, "f")
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def float_of_single(value: float) -> float:
    """The float with the fewest digits that a 32-bit float stands for: 19.99, not 19.989999771118164."""
    if not math.isfinite(value):
        return value
    exact = struct.pack("f", value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        # Rounding up at the very top of the range would not fit.
        if abs(short) < 3.4e38 and struct.pack("f", short) == exact:
            return short
    return float(f"{value:.9g}")
