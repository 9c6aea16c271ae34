"""What a check of a stream's traffic says of dead letters whose reason is another than that of their record."""

import json
from typing import Any

from streams.harness.traffic import Sent, Traffic

from support.audit.traffic_check import check_traffic

ORDER = {"order_id": "bad4", "items": [{"sku": "bad4"}], "attributes": {"unknown_one": 1}}
TRAFFIC = Traffic([Sent("orders", json.dumps(ORDER).encode(), 0, "bad4", poison="unknown_attribute")])


def dead_letter(detail: str) -> dict[str, Any]:
    source = {"subscription": "orders", "message_id": "1"}
    refused = {"reason": "refused", "status": 400, "detail": detail}
    return {"kind": "orders", "id": "bad4", "record": ORDER, "source": source, **refused}


def test_poison_may_be_refused_by_an_answer_without_a_body() -> None:
    assert check_traffic(TRAFFIC, [], [dead_letter("status 400")]).wrong() == {}


def test_an_answer_with_a_body_has_its_reason() -> None:
    wrong = check_traffic(TRAFFIC, [], [dead_letter("the request is not valid")]).wrong()
    assert wrong["dead_letters"] == ["orders bad4: refused (the request is not valid)"]
    assert wrong["lost"] == ["orders: 1 dead letters unknown_attribute are missing"]
