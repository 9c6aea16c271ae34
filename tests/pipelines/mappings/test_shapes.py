"""Documents of each preset are recognized, and records of our own shape are not."""

import pytest
from support.presets import (
    bigcommerce,
    bigquery,
    commercetools,
    magento,
    segment,
    shopify,
    shopify_csv,
    woocommerce,
)

from beam_talonone.pipelines.mappings.shapes import SHAPES, likely_shape
from beam_talonone.transforms.mapping.resolve import presets

SAMPLES = {
    "shopify": [shopify.order()],
    "shopify-csv": [shopify_csv.order()[0]],
    "woocommerce": [woocommerce.order()],
    "bigcommerce": [bigcommerce.order()],
    "magento": [magento.order()],
    "commercetools": [commercetools.order(), commercetools.message("OrderCreated", order=commercetools.order())],
    "segment": [segment.order(), segment.identify(), segment.track("Product Viewed")],
    "bigquery": [bigquery.in_json(row) for row in bigquery.ROWS.values()],
}
RECORDS = [
    {"order_id": "o", "customer_id": "c", "status": "open", "event_time": "2026-05-01T12:00:00Z", "items": []},
    {"order_id": "o", "line_items": [], "event_time": "2026-05-01 12:00:00"},
    {"event_id": "e", "type": "t", "customer_id": "c", "event_time": "2026-05-01T12:00:00Z"},
]


def test_every_preset_has_a_shape_and_a_sample():
    assert {shape.preset for shape in SHAPES} == set(presets()) == set(SAMPLES)


@pytest.mark.parametrize(("preset", "number"), [(name, n) for name in SAMPLES for n in range(len(SAMPLES[name]))])
def test_a_sample_is_recognized_as_that_of_its_preset(preset, number):
    shape = likely_shape([SAMPLES[preset][number]])
    assert shape is not None
    assert shape.preset == preset


@pytest.mark.parametrize("document", [*RECORDS, None, [], "text", 7, {"resource": "x"}])
def test_other_documents_are_not_recognized(document):
    assert likely_shape([document]) is None


def test_more_than_half_of_the_documents_decide():
    assert likely_shape([shopify.order(), shopify.order(), RECORDS[0]]).preset == "shopify"
    assert likely_shape([shopify.order(), RECORDS[0]]) is None
    assert likely_shape([]) is None
