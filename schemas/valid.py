"""Valid records: what validation makes of the input, and the form in which requests are built from it.

Each struct has the fields of its model in records.py, which describes them. `usual_record` makes it of nearly every
record, in a fourth of the time of the model. Other records go through the model, which knows all rules and explains
what is wrong.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Struct

from beam_talonone.schemas import jsonio
from beam_talonone.schemas.body import MAX_IDENTIFIERS, check_cart
from beam_talonone.schemas.content import EventContent, ReturnContent, SessionContent
from beam_talonone.schemas.decoding.settings import Reading
from beam_talonone.schemas.records import Call, Record, check_audiences, check_returned
from beam_talonone.schemas.types import CODE_MAX, ID_MAX, as_amount, parse_instant

_Digits = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

if TYPE_CHECKING:  # what the fields are after __post_init__
    Id = str
    Sku = str
    Amount = Decimal
    Instant = datetime
else:  # what msgspec takes for them
    Id = Annotated[str, Meta(min_length=1, max_length=ID_MAX)] | _Digits
    Sku = Annotated[str, Meta(min_length=1)] | _Digits
    Amount = Any
    Instant = Any  # what usual_record and usual_line have parsed: msgspec reads times by other rules

Version = _Digits
Count = Annotated[int, Meta(ge=1)]
Position = Annotated[int, Meta(ge=0)]
Code = Annotated[str, Meta(max_length=CODE_MAX)]
Attributes = dict[str, Any]
Costs = dict[str, Amount | None]

_REMEMBERED = 40
"""Characters of an amount that is remembered. A longer one is no price."""

_remembered = lru_cache(maxsize=16_384, typed=True)(as_amount)
"""The same few thousand prices come again and again."""


def _amount(value: Any) -> Decimal:
    """The amount in a number or decimal text. Raises PydanticCustomError."""
    text = str(value) if type(value) is Decimal else value  # equal decimals may differ in their number of digits
    return as_amount(value) if type(text) is str and len(text) > _REMEMBERED else _remembered(text)


class ValidProduct(Struct, forbid_unknown_fields=True, gc=False):
    """The product that an item is a variant of."""

    name: str


class ValidItem(Struct, forbid_unknown_fields=True, gc=False):
    """One line of an order's cart."""

    sku: Sku
    quantity: Count
    unit_price: Amount | None = None
    name: str | None = None
    category: str | None = None
    product: ValidProduct | None = None
    weight: Amount | None = None
    height: Amount | None = None
    width: Amount | None = None
    length: Amount | None = None
    attributes: Attributes | None = None
    additional_costs: Costs | None = None

    def __post_init__(self) -> None:
        """Make the sku a text, and each amount a decimal. Raises ValueError or TypeError for what is no amount."""
        self.sku = _text(self.sku)
        if self.unit_price is not None:
            self.unit_price = _amount(self.unit_price)
        if not (self.weight is self.height is self.width is self.length is None):  # as nearly always
            sizes = (self.weight, self.height, self.width, self.length)
            self.weight, self.height, self.width, self.length = map(_amount_or_none, sizes)
        if self.additional_costs is not None:
            self.additional_costs = _costs(self.additional_costs)


class ValidAllocation(Struct, forbid_unknown_fields=True, gc=False):
    """The variant of an experiment that an order was assigned to."""

    experiment_id: int
    variant_id: int


class ValidOrder(Struct, forbid_unknown_fields=True, gc=False):
    """A whole snapshot of an order."""

    event_time: Instant
    order_id: Id
    customer_id: Id | None
    status: Literal["open", "completed", "cancelled"]
    version: Version = 0
    store_id: Id | None = None
    items: list[ValidItem] | None = None
    coupon_codes: list[Code] | None = None
    referral_code: Code | None = None
    loyalty_card: Id | None = None
    additional_costs: Costs | None = None
    identifiers: Annotated[list[str], Meta(max_length=MAX_IDENTIFIERS)] | None = None
    attributes: Attributes | None = None
    experiment_variant_allocations: list[ValidAllocation] | None = None
    evaluable_campaign_ids: list[int] | None = None
    response_content: list[SessionContent] | None = None

    def __post_init__(self) -> None:
        """Make ids texts and costs decimals. Raises ValueError or TypeError for a cart or an amount that the model
        refuses."""
        self.order_id = _text(self.order_id)
        self.customer_id = _text(self.customer_id)
        self.store_id = _text(self.store_id)
        self.loyalty_card = _text(self.loyalty_card)
        if self.additional_costs is not None:
            self.additional_costs = _costs(self.additional_costs)
        if self.items is not None:
            check_cart([item.quantity for item in self.items])
        elif self.status == "completed":
            raise ValueError("a completed order without items")


