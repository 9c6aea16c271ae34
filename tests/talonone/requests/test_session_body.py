"""The structs of a session's body: a cart item takes over the fields of an order's item by their place."""

from msgspec.structs import fields

from beam_talonone.schemas.valid import ValidItem
from beam_talonone.talonone.requests.session_body import CartItem


def test_a_cart_item_has_the_fields_of_an_item_in_their_order():
    names = [{"unit_price": "price"}.get(field.name, field.name) for field in fields(ValidItem)]
    assert [field.name for field in fields(CartItem)] == names
