"""Names of other systems are compared without the ways in which they are written."""

import pytest

from beam_talonone.pipelines.mappings.columns import columns_of
from beam_talonone.pipelines.mappings.synonyms import CUSTOMER_NUMBERS, ITEM_SYNONYMS, ORDER_NUMBERS, SYNONYMS, plain


@pytest.mark.parametrize(
    "name",
    ["Bestellnummer", "Bestellnr", "Bestellnr.", "Bestell-Nr.", "BESTELL NR", "Best.-Nr.", "Order No.", "Order #",
     "Order#", "order_no", "orderNo", "OrderNumber", "Order Nr.", "Auftragsnr.", "N° de commande", "Commande n°",
     "Numéro de commande", "Número de pedido", "Numero ordine", "Bestelnummer"],
)  # fmt: skip
def test_the_number_of_an_order(name):
    assert columns_of([{"x": 1, name: "1"}]).find(ORDER_NUMBERS, set()) == (name,)


@pytest.mark.parametrize(
    "name",
    ["Kundennr.", "Kunden-Nr", "Kundennummer", "KundenNr", "Customer No.", "Customer #", "Kd.-Nr.", "N° client"],
)
@pytest.mark.parametrize("kind", SYNONYMS)
def test_the_number_of_a_customer_goes_before_the_address(kind, name):
    columns = columns_of([{"E-Mail": "a@b.c", name: "1"}])
    assert columns.find(SYNONYMS[kind]["customer_id"], set()) == (name,)
    assert columns.find(CUSTOMER_NUMBERS, set()) == (name,)


@pytest.mark.parametrize("name", ["Artikelnr.", "Artikel-Nr", "Art.-Nr.", "Item #", "Item No."])
def test_the_number_of_an_article_goes_before_its_name(name):
    assert columns_of([{"Artikel": "Tea", name: "1"}]).find(ITEM_SYNONYMS["sku"], set()) == (name,)


def test_umlauts_may_be_written_out():
    assert plain("Geaendert am") == plain("geändert_am")
    assert plain("Stueck") == plain("Stück")
    assert plain("Straße") == plain("STRASSE")


@pytest.mark.parametrize("name", ["#", "", ".", "№"])
def test_a_sign_alone_is_the_number_of_nothing(name):
    assert columns_of([{name: "1"}]).find((*ORDER_NUMBERS, *CUSTOMER_NUMBERS), set()) is None


def test_a_path_is_not_a_name_with_a_dot():
    assert columns_of([{"customer": {"e": {"mail": "a@b.c"}}}]).find(("e_mail",), set()) is None
    assert columns_of([{"customer": {"id": "7"}}]).find(("customer.id",), set()) == ("customer", "id")
    assert columns_of([{"customer.id": "7"}]).find(("customer.id",), set()) == ("customer.id",)
