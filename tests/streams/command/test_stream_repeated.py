"""Several subscriptions of one kind: each is read, and all count as that kind."""

from e2e.harness import order, simulator, wait_until
from support.servers.ports import free_port

from streams.harness.traffic import Sent

from .test_stream import health, metrics, sent


def test_several_subscriptions_of_a_kind_are_read_and_judged_together(stream_command, pubsub):
    port = free_port()
    topic, more = pubsub.subscription("orders")
    with simulator() as api:
        stream = stream_command(api, "--settle", 0, "--health-port", port, "--max-dead-letters", 2, "--orders", more)
        stream.subscribe("orders")
        first = stream.subscriptions["orders"]
        stream.start()
        stream.publish([sent("orders", order("o-1", "c-1"))])
        pubsub.publish(topic, [sent("orders", order("o-2", "c-2")).payload, b"bad in the second"])
        stream.publish([Sent("orders", b"bad in the first", 0, "")])
        wait_until(lambda: len(stream.dead_letters()) == 2, "the bad ones are dead letters", timeout=60)
        wait_until(lambda: len(api.acted()) == 2, "the good ones are sent", timeout=60)
        sources = {
            dead_letter["record"]: dead_letter["source"]["subscription"] for dead_letter in stream.dead_letters()
        }
        assert sources == {"bad in the first": first, "bad in the second": more}
        assert metrics(port)["talonone_records_read_total"] == 4.0
        assert f"reading {', '.join(sorted((first, more)))}" in stream.stderr()
        assert health(port) == (200, "ok")

        pubsub.publish(topic, [b"one bad too many"])
        wait_until(lambda: health(port)[0] == 503, "two subscriptions share the limit of their kind", timeout=60)
        assert "3 of the last 5 orders read are dead letters" in health(port)[1]
        assert stream.stop() == 1
        assert len(stream.dead_letters()) == 2
        pubsub.assert_empty(first)
        stream.assert_no_leftovers()
