"""A topic that switches to another format: the stream stops before it has drained it into dead letters."""

import json

from e2e.harness import order, simulator, wait_until
from support.servers.ports import free_port

from streams.harness.traffic import Sent

from .test_stream import health, metrics, sent

GARBAGE = [Sent("orders", b"<order>%d</order>" % number, 0, "") for number in range(60)]


def test_too_many_dead_letters_stop_the_reading_until_it_is_allowed(stream_command):
    port = free_port()
    with simulator() as api:
        stream = stream_command(api, "--settle", 0, "--health-port", port, "--max-dead-letters", 20)
        stream.subscribe("orders")
        stream.start()
        stream.publish([sent("orders", order("o-1", "c-1"))])
        wait_until(lambda: stream.requests() == 1, "it is sent", timeout=60)
        assert health(port) == (200, "ok")
        stream.publish(GARBAGE)
        wait_until(lambda: health(port)[0] == 503, "it is not well", timeout=60)
        _, why = health(port)
        assert "orders read are dead letters; the last: not_json. That is more than --max-dead-letters 20" in why
        assert metrics(port)["talonone_healthy"] == 0.0
        wait_until(lambda: why in stream.stderr(), "it says so", timeout=30)
        assert len(stream.dead_letters()) == 20
        assert stream.process.poll() is None, "it stays, so that nobody starts it again to write as many once more"
        assert stream.stop() == 1
        assert stream.stderr().strip().splitlines()[-1] == f"beam-talonone: {why}"
        stream.assert_no_leftovers()

        stream.start()
        wait_until(lambda: "reading" in (stream.folder / "err-2").read_text(), "it reads", timeout=60)
        wait_until(lambda: health(port) == (503, why.replace("21 of the last 22", "22 of the last 23")), "as before")
        assert stream.stop() == 1
        assert len(stream.dead_letters()) == 20

        stream.words = ("--settle", 0, "--max-dead-letters", "100%")
        stream.start()
        wait_until(lambda: len(stream.dead_letters()) == 60, "with a higher limit it goes on", timeout=60)
        assert stream.stop() == 0
        assert len({json.dumps(dead_letter["source"]) for dead_letter in stream.dead_letters()}) == 60

        stream.words = ("--settle", 0, "--max-dead-letters", 20)
        stream.start()
        stream.publish([sent("orders", order(f"o-{number}", f"c-{number}")) for number in range(100, 160)])
        wait_until(lambda: len(stream.ledger()) == 61, "the topic is good again", timeout=60)
        stream.publish(GARBAGE[:1])
        wait_until(lambda: len(stream.dead_letters()) == 61, "and a single bad record is a dead letter", timeout=60)
        assert stream.stop() == 0
        stream.assert_empty()


def test_a_process_that_is_killed_again_and_again_does_not_drain_a_bad_topic(stream_command):
    with simulator() as api:
        stream = stream_command(api, "--settle", 0, "--max-dead-letters", 20)
        stream.subscribe("orders")
        kept = stream.folder / "state" / "ends.json"
        for count in (12, 20):
            stream.start()
            stream.publish(GARBAGE[:12])
            wait_until(lambda count=count: len(stream.dead_letters()) == count, "so many are written", timeout=60)
            wait_until(lambda count=count: kept.exists() and kept.read_text().count("1") >= count, "and counted")
            stream.kill("group")
        stream.start()
        says = stream.folder / "err-3"
        wait_until(lambda: "That is more than --max-dead-letters 20" in says.read_text(), "it stops", timeout=90)
        assert stream.stop() == 1
        assert len(stream.dead_letters()) == 20