class ValidReturnItem(Struct, forbid_unknown_fields=True, gc=False):
    """How many units of one cart item were returned."""

    quantity: Count
    sku: Sku | None = None
    position: Position | None = None

    def __post_init__(self) -> None:
        """Make the sku a text. Raises ValueError unless there is either a sku or a position."""
        self.sku = _text(self.sku)
        check_returned(self.sku, self.position)


class ValidReturn(Struct, forbid_unknown_fields=True, gc=False):
    """The return of items of an order."""

    event_time: Instant
    return_id: Id
    order_id: Id
    items: Annotated[list[ValidReturnItem], Meta(min_length=1)]
    customer_id: Id | None = None
    run_rule_engine: bool | None = None
    response_content: list[ReturnContent] | None = None

    def __post_init__(self) -> None:
        """Make ids texts."""
        self.return_id = _text(self.return_id)
        self.order_id = _text(self.order_id)
        self.customer_id = _text(self.customer_id)


class ValidAudiences(Struct, forbid_unknown_fields=True, gc=False):
    """Numbers of the audiences to which a customer is added, and from which they are removed."""

    add: list[int] | None = None
    remove: list[int] | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for more audiences than one request takes, and for one that is added and removed."""
        check_audiences(self.add, self.remove)


class ValidProfile(Struct, forbid_unknown_fields=True, gc=False):
    """A change of a customer's profile."""

    event_time: Instant
    customer_id: Id
    version: Version = 0
    attributes: Attributes | None = None
    audiences: ValidAudiences | None = None
    erase: bool = False

    def __post_init__(self) -> None:
        """Make the id a text."""
        self.customer_id = _text(self.customer_id)


class ValidEvent(Struct, forbid_unknown_fields=True, gc=False):
    """Something a customer did."""

    event_time: Instant
    event_id: Id
    type: Annotated[str, Meta(min_length=1)]
    customer_id: Id
    attributes: Attributes | None = None
    loyalty_card: Id | None = None
    store_id: Id | None = None
    connected_session_id: Id | None = None
    evaluable_campaign_ids: list[int] | None = None
    response_content: list[EventContent] | None = None

    def __post_init__(self) -> None:
        """Make ids texts."""
        self.event_id = _text(self.event_id)
        self.customer_id = _text(self.customer_id)
        self.loyalty_card = _text(self.loyalty_card)
        self.store_id = _text(self.store_id)
        self.connected_session_id = _text(self.connected_session_id)


ValidRecord = ValidOrder | ValidReturn | ValidProfile | ValidEvent | Call
"""A call stays a model: its operation checks it further."""

VALID: dict[str, type[Any]] = {
    "orders": ValidOrder,
    "returns": ValidReturn,
    "profiles": ValidProfile,
    "events": ValidEvent,
}
"""Kind -> struct."""


def usual_record(kind: str, fields: Mapping[str, Any], reading: Reading) -> ValidRecord | None:
    """The record of `kind` in `fields`, as its model makes it; None if only the model can tell.

    So it is for unknown fields, invalid records, rare forms such as the integer 3.00, and calls.
    """
    struct = VALID.get(kind)
    if struct is None:
        return None
    try:
        moment = parse_instant(fields.get("event_time"), reading.assume_timezone, reading.ambiguous_time)
        record: ValidRecord = msgspec.convert({**fields, "event_time": moment}, struct)
        msgspec.msgpack.encode(fields)  # refuses text that UTF-8 cannot carry, such as lone surrogates
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None
    return record


def usual_line(kind: str, line: bytes, reading: Reading) -> ValidRecord | None:
    """As `usual_record`, of a record as a line of JSON, in half the time; None also for what is no such record."""
    decoder = _LINES.get(kind)
    if decoder is None or jsonio.may_be_deep(line):
        return None
    try:
        record: Any = decoder.decode(line)
        record.event_time = parse_instant(record.event_time, reading.assume_timezone, reading.ambiguous_time)
    except (ValueError, TypeError, ArithmeticError, RecursionError, msgspec.MsgspecError):
        return None
    return cast(ValidRecord, record)


_LINES = {kind: msgspec.json.Decoder(struct, float_hook=Decimal) for kind, struct in VALID.items()}


def of_model(kind: str, model: Record) -> ValidRecord:
    """The valid record in the model of its kind."""
    struct = VALID.get(kind)
    if struct is None:
        return cast(Call, model)
    record: ValidRecord = msgspec.convert(model, struct, from_attributes=True)
    return record


def _text(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _amount_or_none(value: Any) -> Decimal | None:
    return None if value is None else _amount(value)


def _costs(costs: Mapping[str, Any]) -> dict[str, Decimal | None]:
    return {name: _amount_or_none(value) for name, value in costs.items()}
