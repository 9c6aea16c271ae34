"""Documents of each preset in which any value is replaced by any other: a mapping explains what stops it."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.presets import bigcommerce, bigquery, commercetools, magento, segment, shopify, shopify_csv, woocommerce
from support.presets.mapped import as_read

from beam_talonone.schemas.decoding.parse import InvalidRecord, parse
from beam_talonone.schemas.reasons import Reason
from beam_talonone.transforms.mapping.resolve import presets, resolve_mapping

ROWS = shopify_csv.order()

DOCUMENTS = {
    "bigcommerce": [bigcommerce.order(refunds=[bigcommerce.refund(91, (2, 1))]), bigcommerce.customer()],
    "bigquery": [bigquery.in_json(row) for row in bigquery.ROWS.values()],
    "commercetools": [
        commercetools.order(returnInfo=[commercetools.return_info(("r-1", 2, 1, "Returned"))]),
        commercetools.message("OrderCreated", order=commercetools.order(customerId=None)),
        commercetools.customer(),
    ],
    "magento": [magento.order(creditmemos=[magento.credit_memo(3, (20, 1), (21, 1))]), magento.customer()],
    "segment": [segment.order(), segment.refund(("TEA-100", 1)), segment.identify(), segment.track("Signed Up")],
    "shopify": [shopify.order(refunds=[shopify.refund(91, (2, 1))])],
    "shopify-csv": [ROWS[0] | {"rows": ROWS}],
    "woocommerce": [woocommerce.order(refunds=[woocommerce.refund(901, (316, -1))])],
}

MAPPINGS = {name: resolve_mapping(name) for name in presets()}
"""Loading a preset takes longer than mapping a document."""

OTHERS = (
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from([[], {}, [None], [[]], ["x"], {"x": None}, 10**200, "2026-05-01"])
)  # fmt: skip


@st.composite
def damaged(draw, value):
    """The value with one place in it replaced."""
    if value and isinstance(value, dict | list) and draw(st.integers(0, 9)):
        places = sorted(value) if isinstance(value, dict) else range(len(value))
        place = draw(st.sampled_from(places))
        changed = value.copy()
        changed[place] = draw(damaged(value[place]))
        return changed
    return draw(OTHERS)


@pytest.mark.parametrize("name", presets())
def test_the_documents_become_records(name):
    mapping = MAPPINGS[name]
    for document in DOCUMENTS[name]:
        result = mapping(as_read(document))
        assert result.records, result


@pytest.mark.parametrize("name", presets())
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_document_is_explained(name, data):
    document = data.draw(damaged(as_read(data.draw(st.sampled_from(DOCUMENTS[name])))))
    result = MAPPINGS[name](document)
    if result.failure is not None:
        assert result.failure.reason is not Reason.DEFECT, result.failure.detail
        assert result.failure.line is not None
    else:
        assert result.records or result.filtered
    for record in result.records:
        with suppress(InvalidRecord):
            parse(record.kind, record.fields)
