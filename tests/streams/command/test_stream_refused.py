"""One order that a firewall in front of the API refuses: it is that order's dead letter, and the reading goes on."""

from types import SimpleNamespace

from e2e.harness import order, simulator, wait_until
from support.servers.gateway import PAGE, gateway
from support.servers.ports import free_port

from .test_stream import health, sent


def firewall(method, path, body):
    return (403, PAGE) if b"<script>" in body else None


def test_a_firewall_costs_the_order_it_refuses_and_nothing_else(stream_command):
    port = free_port()
    orders = [order(f"o-{number}", f"c-{number}", attributes={"note": "a gift"}) for number in range(20)]
    orders[7]["attributes"]["note"] = "<script>"
    with simulator() as api, gateway(api.url, firewall) as front:
        stream = stream_command(
            SimpleNamespace(url=front.url, summary=api.summary, acted=api.acted), "--health-port", port
        )
        stream.subscribe("orders")
        stream.publish([sent("orders", one) for one in orders])
        stream.start()
        wait_until(lambda: len(stream.ledger()) == 19 and stream.dead_letters(), "all are sent", timeout=60)
        wait_until(lambda: health(port) == (200, "ok"), "it is well", timeout=30)
        assert stream.stop() == 0, stream.stderr()
        (dead_letter,) = stream.dead_letters()
        refusal = (
            dead_letter["record"]["order_id"],
            dead_letter["stage"],
            dead_letter["reason"],
            dead_letter["status"],
        )
        assert refusal == ("o-7", "send", "refused", 403)
        applied = {row["path"]["customerSessionId"] for row in stream.ledger()}
        assert applied == {one["order_id"] for one in orders} - {"o-7"}
        assert "orders: read 20, applied 19, dead_lettered 1" in stream.stderr()
        stream.assert_empty()
        stream.assert_no_leftovers()
