"""The kind of a message: its attribute, exactly, or what to do."""

import pytest

from beam_talonone.schemas.decoding.parse import InvalidRecord
from beam_talonone.schemas.records import MODELS
from beam_talonone.transforms.messages.message_kind import message_kind


@pytest.mark.parametrize("kind", MODELS)
def test_each_kind_has_the_name_of_its_option(kind):
    assert message_kind({"kind": kind, "other": "x"}) == kind


def detail(attributes):
    with pytest.raises(InvalidRecord) as raised:
        message_kind(attributes)
    return raised.value.reason, raised.value.detail


def test_a_missing_attribute_is_named_with_what_to_do():
    reason, text = detail({"Kind": "orders", "ce-type": "order"})
    assert reason == "missing_field"
    assert "has no attribute `kind`" in text
    assert "orders, returns, profiles, events or calls" in text
    assert "To replay this record, set `kind` of the dead letter" in text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("order", "'order' (did you mean orders?)"),
        ("Returns", "'Returns' (did you mean returns?)"),
        ("profiels", "'profiels' (did you mean profiles?)"),
        ("order.paid", "is 'order.paid': publish it with"),
        ("", "is '': publish it with"),
        ("x" * 1000, "is '" + "x" * 60 + "': publish it with"),
    ],
)
def test_another_value_is_shown(value, says):
    reason, text = detail({"kind": value})
    assert reason == "invalid_field"
    assert says in text
